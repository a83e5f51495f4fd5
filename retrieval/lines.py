"""The lines of a text file, each with the place it stands at: the one place where files of text are opened."""

import gzip
import json
import zlib
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from retrieval.errors import InputError

GZIP = b"\x1f\x8b"
BYTE_ORDER_MARK = "\ufeff"
# What files that are no UTF-8 text begin with.
OTHER_KINDS = {
    b"\xff\xfe": "UTF-16 text; convert it first (iconv -f UTF-16 -t UTF-8)",
    b"\xfe\xff": "UTF-16 text; convert it first (iconv -f UTF-16 -t UTF-8)",
    b"PK\x03\x04": "a zip archive; unpack it first",
    b"BZh91AY&SY": "compressed with bzip2; unpack it first, or use gzip",
    b"\xfd7zXZ\x00": "compressed with xz; unpack it first, or use gzip",
    b"\x28\xb5\x2f\xfd": "compressed with zstd; unpack it first, or use gzip",
    b"PAR1": "a Parquet file; it can only be a corpus, and its name must end with .parquet",
}


def located_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Place and text of each line that is not blank. Raises as `numbered_lines`."""
    for number, line in numbered_lines(path):
        if line.strip():
            yield f"{path} line {number}", line


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number, from 1, and text of every line, without its line end. Gzip is recognised by its content.

    Raises:
        InputError: for a file that is missing, cannot be read or is damaged, or is not UTF-8 text.
    """
    number = 0
    try:
        with _open(path) as file:
            _refuse_other_kinds(path, file)
            for number, line in enumerate(file, start=1):
                yield number, _decoded(line, f"{path} line {number}", is_first=number == 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path} after line {number}: damaged or cut gzip ({error})") from error
    except OSError as error:
        raise InputError(f"{path} after line {number}: cannot be read ({error.strerror or error})") from error


def parse_object(line: str, place: str) -> dict[str, object]:
    """The JSON object of a line.

    Raises:
        InputError: for anything else.
    """
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"{place}: not JSON ({error.msg} at column {error.colno})") from error
    except ValueError as error:
        raise InputError(f"{place}: not JSON that can be read (a number of thousands of digits)") from error
    except RecursionError as error:
        raise InputError(f"{place}: not JSON that can be read (nested too deep)") from error
    if not isinstance(row, dict):
        raise InputError(f'{place}: expected an object with "_id" and "text"')
    return row


def require_file(path: Path) -> None:
    """Refuse what is no file.

    Raises:
        InputError: for a path that is missing, a link to nothing, or a folder.
    """
    if path.is_symlink() and not path.exists():
        raise InputError(f"{path} is a link to a file that does not exist")
    if not path.exists():
        raise InputError(f"{path} does not exist")
    if not path.is_file():
        raise InputError(f"{path} is {'a folder' if path.is_dir() else 'a device or a pipe'}, not a file")


def _open(path: Path) -> BufferedReader | gzip.GzipFile:
    require_file(path)
    with path.open("rb") as file:
        is_gzip = file.read(len(GZIP)) == GZIP
    return gzip.open(path, "rb") if is_gzip else path.open("rb")


def _refuse_other_kinds(path: Path, file: BufferedReader | gzip.GzipFile) -> None:
    start = file.peek(max(map(len, OTHER_KINDS)))
    kind = next((kind for mark, kind in OTHER_KINDS.items() if start.startswith(mark)), None)
    if kind is not None:
        raise InputError(f"{path} line 1: {kind}")


def _decoded(line: bytes, place: str, is_first: bool) -> str:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{place}: not UTF-8 text (byte 0x{line[error.start]:02x}) but Latin-1, Windows-1252 or another encoding; "
            "convert it first (iconv -f LATIN1 -t UTF-8)"
        ) from error
    # A byte order mark also stands inside of a file that was put together out of several.
    text = text.removesuffix("\n").removesuffix("\r").removeprefix(BYTE_ORDER_MARK)
    if "\0" in text:
        raise InputError(
            f"{place}: holds a NUL character, as UTF-16 text and binary files do; give UTF-8 text"
        )
    if is_first and "\r" in text:
        raise InputError(
            f"{place}: lines end with a carriage return alone; convert them first (tr '\\r' '\\n')"
        )
    return text
