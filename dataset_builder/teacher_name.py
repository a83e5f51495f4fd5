"""What `--teacher` names: a kind of teacher and, for most kinds, a model."""

from dataclasses import dataclass
from typing import Self

from dataset_builder.errors import InputError
from dataset_builder.model_name import published_name

OPENAI, BATCH, LOCAL = "openai", "batch", "local"
RERANKER = "reranker"
FUSION = "rank-fusion"
# Rankings that import-runs took from elsewhere: nobody is asked.
RUN = "run"

LANGUAGE_MODELS = (OPENAI, BATCH, LOCAL)


@dataclass(frozen=True, slots=True)
class TeacherName:
    """A teacher by its kind. `model`: a name or path; "" for rank fusion; of imported runs, their files."""

    kind: str
    model: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """`KIND:MODEL`, or `rank-fusion`.

        Raises:
            InputError: for a teacher that is not known.
        """
        kind, _, model = text.partition(":")
        if text == FUSION or kind == RUN or (kind in (*LANGUAGE_MODELS, RERANKER) and model):
            return cls(kind, model)
        raise InputError(
            f"teacher {text!r} is not known; give {OPENAI}:MODEL, {BATCH}:MODEL, {LOCAL}:PATH, "
            f"{RERANKER}:NAME_OR_PATH or {FUSION}"
        )

    @property
    def is_language_model(self) -> bool:
        """Whether it is prompted: it ranks in windows, its answers are kept, and they may cost money."""
        return self.kind in LANGUAGE_MODELS

    @property
    def weights(self) -> tuple[str, ...]:
        """The models whose weights are read here: a dataset's sources."""
        return (self.model,) if self.kind in (LOCAL, RERANKER) else ()

    def __str__(self) -> str:
        """As it is published."""
        return f"{self.kind}:{published_name(self.model)}" if self.model else self.kind
