"""What `--teacher` names: a kind of teacher and, for most kinds, a model; and what `--ensemble` is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from dataset_builder.pools.methods import METHODS
from retrieval.errors import InputError
from retrieval.model_name import published_name

# Listwise orders of a language model: asked live, in batches, or here.
OPENAI, BATCH, LOCAL = "openai", "batch", "local"
# Scores, passage by passage.
POINTWISE, LIKELIHOOD, RERANKER = "pointwise", "likelihood", "reranker"
FUSION, ENSEMBLE = "rank-fusion", "ensemble"
# Rankings that import-runs took from elsewhere: nobody is asked.
RUN = "run"
# A member of an ensemble: what one of the build's retrieval methods says.
RETRIEVER = "retriever"

# Batches of other providers than OpenAI, by how a model's name begins: batch:anthropic/MODEL.
PROVIDERS = ANTHROPIC, GOOGLE = "anthropic", "google"

LISTWISE = (OPENAI, BATCH, LOCAL)
LANGUAGE_MODELS = (*LISTWISE, POINTWISE)
OF_A_MODEL = (*LANGUAGE_MODELS, LIKELIHOOD, RERANKER)


@dataclass(frozen=True, slots=True)
class TeacherName:
    """A teacher by its kind. `model`: a name or path; "" where the kind needs none; of imported runs, their files."""

    kind: str
    model: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """`KIND:MODEL`, `rank-fusion` or `ensemble`.

        Raises:
            InputError: for a teacher that is not known.
        """
        kind, _, model = text.partition(":")
        if text in (FUSION, ENSEMBLE) or kind == RUN or (kind in OF_A_MODEL and model):
            return cls(kind, model)
        forms = ", ".join(f"{kind}:MODEL" for kind in OF_A_MODEL)
        raise InputError(f"teacher {text!r} is not known; give {forms}, {FUSION} or {ENSEMBLE}")

    @property
    def is_language_model(self) -> bool:
        """Whether it is asked by prompts: its answers are kept, and they may cost money."""
        return self.kind in LANGUAGE_MODELS

    @property
    def gives_scores(self) -> bool:
        """Whether each passage gets a score, and not only a place."""
        return self.kind in (POINTWISE, LIKELIHOOD, RERANKER, ENSEMBLE)

    @property
    def weights(self) -> tuple[str, ...]:
        """The models whose weights are read here: a dataset's sources."""
        return (self.model,) if self.kind in (LOCAL, LIKELIHOOD, RERANKER) else ()

    def __str__(self) -> str:
        """As it is published."""
        if self.kind == RETRIEVER:
            return self.model
        return f"{self.kind}:{published_name(self.model)}" if self.model else self.kind


@dataclass(frozen=True, slots=True)
class Member:
    """One teacher or retrieval method of an ensemble, and its weight."""

    teacher: TeacherName
    weight: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """`TEACHER=WEIGHT` or `TEACHER`, whose weight is 1; a retrieval method counts as a teacher.

        Raises:
            InputError: for a teacher that is not known or no member of anything, or a weight that is no number above 0.
        """
        name, equals, number = text.rpartition("=")
        if not equals:
            name, number = text, "1"
        try:
            weight = float(number)
        except ValueError:
            weight = 0.0
        if not 0 < weight < float("inf"):
            raise InputError(f"--ensemble {text!r}: {number!r} is no weight; give a number above 0")
        teacher = TeacherName(RETRIEVER, name) if name in METHODS else TeacherName.parse(name)
        if teacher.kind in (ENSEMBLE, RUN):
            raise InputError(f"--ensemble {text!r}: {teacher.kind} cannot be a member")
        return cls(teacher, weight)

    def __str__(self) -> str:
        """As it is published."""
        return f"{self.weight:g} x {self.teacher}"


def ensemble_name(members: Sequence[Member]) -> str:
    """As it is published."""
    return f"{ENSEMBLE}: {' + '.join(map(str, members))}"
