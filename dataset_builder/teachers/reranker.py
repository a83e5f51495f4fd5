"""A teacher that scores: a TWOLAR checkpoint, or any model that one can start from, such as a cross-encoder.

It sees one passage at a time, so it needs no window, and its labels are scores: a student can learn how far
apart two passages are, not only their order (Hofstätter et al. 2020, arXiv 2010.02666).
"""

import functools
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Protocol

import torch
from safetensors import SafetensorError

from dataset_builder.ranking_example import RankingExample
from dataset_builder.teacher_name import RERANKER, TeacherName
from dataset_builder.teachers import TeacherAnswer, best_first, labelled
from retrieval.batches import batched
from retrieval.device import best_device, best_dtype
from retrieval.errors import InputError
from retrieval.model_files import model_path
from retrieval.records import Passage

# Passages of similar length share a batch: on a CPU, MiniLM labels 32 pools together up to three times as fast as one
# after the other.
POOLS_AT_ONCE = 32
# Of the vectors of passages, which pools share.
KEEP_BYTES = 1 << 30

if TYPE_CHECKING:
    from modeling_twolar import TwolarForReranking
    from modeling_twolar.scoring_apart import PassageVectors

Pair = tuple[str, str]


class PairModel(Protocol):
    """What is asked of a reranker."""

    def score(self, pairs: Sequence[Pair]) -> torch.Tensor:
        """Scores of (query, passage) pairs, (num_pairs,) float32, higher is more relevant.

        Raises:
            ValueError: where a score is not finite.
        """
        ...


class KeptPassages:
    """A bi-encoder as a `PairModel` that encodes a passage once for all the pools it is in, as long as it is kept.

    `keep_bytes`: how much of the passages' vectors is kept; those that were not asked for longest go first.
    """

    def __init__(self, model: "TwolarForReranking", keep_bytes: int = KEEP_BYTES) -> None:
        self._model = model
        self._kept: OrderedDict[str, PassageVectors] = OrderedDict()
        self._free = keep_bytes

    def score(self, pairs: Sequence[Pair]) -> torch.Tensor:
        """See `PairModel.score`."""
        self._encode([passage for _, passage in pairs])
        scores = torch.zeros(len(pairs))
        for query, places in _places(query for query, _ in pairs).items():
            for ranked in self._model.rank_encoded(query, [self._kept[pairs[place][1]] for place in places]):
                scores[places[ranked["corpus_id"]]] = ranked["score"]
        self._forget()
        if not torch.isfinite(scores).all():
            raise ValueError("a score is not finite")
        return scores

    def _encode(self, passages: Sequence[str]) -> None:
        """Encode what is not kept, and move all of these to the end of those that are forgotten."""
        missing = [text for text in dict.fromkeys(passages) if text not in self._kept]
        for text, vectors in zip(missing, self._model.encode_passages(missing), strict=True):
            self._kept[text] = vectors
            self._free -= _size(vectors)
        for text in passages:
            self._kept.move_to_end(text)

    def _forget(self) -> None:
        while self._free < 0 and self._kept:
            _, vectors = self._kept.popitem(last=False)
            self._free += _size(vectors)


def _size(vectors: "PassageVectors") -> int:
    return sum(part.numel() * part.element_size() for part in vectors)


def _places(queries: Iterable[str]) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for place, query in enumerate(queries):
        places.setdefault(query, []).append(place)
    return places


class RerankerTeacher:
    """Orders a pool by a reranker's scores; ties keep the first-stage order.

    A score's last digits depend on the pools that share a batch.
    """

    def __init__(self, name: str, model: PairModel) -> None:
        self.name = name
        self._model = model

    def label(self, examples: Iterable[RankingExample]) -> Iterator[RankingExample]:
        """See `Teacher.label`.

        Raises:
            InputError: for a score that is not finite.
        """
        for group in batched(examples, POOLS_AT_ONCE):
            pairs = [(pool.query.text, found.passage.contents) for pool in group for found in pool.passages]
            scores = iter(self._scores(pairs))
            for pool in group:
                yield labelled(pool, best_first(list(islice(scores, len(pool.passages)))), self.name)

    def order(self, query: str, passages: Sequence[Passage]) -> TeacherAnswer:
        """Rank `passages` for `query`, with their scores."""
        return best_first(self._scores([(query, passage.contents) for passage in passages]))

    def _scores(self, pairs: Sequence[Pair]) -> list[float]:
        try:
            scores: list[float] = self._model.score(pairs).tolist()
        except ValueError as error:
            raise InputError(f"teacher {self.name} cannot score ({_reason(error)})") from error
        return scores


@functools.cache
def open_reranker(name_or_path: str, layers: tuple[int, ...] | None = None) -> RerankerTeacher:
    """The teacher `reranker:NAME_OR_PATH`, its weights on a GPU in bf16, else on the CPU in fp32; loaded once, so that
    the passages that it has encoded for judged queries are there for a build's.

    Args:
        layers: those of the backbone that are kept; by default all.

    Raises:
        InputError: for a model that cannot be loaded, or cannot be a reranker.
    """
    from modeling_twolar import load_reranker
    from modeling_twolar.bi_encoder import BiEncoder

    teacher = TeacherName(RERANKER, name_or_path)
    try:
        model = load_reranker(model_path(name_or_path), layers=layers)
    except (OSError, ValueError, RuntimeError, ImportError, SafetensorError) as error:
        raise _cannot_be_loaded(teacher, error) from error
    model.to(best_device(), best_dtype())  # type: ignore[arg-type]
    once = isinstance(model.readout, BiEncoder)
    return RerankerTeacher(str(teacher), KeptPassages(model) if once else model)


def check_model(teacher: TeacherName) -> None:
    """Find, before a build begins, a teacher's model that is not there. Its weights are not read yet.

    Raises:
        InputError: for a model that is neither here nor on the Hub.
    """
    from transformers import PretrainedConfig

    try:
        settings, _ = PretrainedConfig.get_config_dict(model_path(teacher.model))
        if not settings:
            raise OSError("the folder has no config.json")
    except (OSError, ValueError) as error:
        raise _cannot_be_loaded(teacher, error) from error


def _cannot_be_loaded(teacher: TeacherName, error: Exception) -> InputError:
    return InputError(f"teacher {teacher.kind}:{teacher.model} cannot be loaded ({_reason(error)})")


def _reason(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
