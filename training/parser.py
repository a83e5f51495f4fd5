"""Reads the fields of dataclasses from flags, or checks a file's names for them; what is wrong is said in one line."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from json import JSONDecodeError
from typing import Any, NoReturn, get_args, get_origin, get_type_hints

from transformers import HfArgumentParser

from retrieval.errors import InputError
from training.refusals import one_line

HELP = "python train_hf.py --help_all lists them"


class Parser(HfArgumentParser):
    """Of the dataclasses that it is given; it takes whole names only."""

    def __init__(self, kinds: Sequence[type]) -> None:
        super().__init__(kinds, allow_abbrev=False)  # type: ignore[arg-type]
        self.add_argument("--help_all", action="help", help="show this and end")
        self.hints = {
            one.name: get_type_hints(kind)[one.name] for kind in kinds for one in fields(kind) if one.init
        }

    def error(self, message: str) -> NoReturn:
        """What argparse would print below a page of usage.

        Raises:
            InputError: always.
        """
        raise InputError(f"{message}; {HELP}")

    def parse(self, flags: Sequence[str]) -> tuple[Any, ...]:
        """One instance of each dataclass.

        Raises:
            InputError: for an unknown flag, or values that cannot be, together or by themselves.
        """
        try:
            *found, unknown = self.parse_args_into_dataclasses(
                args=list(flags), return_remaining_strings=True
            )
        except InputError:
            raise
        except JSONDecodeError as error:
            raise InputError(f"{error.doc!r:.60} is not JSON ({error.msg})") from error
        except (ValueError, TypeError, ImportError, OSError) as error:  # what TrainingArguments itself finds
            raise InputError(one_line(error)) from error
        if unknown:
            raise InputError(self._unknown(unknown[0]))
        return tuple(found)

    def check_names(self, settings: Mapping[str, object]) -> None:
        """Check that a file's names are fields, and that lists and mappings stand where the field takes them.

        Raises:
            InputError: for the first that does not fit.
        """
        for name, value in settings.items():
            hint = self.hints.get(name.replace("-", "_"))
            if hint is None:
                raise InputError(self._unknown(name))
            for kind, title in ((list, "a list"), (dict, "names and values")):
                if isinstance(value, kind) and not _takes(hint, kind):
                    raise InputError(f"{name} takes one value, not {title}")

    def _unknown(self, flag: str) -> str:
        """What is said of a name, of a flag or in a file, that is no field."""
        name = flag.lstrip("-")
        near = get_close_matches(name.partition("=")[0].replace("-", "_"), self.hints, n=1)
        dashes = flag[: len(flag) - len(name)]
        return f"unknown argument {flag}; " + (f"did you mean {dashes}{near[0]}?" if near else HELP)


def _takes(hint: object, kind: type) -> bool:
    return kind in (hint, get_origin(hint)) or any(_takes(part, kind) for part in get_args(hint))
