"""Compares settings of `train_hf.py` over a collection's own queries: `python -m training.cross_validation --help`.

For a teacher's rankings of judged queries. Each query is ranked by a student that was trained without it, so the
judgments choose settings and never train.
"""

import argparse
import hashlib
import os
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from datasets import Dataset

from evaluation.collections import load_collection
from evaluation.first_stage import BM25_NAME, retrieve
from evaluation.plots import slug
from evaluation.report import make_report
from evaluation.results_folder import write_results
from evaluation.score_cache import ScoreCache
from evaluation.systems import SystemRun, load_run, parse_named, rerank
from evaluation.tables import details
from evaluation.training_runs import train
from retrieval.errors import InputError, run_cli
from retrieval.model_revision import model_revision
from retrieval.trec_run import Run, write_run
from training.arguments import DataArguments, parse_arguments
from training.data import load_rankings, normal


def main() -> None:
    """Train each settings file once a fold, rank the fold's queries, and write one table over all queries."""
    arguments = _parser().parse_args()
    folder = arguments.output_dir.resolve()
    collection = load_collection(arguments.collection, arguments.split, arguments.corpus, None)
    candidates = retrieve(collection, arguments.first_stage, arguments.top_k, folder / "indexes")
    rankings, _ = load_rankings(
        DataArguments(dataset_name=arguments.dataset_name, held_out=0), arguments.seed
    )
    folds = [
        Fold(query_ids, write_without(rankings, [collection.queries[key] for key in query_ids], folder))
        for query_ids in split(list(candidates.run), arguments.folds, arguments.seed)
    ]
    cache = ScoreCache(folder / "scores.sqlite")
    systems = [SystemRun(candidates.name, candidates.run)]
    for spec in arguments.model:
        name, model = parse_named(spec)
        print(f"scoring with {name}", flush=True)
        systems.append(rerank(name, model, cache, candidates, collection.queries))
    systems += [run for spec in arguments.run if (run := load_run(spec, collection.queries))]
    for config in arguments.config:
        held_out: Run = {}
        for fold, student in zip(folds, train_folds(config, folds, folder), strict=True):
            own = replace(candidates, run={key: candidates.run[key] for key in fold.query_ids})
            held_out |= rerank(config.stem, str(student), cache, own, collection.queries).run
        systems.append(SystemRun(config.stem, held_out))
    for system in systems:
        write_run(folder / "runs" / f"{slug(system.name)}.txt", system.run, slug(system.name))
    relevant_from = collection.relevant_from
    report = make_report(collection, candidates, systems, arguments.top_k, arguments.seed, relevant_from)
    print(f"\n{details(report).markdown()}")
    write_results([report], [], folder)
    print(f"\nwritten to {folder}: results.md, .tex and .json, plots/, the runs and the folds' students")


@dataclass(frozen=True, slots=True)
class Fold:
    """`query_ids`: of the queries that are held out. `dataset`: folder of the rankings of all others."""

    query_ids: Sequence[str]
    dataset: Path


def split(query_ids: Sequence[str], num_folds: int, seed: int) -> list[list[str]]:
    """The queries in `num_folds` parts of equal size, drawn with `seed`.

    Raises:
        InputError: where there are fewer queries than folds.
    """
    if num_folds > len(query_ids):
        raise InputError(f"--folds {num_folds}: there are only {len(query_ids)} queries")
    shuffled = random.Random(seed).sample(list(query_ids), len(query_ids))
    return [shuffled[start::num_folds] for start in range(num_folds)]


def write_without(rankings: Dataset, held_out: Collection[str], folder: Path) -> Path:
    """Write the rankings of all other queries, compared by their text, and return their folder, named by content.

    Raises:
        InputError: where nothing is left to train on, or the held-out queries have no ranking.
    """
    texts = {normal(query) for query in held_out}
    kept = rankings.filter(lambda query: normal(query) not in texts, input_columns="query")
    if len(kept) in (0, len(rankings)):
        raise InputError(
            "the dataset's queries are not the collection's: a fold would hold out all of them or none; "
            "make the dataset with python -m dataset_builder import-runs --queries of this collection"
        )
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / "fold.unfinished"
    kept.to_parquet(unfinished)
    digest = hashlib.sha256(unfinished.read_bytes()).hexdigest()[:16]
    path = folder / "datasets" / digest / f"train-{digest}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    os.replace(unfinished, path)
    return path.parent


def train_folds(config: Path, folds: Sequence[Fold], folder: Path) -> list[Path]:
    """Train `config` without each fold's queries; what an earlier call finished is kept.

    Returns:
        The students' folders, named by the settings' text, the weights they start from and the fold's dataset.

    Raises:
        InputError: where there is no such file, or a training fails.
    """
    if not config.is_file():
        raise InputError(f"settings {config} do not exist")
    first, *_ = parse_arguments([str(config), "--dataset_name", str(folds[0].dataset)])
    start = model_revision(first.model.model_name_or_path)
    digest = hashlib.sha256(config.read_bytes() + start.encode()).hexdigest()[:12]
    models = []
    for number, fold in enumerate(folds, start=1):
        print(f"{config.stem}: fold {number} of {len(folds)}", flush=True)
        model = folder / "students" / f"{slug(config.stem)}-{digest}" / fold.dataset.name / "model"
        flags = [str(config.resolve()), "--dataset_name", str(fold.dataset)]
        train(flags, model, f"training of {config.stem}, fold {number},")
        models.append(model)
    return models


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.cross_validation", description=__doc__)
    add = parser.add_argument
    add(
        "--config",
        nargs="+",
        type=Path,
        required=True,
        help="settings files of train_hf.py; each is one row of the table, called by its file's name",
    )
    add("--dataset_name", required=True, help="a teacher's rankings of the collection's queries")
    add("--collection", type=Path, required=True, help="a judged collection in BEIR's layout")
    add("--split", default="test", help="its qrels")
    add("--corpus", help="its passages, where they are not in the folder")
    add("--first_stage", default=BM25_NAME, help="bm25, or a TREC run: what is ranked")
    add("--top_k", type=int, default=100, help="candidates a query")
    add("--folds", type=int, default=2, help="how many parts the queries are split into")
    add("--seed", type=int, default=42, help="of the split and of the tests")
    add(
        "--model",
        nargs="*",
        default=[],
        help="[NAME=]checkpoint, backbone or cosine:bi-encoder to compare with",
    )
    add("--run", nargs="*", default=[], help="[NAME=]run file to compare with")
    add("--output_dir", type=Path, default=Path("runs/cross_validation"), help="students, scores and table")
    return parser


if __name__ == "__main__":
    run_cli(main)
