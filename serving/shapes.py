"""Requests and answers in the shapes of Cohere, Jina, Voyage and TEI, which share most of their words.

| | documents | how many | texts in the answer | answer |
| --- | --- | --- | --- | --- |
| Cohere, Jina | `documents`, of `rank_fields` | `top_n` | `return_documents` | `results`, with `relevance_score` |
| Voyage | `documents` | `top_k` (and always `truncation`) | `return_documents` | `data`, with `relevance_score` |
| TEI | `texts` | | `return_text` | a bare list, with `score` from 0 to 1 unless `raw_scores` |
"""

import json
import uuid
from collections.abc import Sequence
from typing import Annotated, Any, Literal, NotRequired

from pydantic import (
    AfterValidator,
    BaseModel,
    Discriminator,
    Field,
    JsonValue,
    PrivateAttr,
    StringConstraints,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from serving.scorer import Scored

MAX_QUERY_CHARACTERS = 2000  # a query is read once for each document
DEFAULT_FIELDS = ("text",)


def _unicode(text: str) -> str:
    text.encode()  # JSON can spell half a surrogate pair, which no tokenizer takes: ValueError
    return text


def _unicode_object(fields: dict[str, JsonValue]) -> dict[str, JsonValue]:
    _unicode(json.dumps(fields, ensure_ascii=False))
    return fields


def _kind(document: object) -> str | None:
    if isinstance(document, str):
        return "string"
    return "object" if isinstance(document, dict) else None


Text = Annotated[str, AfterValidator(_unicode)]
Object = Annotated[dict[str, JsonValue], AfterValidator(_unicode_object)]
Document = Annotated[
    Annotated[Text, Tag("string")] | Annotated[Object, Tag("object")],
    Discriminator(
        _kind,
        custom_error_type="document",
        custom_error_message='Input should be a string or an object with "text"',
    ),
]


class RerankRequest(BaseModel):
    """Documents to put in order. Other fields of such requests are accepted and ignored."""

    model: str | None = Field(None, description="A served checkpoint's name; by default the first.")
    query: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_QUERY_CHARACTERS),
        AfterValidator(_unicode),
    ]
    documents: list[Document] | None = Field(None, min_length=1)
    texts: list[Text] | None = Field(None, min_length=1, description="TEI's word for documents.")
    rank_fields: list[str] | None = Field(
        None, min_length=1, description="Of documents that are objects: what is read, in this order."
    )
    top_n: int | None = Field(None, ge=1, description="Only the best so many; by default all.")
    top_k: int | None = Field(None, ge=1, description="Voyage's word for top_n.")
    return_documents: bool | None = Field(None, description="Repeat the documents in the answer.")
    return_text: bool | None = Field(None, description="TEI's word for return_documents.")
    raw_scores: bool | None = Field(
        None,
        description="False: scores from 0 to 1, as the checkpoint is calibrated. TEI's default, and no other's.",
    )
    truncation: bool | None = Field(None, description="Voyage's; long documents are always cut.")

    _passages: list[str] = PrivateAttr(default_factory=list)

    @model_validator(mode="after")
    def _read_documents(self) -> "RerankRequest":
        if (self.documents is None) == (self.texts is None):
            raise PydanticCustomError("documents", "give documents, or texts in TEI's shape")
        fields = self.rank_fields or DEFAULT_FIELDS
        self._passages = [_passage(document, index, fields) for index, document in enumerate(self.given)]
        return self

    @property
    def given(self) -> Sequence[str | dict[str, JsonValue]]:
        """The documents as they came."""
        return self.texts or self.documents or []

    @property
    def passages(self) -> list[str]:
        """The documents as the checkpoint reads them."""
        return self._passages

    @property
    def shape(self) -> Literal["cohere", "voyage", "tei"]:
        """Whose words the request speaks; Jina's are Cohere's."""
        if self.texts is not None:
            return "tei"
        return "voyage" if self.top_k is not None or self.truncation is not None else "cohere"

    @property
    def wants_relevance(self) -> bool:
        """Whether its scores are to lie between 0 and 1."""
        return self.shape == "tei" if self.raw_scores is None else not self.raw_scores


def _passage(document: str | dict[str, JsonValue], index: int, fields: Sequence[str]) -> str:
    """A document's text; an object's fields with blanks between them, as title and text in training."""
    if isinstance(document, str):
        return document
    texts = [document.get(name) for name in fields]
    for name, text in zip(fields, texts, strict=True):
        if not isinstance(text, str):
            found = "nothing" if text is None else type(text).__name__
            raise PydanticCustomError(
                "document",
                "documents.{index}: {name} should be a string, and is {found}; rank_fields names others",
                {"index": index, "name": repr(name), "found": found},
            )
    return " ".join(str(text) for text in texts if text)


class Usage(TypedDict):
    """What the request held. `total_tokens`: of the query and the documents, before any is cut."""

    total_tokens: int


class Result(TypedDict):
    """A document's place in the ranking. `index`: of the document in the request, from 0.

    `document`: {"text": ...} of a string, an object as it came; in Voyage's shape as it came.
    """

    index: int
    relevance_score: float
    document: NotRequired[Any]


class TeiResult(TypedDict):
    """A document's place in the ranking, in TEI's words."""

    index: int
    score: float
    text: NotRequired[str]


class RerankAnswer(TypedDict):
    """The documents, most relevant first; ties keep the request's order."""

    id: str
    model: str
    results: list[Result]
    usage: Usage


class VoyageAnswer(TypedDict):
    """The same in Voyage's words."""

    object: Literal["list"]
    data: list[Result]
    model: str
    usage: Usage


Answer = RerankAnswer | VoyageAnswer | list[TeiResult]


def answer(request: RerankRequest, scored: Scored, shown: Sequence[float], model: str) -> Answer:
    """The ranking, in the shape of the request.

    Args:
        shown: of each document what stands in the answer. What ranks it is its score: high ones have one relevance, 1.
        model: the checkpoint's served name.
    """
    best = sorted(range(len(scored.scores)), key=lambda index: -scored.scores[index])
    best = best[: min(request.top_n or len(best), request.top_k or len(best))]
    if request.shape == "tei":
        return [_tei_result(request, index, shown[index]) for index in best]
    results = [_result(request, index, shown[index]) for index in best]
    usage = Usage(total_tokens=scored.num_tokens)
    if request.shape == "voyage":
        return VoyageAnswer(object="list", data=results, model=model, usage=usage)
    return RerankAnswer(id=str(uuid.uuid4()), model=model, results=results, usage=usage)


def _result(request: RerankRequest, index: int, score: float) -> Result:
    result = Result(index=index, relevance_score=score)
    if request.return_documents or request.return_text:
        document = request.given[index]
        is_bare = isinstance(document, str) and request.shape != "voyage"
        result["document"] = {"text": document} if is_bare else document
    return result


def _tei_result(request: RerankRequest, index: int, score: float) -> TeiResult:
    result = TeiResult(index=index, score=score)
    if request.return_documents or request.return_text:
        result["text"] = request.passages[index]
    return result
