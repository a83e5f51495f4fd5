"""What an evaluation is asked for: a field for each flag of `python -m evaluation`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

BM25_NAME = "bm25"


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """Collections, systems and where the results go; `python -m evaluation --help` says what each field takes.

    `first_stage`: one for all collections, or one for each. `reference`: None prints no published figures, an empty
    one those that are shipped. `language`: of a folder's passages, for BM25; "" finds it from a sample.
    """

    collection: Sequence[str]
    corpus: str | None = None
    split: str = "test"
    limit_queries: int | None = None
    index: Path | None = None
    topics: Path | None = None
    qrels: Path | None = None
    language: str = ""
    first_stage: Sequence[str] = (BM25_NAME,)
    top_k: int = 100
    model: Sequence[str] = ()
    run: Sequence[str] = ()
    baseline: str | None = None
    reference: Sequence[Path] | None = None
    output_dir: Path = Path("runs")
    relevant_from: int | None = None
    seed: int = 0
