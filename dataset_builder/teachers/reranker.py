"""A teacher that scores: a TWOLAR checkpoint, or any model that one can start from, such as a cross-encoder.

It sees one passage at a time, so it needs no window, and its labels are scores: a student can learn how far
apart two passages are, not only their order (Hofstätter et al. 2020, arXiv 2010.02666).
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol

import torch
from safetensors import SafetensorError

from dataset_builder.batches import batched
from dataset_builder.device import best_device, best_dtype
from dataset_builder.errors import InputError
from dataset_builder.packaged_model import model_path
from dataset_builder.records import Passage, RankingExample
from dataset_builder.teacher_name import RERANKER, TeacherName
from dataset_builder.teachers import TeacherAnswer, labelled

# Passages of similar length share a batch, and a bi-encoder encodes a passage of several pools once: on a CPU,
# MiniLM labels 32 pools together up to three times as fast as one after the other.
POOLS_AT_ONCE = 32

Pair = tuple[str, str]


class PairModel(Protocol):
    """What is asked of a reranker."""

    def score(self, pairs: Sequence[Pair]) -> torch.Tensor:
        """Scores of (query, passage) pairs, (num_pairs,) float32, higher is more relevant.

        Raises:
            ValueError: where a score is not finite.
        """
        ...


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
                yield labelled(pool, _answer(islice(scores, len(pool.passages))), self.name)

    def order(self, query: str, passages: Sequence[Passage]) -> TeacherAnswer:
        """Rank `passages` for `query`, with their scores."""
        return _answer(self._scores([(query, passage.contents) for passage in passages]))

    def _scores(self, pairs: Sequence[Pair]) -> list[float]:
        try:
            scores: list[float] = self._model.score(pairs).tolist()
        except ValueError as error:
            raise InputError(f"teacher {self.name} cannot score ({_reason(error)})") from error
        return scores


def open_reranker(name_or_path: str) -> RerankerTeacher:
    """The teacher `reranker:NAME_OR_PATH`, its weights on a GPU in bf16, else on the CPU in fp32.

    Raises:
        InputError: for a model that cannot be loaded, or cannot be a reranker.
    """
    from modeling_twolar import load_reranker

    try:
        model = load_reranker(model_path(name_or_path))
    except (OSError, ValueError, RuntimeError, ImportError, SafetensorError) as error:
        raise _cannot_be_loaded(name_or_path, error) from error
    return RerankerTeacher(
        str(TeacherName(RERANKER, name_or_path)),
        model.to(best_device(), best_dtype()),  # type: ignore[arg-type]
    )


def check_reranker(name_or_path: str) -> None:
    """Find, before a build begins, a model that is not there. Its weights are not read yet.

    Raises:
        InputError: for a model that is neither here nor on the Hub.
    """
    from transformers import PretrainedConfig

    try:
        settings, _ = PretrainedConfig.get_config_dict(model_path(name_or_path))
        if not settings:
            raise OSError("the folder has no config.json")
    except (OSError, ValueError) as error:
        raise _cannot_be_loaded(name_or_path, error) from error


def _answer(scores: Iterable[float]) -> TeacherAnswer:
    own = tuple(scores)
    order = sorted(range(len(own)), key=lambda index: -own[index])
    return TeacherAnswer(tuple(order), "ok", own)


def _cannot_be_loaded(name_or_path: str, error: Exception) -> InputError:
    return InputError(f"teacher {RERANKER}:{name_or_path} cannot be loaded ({_reason(error)})")


def _reason(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
