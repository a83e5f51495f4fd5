"""What a build is made of: a profile's settings, with flags on top."""

from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import NamedTuple

import yaml

from retrieval.errors import InputError
from retrieval.language import check_language
from retrieval.queries import read_queries

PROFILES = Path(__file__).parents[1] / "profiles"
SPLIT, UNION = "split", "union"
# Of the passage that a query was made of, in its pool: where it was found, always if it was found at all, or never.
SOURCE_FOUND, SOURCE_IN, SOURCE_OUT = "found", "in", "out"
# Queries that a model writes, which may have written past its passage.
DOCT5QUERY, LLM_QUERY = "doct5query", "llm_query"
# Queries of one's own, from a file or of imported runs.
GIVEN = "given"
WRITTEN_TYPES = (DOCT5QUERY, LLM_QUERY)
QUERY_TYPES = ("cropped", DOCT5QUERY, "keywords", GIVEN, LLM_QUERY)
INDEX_KINDS = ("flat", "hnsw", "ivf", "ivf_pq")
# A reranker labels 32 pools at once; of more files than this few clusters have use.
QUERIES_A_SHARD, MAX_SHARDS = 32, 64
# How labels are asked for: open to change until the first is made.
OF_LABELS = (
    "teacher", "ensemble", "window_size", "step", "shuffle", "num_rankings", "max_words", "answer_format",
    "temperature", "max_tokens", "reasoning_effort", "thinking_budget",
)  # fmt: skip


