"""What a build is made of: a profile's settings, and the record that keeps two builds apart."""

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path

import yaml

from dataset_builder.corpus import PYTHON_STDLIB
from dataset_builder.errors import InputError
from dataset_builder.folder import BuildFolder

PROFILES = Path(__file__).parent / "profiles"
SPLIT, UNION = "split", "union"
# Queries that a model writes, which may have written past its passage.
LLM_QUERY = "llm_query"
WRITTEN_TYPES = ("doct5query", LLM_QUERY)
INDEX_KINDS = ("flat", "hnsw", "ivf")


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """The settings of a build; each profile gives them all, and flags of the same names override it.

    `query_types`: each in equal parts of `num_queries`, or `TYPE=NUMBER` of them. `num_passages`: pool size (the
    paper: 30). `pool`: `split`, each query draws from one method in turn, or `union`, each pool interleaves all
    methods. `test_fraction`: share of the source passages whose queries form the test split. `bm25_index`: a Lucene
    index with the corpus's ids, a folder or a name of Pyserini's; by default one is built. `encoder`, `splade` to
    `doct5query`: Hub names or folders of models. `query_writer`: the language model of `llm_query`, named as a teacher
    is, and `query_prompt` a file with its instruction and examples. `consistency_retriever`: a written query is kept
    only where this method finds the passage it was written for among its first `consistency_depth`; "" keeps all.
    `ensemble`: the members of an ensemble, each `TEACHER=WEIGHT`. `faiss_index`: `flat`, `hnsw` or `ivf`.
    `exclude_queries`: files of evaluation queries. From `window_size` on: how a language model ranks a pool, see
    `ListwiseSettings`; `max_words` cuts each passage in the prompt. `license`: of the corpus's text, as the Hub
    names it.
    """

    corpus: str
    num_queries: int
    query_types: list[str]
    retrievers: list[str]
    num_passages: int
    teacher: str
    encoder: str
    test_fraction: float
    seed: int
    output_dir: str
    pool: str = SPLIT
    bm25_index: str = ""
    splade: str = ""
    dragon_context: str = ""
    dragon_query: str = ""
    monot5: str = ""
    doct5query: str = ""
    query_writer: str = ""
    query_prompt: str = ""
    consistency_retriever: str = ""
    consistency_depth: int = 20
    ensemble: list[str] = field(default_factory=list)
    faiss_index: str = "flat"
    exclude_queries: list[str] = field(default_factory=list)
    window_size: int = 20
    step: int = 10
    shuffle: bool = False
    num_rankings: int = 1
    max_words: int = 300
    structured: bool = False
    temperature: float | None = 0.0
    license: str = "unknown"

    def __post_init__(self) -> None:
        if self.num_queries < 1:
            raise InputError(f"--num_queries is {self.num_queries}; at least 1 is needed")
        self.query_shares()
        if self.consistency_depth < 1:
            raise InputError(f"--consistency_depth is {self.consistency_depth}; at least 1 is needed")
        if self.num_passages < 2:
            raise InputError(f"--num_passages is {self.num_passages}; a ranking needs at least 2")
        if self.pool not in (SPLIT, UNION):
            raise InputError(f"--pool is {self.pool!r}; give {SPLIT} or {UNION}")
        if self.faiss_index not in INDEX_KINDS:
            raise InputError(f"--faiss_index is {self.faiss_index!r}; give one of {', '.join(INDEX_KINDS)}")
        if not 0 <= self.test_fraction < 1:
            raise InputError(f"--test_fraction is {self.test_fraction}; it must lie in [0, 1)")

    @property
    def asked_writer(self) -> str:
        """The writer of `llm_query`; "" where the build has no such queries."""
        return self.query_writer if LLM_QUERY in self.query_shares() else ""

    @property
    def writes_queries(self) -> bool:
        """Whether a model writes some of the queries."""
        return any(query_type in WRITTEN_TYPES for query_type in self.query_shares())

    def query_shares(self) -> dict[str, int]:
        """How many queries of each type are drawn.

        Raises:
            InputError: for numbers that do not fit together.
        """
        numbers = dict(_named_number(text) for text in self.query_types)
        if len(numbers) < len(self.query_types):
            raise InputError(f"--query_types {' '.join(self.query_types)}: a type comes twice")
        rest = self.num_queries - sum(number or 0 for number in numbers.values())
        equal = [name for name, number in numbers.items() if number is None]
        if rest < 0 or (rest > 0 and not equal):
            raise InputError(
                f"--query_types {' '.join(self.query_types)} are not the {self.num_queries} of --num_queries together"
            )
        parts = {name: rest // len(equal) + (place < rest % len(equal)) for place, name in enumerate(equal)}
        return {name: parts[name] if number is None else number for name, number in numbers.items()}


def _named_number(text: str) -> tuple[str, int | None]:
    name, equals, number = text.partition("=")
    if not equals:
        return name, None
    if not number.isdecimal():
        raise InputError(f"--query_types {text!r}: {number!r} is no number of queries")
    return name, int(number)


def load_profile(name: str, overrides: dict[str, str | int | float | bool | list[str]]) -> BuildSettings:
    """The settings of `profiles/{name}.yaml`, or of a YAML file, with `overrides` on top.

    Raises:
        InputError: for an unknown profile or setting, or a value out of range.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else PROFILES / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(profile.stem for profile in PROFILES.glob("*.yaml")))
        raise InputError(f"no profile {name!r}; give one of {known}, or a YAML file")
    settings = yaml.safe_load(path.read_text())
    try:
        return BuildSettings(**{**settings, **overrides})
    except TypeError as error:
        raise InputError(f"profile {path}: {error}") from error


def read_settings(folder: BuildFolder) -> BuildSettings:
    """The settings that the build in `folder` was begun with.

    Raises:
        InputError: where there is none.
    """
    if not folder.settings.is_file():
        raise InputError(f"{folder.root} holds no build; make one with python -m dataset_builder build")
    record = json.loads(folder.settings.read_text())
    del record["corpus_version"]
    return BuildSettings(**record, output_dir=str(folder.root))


def claim_folder(folder: BuildFolder, settings: BuildSettings) -> None:
    """Write `settings` into a new build folder, or check that an old one was begun with the same.

    Raises:
        InputError: where the folder holds another build, or files that are none.
    """
    record = _record(settings)
    if folder.settings.is_file():
        version = json.loads(folder.settings.read_text())["corpus_version"]
        # Read as settings, since a build of an earlier release lacks those that came later.
        _refuse_difference(folder, {**_record(read_settings(folder)), "corpus_version": version}, record)
        return
    if folder.root.is_dir() and any(folder.root.iterdir()):
        raise InputError(f"{folder.root} is not empty and holds no build; choose another --output_dir")
    folder.build.mkdir(parents=True, exist_ok=True)
    unfinished = folder.settings.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(record, indent=2) + "\n")
    os.replace(unfinished, folder.settings)


def _record(settings: BuildSettings) -> dict[str, object]:
    record: dict[str, object] = asdict(settings)
    del record["output_dir"]
    return {**record, "corpus_version": _corpus_version(settings.corpus)}


def _corpus_version(corpus: str) -> str:
    """Tells a changed corpus from the same one, without reading gigabytes: size and time of its files."""
    if corpus == PYTHON_STDLIB:
        return f"Python {platform.python_version()}"
    path = Path(corpus)
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    stats = [file.stat() for file in files if file.is_file()]
    return (
        f"{sum(stat.st_size for stat in stats)} bytes, {max((stat.st_mtime_ns for stat in stats), default=0)}"
    )


def _refuse_difference(folder: BuildFolder, begun: dict[str, object], wanted: dict[str, object]) -> None:
    names = sorted(name for name in begun | wanted if begun.get(name) != wanted.get(name))
    if names:
        changes = ", ".join(f"{name} {begun.get(name)!r} → {wanted.get(name)!r}" for name in names)
        raise InputError(
            f"{folder.root} holds another build ({changes}); choose another --output_dir or delete it"
        )
