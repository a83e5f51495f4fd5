"""Writes the report: the overview is in its HTML, the queries lie in packed blocks that its script opens.

Nothing that came from a corpus or a model can run: the template escapes what it prints, a block is base64 text, the
script puts text into text nodes only, and the page's Content-Security-Policy admits this one script and style.
"""

import base64
import gzip
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import jinja2
from tqdm import tqdm

from dataset_builder.build.claim import read_settings
from dataset_builder.build.folder import BuildFolder
from dataset_builder.language_models.access import TeacherAccess
from dataset_builder.report import MAX_QUERIES
from dataset_builder.report.build_so_far import open_build
from dataset_builder.report.overview import overview
from dataset_builder.report.query_detail import (
    MAX_PASSAGE_CHARACTERS,
    QueryDetail,
    chosen_queries,
    query_details,
)
from dataset_builder.report.query_row import QueryRow, query_rows
from retrieval.batches import batched
from retrieval.errors import InputError

DETAILS_IN_A_BLOCK = 20
TEMPLATES = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Block:
    """Queries' details. `name`: the id of the element that holds `packed`."""

    name: str
    packed: str


def write_report(
    folder: BuildFolder, access: TeacherAccess, output: Path, max_queries: int = MAX_QUERIES
) -> None:
    """Write a build's report to `output`, aside and renamed. The same folder gives the same bytes.

    Args:
        max_queries: how many queries are shown with their passages and answers; all are counted and listed.

    Raises:
        InputError: for a folder that holds no build, or a file that cannot be written.
    """
    if max_queries < 0:
        raise InputError(f"--max_queries is {max_queries}; give 0 or more")
    page = render_page(folder, access, max_queries)
    unfinished = output.with_name(f"{output.name}.unfinished")
    try:
        unfinished.write_text(page, encoding="utf-8", errors="backslashreplace")
        os.replace(unfinished, output)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink()
        raise InputError(f"{output} cannot be written: {error.strerror}") from error


def render_page(folder: BuildFolder, access: TeacherAccess, max_queries: int) -> str:
    """The report's HTML."""
    settings = read_settings(folder)
    places: dict[str, int] = {}
    with open_build(folder, settings, access) as build:
        rows = query_rows(build)
        chosen = set(chosen_queries(rows, max_queries))
        details = tqdm(query_details(build, chosen), "reading answers", len(chosen), unit="query")
        blocks = list(_blocks(iter(details), places))
    style, script = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    return _template().render(
        overview=overview(folder, settings, access, rows),
        num_detailed=len(places),
        num_with_pool=sum(row.num_passages > 0 for row in rows),
        passage_characters=MAX_PASSAGE_CHARACTERS,
        rows=pack([_listed(row, places.get(row.query_id)) for row in rows]),
        blocks=blocks,
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def pack(value: object) -> str:
    """`value` as JSON, compressed and in base64: compact, and no text that HTML could take for its own."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def _blocks(details: Iterable[QueryDetail], places: dict[str, int]) -> Iterator[Block]:
    """Blocks of details; `places` is told the block's number of each query."""
    for number, group in enumerate(batched(details, DETAILS_IN_A_BLOCK)):
        places.update({detail.query_id: number for detail in group})
        yield Block(f"block-{number}", pack({detail.query_id: asdict(detail) for detail in group}))


def _listed(row: QueryRow, block: int | None) -> Sequence[object]:
    """A row as the script reads it; see `Row` in page.js."""
    tau = None if row.tau is None else round(row.tau, 3)
    return (
        row.query_id, row.text, row.query_type, row.retriever, row.state, row.num_passages, tau, row.first_at, block
    )  # fmt: skip


def _hash(text: str) -> str:
    """As a Content-Security-Policy names an inline script or style."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["count"] = "{:,}".format
    return environment.get_template("page.html.jinja")