class Draw(NamedTuple):
    """What a build had before it grew: so many queries in so many shards, and what tells those queries from others."""

    num_queries: int
    num_shards: int
    content: str


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """The settings of a build; each profile gives them all, and flags of the same names override it.

    `language`: of the corpus, an ISO 639 code; "" finds it from a sample. `queries`: a file of one's own queries, which
    are the type `given`; at most its share of them. `query_types`: each in equal parts of `num_queries`, or
    `TYPE=NUMBER` of them. `num_passages`: pool size (the paper: 30). `pool`: `split`, each query draws from one method
    in turn, or `union`, each pool interleaves all methods. `pool_head`: so many passages of a pool are the first of the
    list, the others are spread evenly from there to `pool_depth`; 0, all are the first, and 0, as deep as is needed.
    `source_passage`: `found`, `in` or `out`. `near_duplicates`: a passage is left out whose three-word sequences have
    so large a part in common with those of one above it (Jaccard); 1 keeps all. `test_fraction`: share of the source
    passages whose queries form the test split; a query without a source passage stands for one. `bm25_index` to
    `encoder_index`: an index with the corpus's ids, a folder or a name of Pyserini's; by default one is built.
    `encoder`, `splade` to `doct5query`: Hub names or folders of models; `encoder_dtype`, of what encodes passages.
    `query_writer`: the language model of `llm_query`, named as a teacher is, and `query_prompt` a file with its
    instruction and examples.
    `consistency_retriever`: a written query is kept only where this method finds the passage it was written for among
    its first `consistency_depth`; "" keeps all. `ensemble`: the members of an ensemble, each `TEACHER=WEIGHT`.
    `faiss_index`: `flat`, `hnsw`, `ivf` or `ivf_pq`. `exclude_queries`: files of evaluation queries; `exclude_sources`:
    judgments of evaluation sets, whose passages no query is made of. From `window_size` on: how a language model ranks
    a pool, see `ListwiseSettings`; `max_words` cuts each passage in the prompt, and `temperature` to `thinking_budget`
    are those of `Sampling`. `license`: of the corpus's text, as the Hub names it. `num_shards`: files of pools and of
    rankings, whatever tasks make them; 0, as long as the build is not begun, for as many as its queries need.
    `earlier_draws`: the build's own note of how it has grown; no flag.
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
    language: str = ""
    queries: str = ""
    pool: str = SPLIT
    pool_head: int = 0
    pool_depth: int = 0
    source_passage: str = SOURCE_FOUND
    near_duplicates: float = 1.0
    bm25_index: str = ""
    splade_index: str = ""
    dragon_index: str = ""
    encoder_index: str = ""
    splade: str = ""
    dragon_context: str = ""
    dragon_query: str = ""
    monot5: str = ""
    doct5query: str = ""
    encoder_dtype: str = ""
    query_writer: str = ""
    query_prompt: str = ""
    consistency_retriever: str = ""
    consistency_depth: int = 20
    ensemble: list[str] = field(default_factory=list)
    faiss_index: str = "flat"
    exclude_queries: list[str] = field(default_factory=list)
    exclude_sources: list[str] = field(default_factory=list)
    window_size: int = 20
    step: int = 10
    shuffle: bool = False
    num_rankings: int = 1
    max_words: int = 300
    answer_format: str = "auto"
    temperature: float | None = 0.0
    max_tokens: int | None = None
    reasoning_effort: str = ""
    thinking_budget: int | None = None
    license: str = "unknown"
    num_shards: int = 0
    earlier_draws: list[Draw] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.num_queries < 1:
            raise InputError(f"--num_queries is {self.num_queries}; at least 1 is needed")
        self.query_shares()
        if self.queries and GIVEN not in self.query_shares():
            raise InputError(f"--queries are of the type {GIVEN!r}; name it among --query_types")
        if self.language:
            check_language(self.language)
        if self.consistency_depth < 1:
            raise InputError(f"--consistency_depth is {self.consistency_depth}; at least 1 is needed")
        if self.num_shards < 0:
            raise InputError(f"--num_shards is {self.num_shards}; at least 1 is needed")
        if self.num_passages < 2:
            raise InputError(f"--num_passages is {self.num_passages}; a ranking needs at least 2")
        if self.pool not in (SPLIT, UNION):
            raise InputError(f"--pool is {self.pool!r}; give {SPLIT} or {UNION}")
        self._check_pools()
        self._check_indexes()
        if not 0 <= self.test_fraction < 1:
            raise InputError(f"--test_fraction is {self.test_fraction}; it must lie in [0, 1)")
        self._check_sampling()

    def _check_indexes(self) -> None:
        if self.faiss_index not in INDEX_KINDS:
            raise InputError(f"--faiss_index is {self.faiss_index!r}; give one of {', '.join(INDEX_KINDS)}")
        if self.encoder_dtype not in ("", "float32", "bfloat16", "int8"):
            raise InputError(f"--encoder_dtype is {self.encoder_dtype!r}; give float32, bfloat16 or int8")

    def _check_pools(self) -> None:
        if not 0 <= self.pool_head <= self.num_passages:
            raise InputError(
                f"--pool_head is {self.pool_head}; of the {self.num_passages} passages of a pool that many cannot be "
                "the first"
            )
        if self.pool_depth and self.pool_depth < self.num_passages:
            raise InputError(
                f"--pool_depth is {self.pool_depth}, less than the {self.num_passages} of --num_passages"
            )
        if 0 < self.pool_head < self.num_passages and self.pool_depth <= self.num_passages:
            raise InputError(
                f"--pool_head {self.pool_head} leaves passages to find below; give a --pool_depth above "
                f"--num_passages {self.num_passages}"
            )
        sources = (SOURCE_FOUND, SOURCE_IN, SOURCE_OUT)
        if self.source_passage not in sources:
            raise InputError(f"--source_passage is {self.source_passage!r}; give one of {', '.join(sources)}")
        if not 0 < self.near_duplicates <= 1:
            raise InputError(f"--near_duplicates is {self.near_duplicates}; it must lie in (0, 1]")

    def _check_sampling(self) -> None:
        for name in ("max_tokens", "thinking_budget"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise InputError(f"--{name} is {value}; at least 1 is needed, or none")
        if self.temperature is not None and not 0 <= self.temperature < inf:
            raise InputError(f"--temperature is {self.temperature}; it must be at least 0, or none")

    @property
    def search_depth(self) -> int:
        """How many passages a method is asked for: more than a pool has, where some are left out of it."""
        leaves_out = self.source_passage != SOURCE_FOUND or self.near_duplicates < 1
        return self.pool_depth or self.num_passages * (2 if leaves_out else 1)

    @property
    def default_shards(self) -> int:
        """The `num_shards` of a build that names none: its queries' own, beside those of earlier draws."""
        queries, shards = self.earlier_draws[-1][:2] if self.earlier_draws else (0, 0)
        return shards + max(1, min(MAX_SHARDS, (self.num_queries - queries) // QUERIES_A_SHARD))

    @property
    def draw(self) -> int:
        """How often the build has grown."""
        return len(self.earlier_draws)

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


def load_profile(
    name: str, overrides: dict[str, str | int | float | bool | list[str] | None]
) -> BuildSettings:
    """The settings of `profiles/{name}.yaml`, or of a YAML file, with `overrides` on top.

    Queries of one's own stand in for a profile's, all of them, unless `overrides` say otherwise.

    Raises:
        InputError: for an unknown profile or setting, or a value out of range.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else PROFILES / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(profile.stem for profile in PROFILES.glob("*.yaml")))
        raise InputError(f"no profile {name!r}; give one of {known}, or a YAML file")
    settings = yaml.safe_load(path.read_text())
    if "queries" in overrides:
        settings |= {
            "query_types": [GIVEN],
            "num_queries": len(read_queries(Path(str(overrides["queries"])))),
        }
    try:
        return BuildSettings(**{**settings, **overrides})
    except TypeError as error:
        raise InputError(f"profile {path}: {error}") from error
