"""Scores that mean something: `python -m training.calibrate CHECKPOINT --judged FOLDER --split dev`.

Fits a temperature and a shift, so that sigmoid((score - shift) / temperature) is the share of relevant passages among
those scored alike, and writes both into the checkpoint's `config.json`. The order stays. Relevant is what was judged
so, of what BM25 finds for a judged collection's queries; or, of a dataset's held-out split, what the teacher ranks
first. The numbers hold for queries and pools like those. What thresholds keep is printed, and kept beside the
configuration for the model card.
"""

import argparse
import json
from pathlib import Path
from typing import NamedTuple

from evaluation.settings import BM25_NAME
from retrieval.corpus import LAYOUTS
from retrieval.errors import InputError, run_cli
from retrieval.text_file import write_text


def main() -> None:
    """Fit, write into the checkpoint's configuration, and print what thresholds keep."""
    arguments = _parser().parse_args()
    # Not before: these take seconds to import, and --help does without.
    import torch

    from modeling_twolar import load_reranker
    from training.calibration import FILE_NAME, fit, table

    path = arguments.checkpoint / "config.json"
    if not path.is_file():
        raise InputError(f"{path} does not exist; give a folder that train_hf.py wrote")
    settings = json.loads(path.read_text(encoding="utf-8"))
    if settings.get("model_type") != "twolar":
        raise InputError(f"{path} is of a {settings.get('model_type')} model, not of a TWOLAR checkpoint")
    sample = _judged(arguments) if arguments.judged else _labelled(arguments)
    scores, relevant = load_reranker(arguments.checkpoint).score(sample.pairs), torch.tensor(sample.relevant)
    calibration = fit(scores, relevant)
    settings |= {"score_temperature": calibration.temperature, "score_shift": calibration.shift}
    thresholds = (
        f"{len(scores):,} passages of {sample.name}, {int(relevant.sum())} of them {sample.how}:\n\n"
        f"{table(calibration.relevance(scores), relevant)}\n"
    )
    write_text(path, json.dumps(settings, indent=2))
    write_text(path.with_name(FILE_NAME), thresholds)  # last: make takes it for the mark that all is done
    print(f"temperature {calibration.temperature:.4g}, shift {calibration.shift:.4g}, in {path}")
    print(thresholds, end="")


class Sample(NamedTuple):
    """Pairs of query and passage, and whether each is relevant; `name`: of what, `how`: by whose word."""

    pairs: list[tuple[str, str]]
    relevant: list[bool]
    name: str
    how: str


def _labelled(arguments: argparse.Namespace) -> Sample:
    from training.collator import contents
    from training.data import load_split

    rows = load_split(arguments.dataset_name, arguments.split, arguments.max_queries)
    listed = [(row["query"], passage) for row in rows for passage in row["retrieved_passages"]]
    pairs = [(query, contents(passage)) for query, passage in listed]
    relevant = [passage["rank"] == 1 for _, passage in listed]
    return Sample(
        pairs, relevant, f"{arguments.dataset_name}'s split {arguments.split}", "the teacher's first"
    )


def _judged(arguments: argparse.Namespace) -> Sample:
    from evaluation.collections import load_collection
    from evaluation.first_stage import retrieve
    from training.held_out import LOGS

    collection = load_collection(Path(arguments.judged), arguments.split, arguments.corpus, None)
    candidates = retrieve(collection, BM25_NAME, arguments.top_k, arguments.checkpoint / LOGS)
    least, qrels = collection.relevant_from, collection.qrels
    relevant = [qrels[query_id].get(docid, 0) >= least for query_id, docid in candidates.keys]
    return Sample(candidates.pairs(collection.queries), relevant, collection.name, "judged relevant")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.calibrate", description=__doc__)
    parser.add_argument("checkpoint", metavar="CHECKPOINT", type=Path, help="folder of a TWOLAR checkpoint")
    truth = parser.add_mutually_exclusive_group(required=True)
    truth.add_argument(
        "--judged", metavar="FOLDER", help="queries.jsonl and qrels/SPLIT.tsv, in BEIR's layout"
    )
    truth.add_argument("--dataset_name", help="a dataset as train_hf.py takes it")
    parser.add_argument(
        "--split", default="test", help="that training did not see, and no figure is reported of"
    )
    judged = parser.add_argument_group("of --judged")
    judged.add_argument("--corpus", help=f"the passages, where the folder has none: {LAYOUTS}")
    judged.add_argument("--top_k", type=int, default=30, help="of BM25's best passages so many a query")
    labelled = parser.add_argument_group("of --dataset_name")
    labelled.add_argument("--max_queries", type=int, default=200, help="the first so many")
    return parser


if __name__ == "__main__":
    run_cli(main)
