"""What is compared: a reranker, a bi-encoder's cosine, or a ready-made run."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from evaluation.first_stage import COSINE, Candidates
from evaluation.own_passages import of_queries
from evaluation.score_cache import Pair, ScoreCache, Scorer
from retrieval.errors import InputError
from retrieval.model_files import model_path
from retrieval.model_revision import model_revision
from retrieval.named import parse_named
from retrieval.trec_run import Run, ordered, read_run


@dataclass(frozen=True, slots=True)
class SystemRun:
    """A system's run.

    `num_pairs`: the run's distinct (query, passage) texts; 0 for a run file.
    `num_cached`: how many of them were scored by an earlier call.
    `num_timed`, `seconds`: how many were timed when they were scored, and how long those took.
    `revision`: hash of the weights or of the run file, or the Hub's commit.
    `num_own`: queries whose own passage the run had, and which was left out.
    """

    name: str
    run: Run
    num_pairs: int = 0
    num_cached: int = 0
    num_timed: int = 0
    seconds: float = 0.0
    revision: str = ""
    num_own: int = 0

    @property
    def passages_per_second(self) -> float | None:
        """None for a run file."""
        return self.num_timed / self.seconds if self.seconds else None


def rerank(
    name: str, model: str, cache: ScoreCache, candidates: Candidates, queries: dict[str, str]
) -> SystemRun:
    """Score every candidate that `cache` does not hold, and order each query's by score.

    Args:
        model: as `load_scorer` takes it; loaded only where a score is missing.

    Raises:
        InputError: for a model that cannot be loaded, or whose scores are not finite.
    """
    pairs = candidates.pairs(queries)
    revision = model_revision(model.removeprefix(COSINE))
    if model.startswith(COSINE):
        revision = COSINE + revision
    missing = cache.missing(revision, pairs)
    if missing:
        _fill(model, cache, revision, missing)
    scores = cache.scores(revision, pairs)
    by_query: dict[str, dict[str, float]] = {query_id: {} for query_id in candidates.run}
    for (query_id, docid), pair in zip(candidates.keys, pairs, strict=True):
        by_query[query_id][docid] = scores[pair]
    run = {query_id: ordered(found) for query_id, found in by_query.items()}
    seconds = cache.seconds(revision, pairs)
    return SystemRun(
        name, run, len(scores), len(scores) - len(missing), len(seconds), sum(seconds), revision=revision
    )


def _fill(model: str, cache: ScoreCache, revision: str, missing: Sequence[Pair]) -> None:
    scorer = load_scorer(model)
    try:
        cache.fill(revision, missing, scorer)
    except ValueError as error:
        raise InputError(f"model {model} cannot score ({str(error).splitlines()[0]})") from error


def load_scorer(model: str) -> Scorer:
    """`cosine:NAME_OR_PATH` is a bi-encoder's cosine; anything else a TWOLAR checkpoint, or an untrained reranker.

    Raises:
        InputError: for a model that cannot be loaded.
    """
    try:
        return _cosine(model.removeprefix(COSINE)) if model.startswith(COSINE) else _reranker(model)
    except (OSError, ValueError) as error:
        raise InputError(f"model {model} cannot be loaded ({str(error).splitlines()[0]})") from error


def load_run(spec: str, queries: Collection[str], may_ask_passages: bool = True) -> SystemRun | None:
    """A run file `NAME=PATH` for these queries; None where it has none of them.

    `may_ask_passages`: see `JudgedCollection`; then their own passages are left out.
    """
    name, path = parse_named(spec)
    others = of_queries(read_run(Path(path)), queries, may_ask_passages)
    revision = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return SystemRun(name, others.run, revision=revision, num_own=others.num_own) if others.run else None


def _reranker(name: str) -> Scorer:
    from modeling_twolar import load_reranker

    model = load_reranker(model_path(name))
    if torch.cuda.is_available():
        torch.nn.Module.cuda(model)
    return lambda pairs: model.score(pairs).tolist()


def _cosine(name: str) -> Scorer:
    from sentence_transformers import SentenceTransformer

    encoder = SentenceTransformer(model_path(name))

    def score(pairs: Sequence[Pair]) -> list[float]:
        texts = list(dict.fromkeys(text for pair in pairs for text in pair))
        vectors = encoder.encode(texts, normalize_embeddings=True, show_progress_bar=False)
        row = {text: vector for text, vector in zip(texts, vectors, strict=True)}
        return [float(row[query] @ row[passage]) for query, passage in pairs]

    return score
