"""Corpora that are not in files here: datasets of the Hugging Face Hub, and collections of `ir_datasets`."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from retrieval.errors import InputError
from retrieval.records import Passage

HUGGING_FACE, IR_DATASETS = "hf:", "ir_datasets:"
CORPUS, CARD = "corpus", "README.md"


class Document(Protocol):
    """What every document of `ir_datasets` has."""

    doc_id: str

    def default_text(self) -> str:
        """Its text, as the library puts it together."""
        ...


def read_hugging_face(corpus: str) -> Iterator[tuple[str, dict[str, object]]]:
    """Place and values of each row of `hf:NAME[/CONFIG][:SPLIT]`, streamed.

    NAME: `organisation/name`, or a folder here. CONFIG and SPLIT: where they are not given, the only one or the one
    that is called `corpus`.

    Raises:
        InputError: for a dataset, a configuration or a split that cannot be read.
    """
    # Not before: they take seconds to import.
    import httpx
    from datasets import get_dataset_config_names, get_dataset_split_names, load_dataset
    from datasets.exceptions import DatasetsError

    name, config, split = parse_hugging_face(corpus)
    number = 0
    try:
        config = config or _only(corpus, "configurations", get_dataset_config_names(name))
        split = split or _only(corpus, "splits", get_dataset_split_names(name, config))
        for number, row in enumerate(load_dataset(name, config, split=split, streaming=True), start=1):
            yield f"{corpus} row {number}", row
    except InputError:
        raise
    except (OSError, TypeError, ValueError, RuntimeError, DatasetsError, httpx.HTTPError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"corpus {corpus} after row {number}: cannot be read ({said})") from error


def configurations(dataset: str) -> list[str]:
    """The names of the configurations of `hf:NAME[:SPLIT]`.

    Raises:
        InputError: for a dataset that cannot be read.
    """
    import httpx
    from datasets import get_dataset_config_names
    from datasets.exceptions import DatasetsError

    try:
        return get_dataset_config_names(dataset.removeprefix(HUGGING_FACE).partition(":")[0])
    except (OSError, ValueError, RuntimeError, DatasetsError, httpx.HTTPError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{dataset} cannot be read ({said})") from error


def parse_hugging_face(corpus: str) -> tuple[str, str | None, str | None]:
    """Name, configuration and split of `hf:NAME[/CONFIG][:SPLIT]`."""
    whole, _, split = corpus.removeprefix(HUGGING_FACE).partition(":")
    parent = Path(whole).parent
    # A folder beside a dataset's card holds a configuration's files.
    if os.path.isdir(whole) and not (parent / CARD).is_file():
        return whole, None, split or None
    if whole.count("/") > 1 or (parent.is_dir() and parent != Path()):
        return str(parent), Path(whole).name, split or None
    return whole, None, split or None


def read_ir_datasets(corpus: str) -> Iterator[tuple[str, Passage]]:
    """Place and passage of each document of `ir_datasets:NAME`, which that library downloads at first use.

    Raises:
        InputError: where the library is not installed, or for a collection that it has not or cannot read.
    """
    name = corpus.removeprefix(IR_DATASETS)
    try:
        import ir_datasets
    except ImportError as error:
        raise InputError(f"corpus {corpus} needs the package ir_datasets: pip install ir_datasets") from error
    try:
        collection = ir_datasets.load(name)
    except KeyError as error:
        raise InputError(f"corpus {corpus}: ir_datasets has no {name!r}; see ir-datasets.com") from error
    if not collection.has_docs():
        raise InputError(f"corpus {corpus} has no documents; name the collection that holds them")
    number = 0
    try:
        for number, document in enumerate(collection.docs_iter(), start=1):
            yield f"{corpus} document {number}", _passage(document)
    except (OSError, ValueError, RuntimeError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"corpus {corpus} after document {number}: cannot be read ({said})") from error


def _passage(document: Document) -> Passage:
    """Title and text apart where a document has them; else what the library takes for its text."""
    title, text = (
        getattr(document, "title", None),
        getattr(document, "text", None) or getattr(document, "body", None),
    )
    if not isinstance(title, str) or not isinstance(text, str):
        title, text = "", document.default_text()
    return Passage(document.doc_id, title.strip(), text.strip())


def _only(corpus: str, what: str, names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    if CORPUS in names:
        return CORPUS
    raise InputError(
        f"corpus {corpus} has several {what}; say which, {HUGGING_FACE}NAME/CONFIG:SPLIT: {', '.join(names)}"
    )
