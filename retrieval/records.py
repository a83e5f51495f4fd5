"""A passage, a query, and a passage found for a query: what every room speaks of."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage of the corpus. `title` or `text` may be empty; a passage with neither is not searched."""

    docid: str
    title: str
    text: str

    @property
    def contents(self) -> str:
        """Title and text as one string: what is indexed, encoded and scored."""
        return f"{self.title} {self.text}" if self.title and self.text else self.title or self.text


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
