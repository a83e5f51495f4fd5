"""What a server's client needs: its package, and the key, from the environment alone."""

import importlib
import os
import re
from collections.abc import Sequence

from retrieval.errors import InputError


def read_key(variables: Sequence[str]) -> str:
    """The key in the first of `variables` that is set; `""` where none is.

    Raises:
        InputError: for a key that cannot be sent.
    """
    name = next((each for each in variables if os.environ.get(each)), "")
    key = os.environ.get(name, "")
    odd = re.search(r"[^!-~]|[\"'`]", key)
    if odd:
        raise InputError(
            f"{name} holds {_described(odd[0])} at place {odd.start() + 1} of {len(key)}; "
            "export the key alone, as the server's page shows it"
        )
    return key


def check_key(variables: Sequence[str]) -> None:
    """Find what is wrong with a key that must be there.

    Raises:
        InputError: for one that is missing or cannot be sent.
    """
    if not read_key(variables):
        raise InputError(f"{' or '.join(variables)} is not set; export it")


def check_package(module: str, package: str, needed_by: str) -> None:
    """Find whether an optional package is there.

    Raises:
        InputError: where it is not.
    """
    try:
        importlib.import_module(module)
    except ImportError:
        raise InputError(f"{needed_by} needs the package {package}: pip install {package}") from None


def _described(character: str) -> str:
    if character in "\r\n":
        return "a line's end"
    return "a blank" if character.isspace() else f"the character {character!r}"
