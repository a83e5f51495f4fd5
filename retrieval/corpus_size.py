"""How many passages a corpus has, about, without reading it."""

import zlib
from pathlib import Path

from retrieval.corpus import TEXT_SUFFIXES, corpus_files
from retrieval.parquet import num_rows

# Of each file, so much is read.
HEAD = 2**20
GZIP_HEADER = 16 + zlib.MAX_WBITS


def estimated_size(corpus: str) -> int | None:
    """Lines of the files, as many as their first MiB lets expect; rows of Parquet, and number of texts, exactly. None
    for what is not in files here.

    Raises:
        InputError: for a file that is missing.
    """
    files = corpus_files(corpus)
    return round(sum(map(_rows_of, files))) if files else None


def _rows_of(file: Path) -> float:
    if file.suffix.casefold() in TEXT_SUFFIXES:
        return 1
    if file.suffix.casefold() == ".parquet":
        return num_rows(file)
    with file.open("rb") as opened:
        head = opened.read(HEAD)
    is_compressed = file.suffix.casefold() == ".gz"
    text = zlib.decompressobj(GZIP_HEADER).decompress(head) if is_compressed else head
    return text.count(b"\n") * file.stat().st_size / max(1, len(head))
