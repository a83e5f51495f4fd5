"""Scores that mean something: `python -m training.calibrate CHECKPOINT --dataset_name NAME`.

Fits a temperature and a shift on a dataset's held-out split, so that sigmoid((score - shift) / temperature) is the
share of relevant passages among those scored alike, and writes both into the checkpoint's `config.json`. The order
stays. Relevant is what the teacher ranks first, so the numbers are as good as the teacher, and hold for pools like
the dataset's. What thresholds keep is printed, and kept beside it for the model card.
"""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.errors import InputError, run_cli
from retrieval.text_file import write_text

if TYPE_CHECKING:
    import torch


def main() -> None:
    """Fit, write into the checkpoint's configuration, and print what thresholds keep."""
    arguments = _parser().parse_args()
    # Not before: it takes a second to import, and --help does without.
    from training.calibration import FILE_NAME, fit, table

    path = arguments.checkpoint / "config.json"
    if not path.is_file():
        raise InputError(f"{path} does not exist; give a folder that train_hf.py wrote")
    settings = json.loads(path.read_text(encoding="utf-8"))
    if settings.get("model_type") != "twolar":
        raise InputError(f"{path} is of a {settings.get('model_type')} model, not of a TWOLAR checkpoint")
    scores, relevant = _scored(arguments)
    calibration = fit(scores, relevant)
    settings |= {"score_temperature": calibration.temperature, "score_shift": calibration.shift}
    thresholds = (
        f"{len(scores):,} passages of {arguments.dataset_name}'s split {arguments.split}, {int(relevant.sum())} of "
        f"them the teacher's first:\n\n{table(calibration.relevance(scores), relevant)}\n"
    )
    write_text(path.with_name(FILE_NAME), thresholds)
    write_text(path, json.dumps(settings, indent=2))
    print(f"temperature {calibration.temperature:.4g}, shift {calibration.shift:.4g}, in {path}")
    print(thresholds, end="")


def _scored(arguments: argparse.Namespace) -> "tuple[torch.Tensor, torch.Tensor]":
    """Scores of all passages, and whether each is the teacher's first."""
    import torch

    from modeling_twolar import load_reranker
    from training.collator import contents
    from training.data import load_split

    rows = load_split(arguments.dataset_name, arguments.split, arguments.max_queries)
    listed = [(row["query"], passage) for row in rows for passage in row["retrieved_passages"]]
    pairs = [(query, contents(passage)) for query, passage in listed]
    ranks = [passage["rank"] for _, passage in listed]
    return load_reranker(arguments.checkpoint).score(pairs), torch.tensor(ranks) == 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.calibrate", description=__doc__)
    parser.add_argument("checkpoint", metavar="CHECKPOINT", type=Path, help="folder of a TWOLAR checkpoint")
    parser.add_argument("--dataset_name", required=True, help="a dataset as train_hf.py takes it")
    parser.add_argument("--split", default="test", help="that training did not see")
    parser.add_argument("--max_queries", type=int, default=200, help="the first so many")
    return parser


if __name__ == "__main__":
    run_cli(main)
