"""Tables whose columns are parted by tabs, with or without a header, with or without CSV's quotes."""

import csv
import re
from collections.abc import Collection, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

from retrieval.errors import InputError
from retrieval.fields import header_names, is_header
from retrieval.lines import numbered_lines

# Lines that are looked at to tell whether a file without a header has CSV's quotes.
SAMPLE = 1000
# A quote that is never closed must not swallow the rest of a corpus.
csv.field_size_limit(10_000_000)
_QUOTED = re.compile(r'"(?:[^"]|"")*"')


def read_tsv(
    path: Path, ids: Collection[str], texts: Collection[str], layouts: Collection[tuple[str, ...]]
) -> Iterator[tuple[str, dict[str, str]]]:
    """Place and cells of each row, by the name of their column.

    A header is recognised by its names, one of `ids` and one of `texts`; without one, a row is read as that of
    `layouts` which has as many columns. CSV's quotes are undone under a header, and where a file has doubled
    ones inside of others or puts each row's text in quotes; elsewhere a quote is a quote.

    Raises:
        InputError: as `numbered_lines`, or for a row of another number of columns.
    """
    lines = numbered_lines(path)
    sample = list(islice(lines, SAMPLE))
    first = next((line.split("\t") for _, line in sample if line.strip()), [])
    with_header = is_header(first, ids, texts)
    has_quotes = with_header or _has_csv_quotes(line for _, line in sample)
    rows = _csv_rows(path, chain(sample, lines)) if has_quotes else _plain_rows(path, chain(sample, lines))
    if with_header:
        next(rows)
        layouts = [tuple(header_names(first))]
    for place, cells in rows:
        names = next((layout for layout in layouts if len(layout) == len(cells)), None)
        if names is None:
            expected = " or ".join(", ".join(layout) for layout in layouts)
            raise InputError(f"{place}: {len(cells)} columns; expected {expected}, by tabs")
        yield place, dict(zip(names, (cell.strip() for cell in cells), strict=True))


def _has_csv_quotes(lines: Iterable[str]) -> bool:
    rows = [line.split("\t") for line in lines if line.strip()]
    starting = [cell for cells in rows for cell in cells if cell.startswith('"')]
    if not starting or not all(_QUOTED.fullmatch(cell) for cell in starting):
        return False
    in_each_row = all(any(cell.startswith('"') for cell in cells) for cells in rows)
    return in_each_row or any('""' in cell[1:-1] for cell in starting)


def _plain_rows(path: Path, lines: Iterable[tuple[int, str]]) -> Iterator[tuple[str, list[str]]]:
    return ((f"{path} line {number}", line.split("\t")) for number, line in lines if line.strip())


def _csv_rows(path: Path, lines: Iterable[tuple[int, str]]) -> Iterator[tuple[str, list[str]]]:
    reader = csv.reader((f"{line}\n" for _, line in lines), delimiter="\t", strict=True)
    while True:
        place = f"{path} line {reader.line_num + 1}"
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InputError(
                f"{place}: quotes that are not CSV's ({error}); double those inside of a text"
            ) from error
        if any(cell.strip() for cell in cells):
            yield place, cells
