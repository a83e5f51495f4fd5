"""What is compared: a reranker, a bi-encoder's cosine, or a ready-made run."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dataset_builder.errors import InputError
from dataset_builder.packaged_model import model_path
from dataset_builder.trec_run import Run, ordered, read_run
from evaluation.score_cache import Pair, ScoreCache, Scorer, model_revision

COSINE = "cosine:"


@dataclass(frozen=True, slots=True)
class SystemRun:
    """A system's run. `seconds`, `num_pairs`: of what was scored now, not read from the cache or a run file."""

    name: str
    run: Run
    seconds: float = 0.0
    num_pairs: int = 0
    revision: str = ""


def parse_named(spec: str) -> tuple[str, str]:
    """`NAME=VALUE`, or a bare value, which is its own name."""
    name, _, value = spec.partition("=")
    return (name, value) if value else (Path(spec).name, spec)


def rerank(
    name: str, model: str, cache: ScoreCache, candidates: Run, queries: dict[str, str], texts: dict[str, str]
) -> SystemRun:
    """Score every candidate that `cache` does not hold, and order each query's by score.

    Args:
        model: as `load_scorer` takes it; loaded only where a score is missing.
    """
    keys = [(query_id, hit.docid) for query_id, hits in candidates.items() for hit in hits]
    pairs = [(queries[query_id], texts[docid]) for query_id, docid in keys]
    revision = _revision(model)
    missing, seconds = cache.missing(revision, pairs), 0.0
    if missing:
        scorer = load_scorer(model)
        start = time.perf_counter()
        cache.fill(revision, missing, scorer)
        seconds = time.perf_counter() - start
    by_query: dict[str, dict[str, float]] = {query_id: {} for query_id in candidates}
    for (query_id, docid), score in zip(keys, cache.scores(revision, pairs), strict=True):
        by_query[query_id][docid] = score
    run = {query_id: ordered(found) for query_id, found in by_query.items()}
    return SystemRun(name, run, seconds, len(missing), revision)


def _revision(model: str) -> str:
    kind = COSINE if model.startswith(COSINE) else ""
    try:
        return kind + model_revision(model_path(model.removeprefix(COSINE)))
    except (OSError, ValueError) as error:
        raise InputError(f"model {model} cannot be loaded ({str(error).splitlines()[0]})") from error


def load_scorer(model: str) -> Scorer:
    """`cosine:NAME_OR_PATH` is a bi-encoder's cosine; anything else a TWOLAR checkpoint or its backbone.

    Raises:
        InputError: for a model that cannot be loaded.
    """
    try:
        return _cosine(model.removeprefix(COSINE)) if model.startswith(COSINE) else _reranker(model)
    except (OSError, ValueError) as error:
        raise InputError(f"model {model} cannot be loaded ({str(error).splitlines()[0]})") from error


def load_run(spec: str, candidates: Run) -> SystemRun:
    """A run file `NAME=PATH`, as it is, for the queries of `candidates`."""
    name, path = parse_named(spec)
    run = read_run(Path(path))
    return SystemRun(name, {query_id: run[query_id] for query_id in candidates if query_id in run})


def _reranker(path: str) -> Scorer:
    from modeling_twolar import TwolarForReranking

    model = TwolarForReranking.from_pretrained(path)
    return lambda pairs: model.score(pairs).tolist()


def _cosine(name: str) -> Scorer:
    from sentence_transformers import SentenceTransformer

    encoder = SentenceTransformer(model_path(name))

    def score(pairs: Sequence[Pair]) -> list[float]:
        texts = list(dict.fromkeys(text for pair in pairs for text in pair))
        vectors = encoder.encode(texts, normalize_embeddings=True, show_progress_bar=True)
        row = {text: vector for text, vector in zip(texts, vectors, strict=True)}
        return [float(row[query] @ row[passage]) for query, passage in pairs]

    return score
