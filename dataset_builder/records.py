"""The types that move through the pipeline, and the features of the public dataset."""

from dataclasses import dataclass

from datasets import ClassLabel, Features, List, Value

QUERY_TYPES = ("cropped", "doct5query", "keywords", "given")
RETRIEVERS = ("bm25", "splade", "dragon", "bm25_monot5", "bm25_rm3", "minilm", "bm25_minilm", "union", "run")
LABEL_STATUSES = ("ok", "repaired", "refused", "unusable")


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage of the corpus. `title` may be empty, `text` may not."""

    docid: str
    title: str
    text: str

    @property
    def contents(self) -> str:
        """Title and text as one string: what is indexed, encoded and scored."""
        return f"{self.title} {self.text}" if self.title else self.text


@dataclass(frozen=True, slots=True)
class Query:
    """A query and where it came from: `source_docid` is the passage it was made of, `""` if none."""

    query_id: str
    text: str
    query_type: str = ""
    source_docid: str = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage found by a retriever. `score`: higher is more relevant; lists are ordered by rank."""

    docid: str
    score: float


@dataclass(frozen=True, slots=True)
class RetrievedPassage:
    """A passage in a query's pool, with its place (from 1) and score in the retriever's list."""

    passage: Passage
    retriever_rank: int
    retriever_score: float


@dataclass(frozen=True, slots=True)
class RankingExample:
    """One query on its way: each stage fills fields with `dataclasses.replace`.

    `teacher_order` holds indices into `passages`, most relevant first; it is a permutation of them,
    or None before a teacher has seen the pool.
    """

    query: Query
    retriever: str
    passages: tuple[RetrievedPassage, ...]
    teacher_order: tuple[int, ...] | None = None
    label_status: str = ""
    teacher: str = ""

    def __post_init__(self) -> None:
        if not self.passages:
            raise ValueError(f"empty passage list for query {self.query.query_id!r}")
        if self.teacher_order is not None and sorted(self.teacher_order) != list(range(len(self.passages))):
            raise ValueError(
                f"teacher_order of query {self.query.query_id!r} is not a permutation of its "
                f"{len(self.passages)} passages: {self.teacher_order}"
            )


FEATURES = Features(
    {
        "query_id": Value("string"),
        "query": Value("string"),
        "query_type": ClassLabel(names=list(QUERY_TYPES)),
        "source_docid": Value("string"),
        "retriever": ClassLabel(names=list(RETRIEVERS)),
        "retrieved_passages": List(
            {
                "docid": Value("string"),
                "title": Value("string"),
                "text": Value("string"),
                "rank": Value("int32"),
                "retriever_rank": Value("int32"),
                "retriever_score": Value("float32"),
            }
        ),
        "teacher": Value("string"),
    }
)
