"""The lines of a text file, each with the place it stands at."""

from collections.abc import Iterator
from pathlib import Path

from retrieval.errors import InputError


def located_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Place and text of each line that is not blank.

    Raises:
        InputError: for a file that is not UTF-8.
    """
    number = 0
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield f"{path} line {number}", line.rstrip("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} after line {number}: not UTF-8 text; convert it first") from error
