"""The rows of a Parquet file."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow
from pyarrow import parquet

from retrieval.errors import InputError
from retrieval.lines import require_file


def read_parquet(path: Path) -> Iterator[tuple[str, dict[str, object]]]:
    """Place and values of each row, by the name of their column; a batch of rows is in memory.

    Raises:
        InputError: for a file that is missing, is not Parquet or is damaged.
    """
    require_file(path)
    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches():
                for row in batch.to_pylist():
                    number += 1
                    yield f"{path} row {number}", row
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(
            f"{path} after row {number}: no Parquet that can be read ({str(error).splitlines()[0]})"
        ) from error


def num_rows(path: Path) -> int:
    """How many rows a Parquet file says it has.

    Raises:
        InputError: for a file that is not Parquet or is damaged.
    """
    try:
        return int(parquet.read_metadata(path).num_rows)
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{path}: no Parquet that can be read ({str(error).splitlines()[0]})") from error
