"""What is wrong with a card, as a visitor of the Hub would see it."""

import ast
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import yaml
from markdown_it import MarkdownIt

from model_cards.staging import CARD, DATASET, MODEL, SPACE
from retrieval.licences import NOT_KNOWN, licence_id, licence_of

NEEDED_METADATA = {
    DATASET: ("license", "language", "pretty_name", "task_categories", "size_categories", "configs"),
    MODEL: ("license", "language", "base_model", "datasets", "library_name", "pipeline_tag", "model-index"),
    SPACE: ("title", "sdk", "sdk_version", "app_file", "license", "models", "datasets"),
}
# The Hub writes its own snippet for this library; it is the one that loads a checkpoint's code.
LIBRARY = "transformers"
PLACEHOLDERS = ("[More Information Needed]", "[optional]", "TODO")
EMPTY_CELL = re.compile(r"^\|\s*([^|\s][^|]*?)\s*\|\s*\|$", re.MULTILINE)
BIBTEX = re.compile(r"```bibtex\n@\w+\{.*?^\}", re.DOTALL | re.MULTILINE)
BIBTEX_FIELDS = ("title", "author", "booktitle", "year", "doi")


def card_problems(kind: str, card: Path) -> Iterator[str]:
    """One line for each problem of the card of a dataset, a model or a Space."""
    if not card.is_file():
        yield f"{CARD} is missing"
        return
    text = card.read_text(encoding="utf-8")
    metadata = read_metadata(text)
    if not metadata:
        yield f"{CARD} has no metadata: a YAML block between two lines of ---"
    needed = [*NEEDED_METADATA[kind], *(["license_name"] if metadata.get("license") == "other" else [])]
    yield from (f"{CARD}: metadata {key!r} is empty" for key in needed if not metadata.get(key))
    yield from (f"{CARD} still says {words}" for words in PLACEHOLDERS if words in text)
    yield from (f"{CARD}: {name!r} is empty" for name in EMPTY_CELL.findall(text))
    yield from _broken_tables(text)
    if kind == MODEL:
        yield from _model_problems(metadata)
    if kind != SPACE:
        yield from _citation_problems(text)


def read_metadata(card: str) -> dict[str, object]:
    """The YAML block that a card begins with; empty where there is none."""
    parts = card.split("---\n", 2)
    try:
        metadata = yaml.safe_load(parts[1]) if len(parts) == 3 and not parts[0] else None
    except yaml.YAMLError:
        return {}
    return metadata if isinstance(metadata, dict) else {}


def shown_texts(snippet: str) -> list[str]:
    """The strings in the lists of a snippet of Python: the passages that it ranks."""
    lists = [node for node in ast.walk(ast.parse(snippet)) if isinstance(node, ast.List)]
    items = [item.value for found in lists for item in found.elts if isinstance(item, ast.Constant)]
    return [item for item in items if isinstance(item, str)]


def _broken_tables(text: str) -> Iterator[str]:
    """Rows that Markdown does not take for a table's: a blank line cut them off."""
    tokens = MarkdownIt("commonmark").enable("table").parse(_without_metadata(text))
    for token, following in pairwise(tokens):
        if token.type == "paragraph_open" and following.content.startswith("|"):
            yield f"{CARD}: a table is broken before {following.content.splitlines()[0]!r}"


def _without_metadata(text: str) -> str:
    return text.split("---\n", 2)[-1] if text.startswith("---\n") else text


def _model_problems(metadata: Mapping[str, object]) -> Iterator[str]:
    library, licence = metadata.get("library_name"), metadata.get("license")
    if library and library != LIBRARY:
        yield f"{CARD}: library_name is {library!r}, whose snippet on the Hub would not load this: {LIBRARY!r}"
    base = str(metadata.get("base_model"))
    if licence and licence_of(base) != NOT_KNOWN and licence != licence_id(base):
        yield f"{CARD}: the licence is {licence!r}, but its base's, {base}, is {licence_id(base)!r}"


def _citation_problems(text: str) -> Iterator[str]:
    entries = BIBTEX.findall(text)
    if not entries:
        yield f"{CARD} has no BibTeX to cite it by"
    for entry in entries:
        missing = [name for name in BIBTEX_FIELDS if not re.search(rf"^\s*{name} = {{", entry, re.MULTILINE)]
        yield from (f"{CARD}: its BibTeX has no {name}" for name in missing)
        if "and others" in entry:
            yield f"{CARD}: its BibTeX names not all authors"
