"""Scores that mean something: `python -m training.calibrate CHECKPOINT --dataset_name NAME`.

Fits a temperature and a shift on a dataset's held-out split, so that sigmoid((score - shift) / temperature) is the
share of relevant passages among those scored alike, and writes both into the checkpoint's `config.json`. The order
stays. Relevant is what the teacher ranks first, so the numbers are as good as the teacher, and hold for pools like
the dataset's.

Source: Platt, "Probabilistic Outputs for Support Vector Machines", 1999, with its targets, which keep the fit finite
where scores separate the two.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from retrieval.errors import InputError, run_cli
from retrieval.text_file import write_text

THRESHOLDS = (0.1, 0.3, 0.5, 0.7, 0.9)


@dataclass(frozen=True)
class Calibration:
    """A relevance is sigmoid((score - shift) / temperature)."""

    temperature: float
    shift: float

    def relevance(self, scores: torch.Tensor) -> torch.Tensor:
        """(n,) float64 from 0 to 1, of scores (n,)."""
        return ((scores.double() - self.shift) / self.temperature).sigmoid()


def fit(scores: torch.Tensor, relevant: torch.Tensor) -> Calibration:
    """The calibration of least cross-entropy, of scores (n,) and relevant (n,) bool.

    Raises:
        InputError: where all passages are relevant or none is, or a higher score means less relevant.
    """
    positives = int(relevant.sum())
    negatives = len(relevant) - positives
    if not positives or not negatives:
        raise InputError("a calibration needs relevant and other passages; of one kind there is none")
    targets = torch.where(relevant, (positives + 1) / (positives + 2), 1 / (negatives + 2)).double()
    mean, spread = scores.double().mean(), scores.double().std().clamp(min=1e-12)
    normal = (scores.double() - mean) / spread
    line = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([line], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = binary_cross_entropy_with_logits(line[0] * normal + line[1], targets)
        value.backward()
        return value

    optimizer.step(loss)
    slope, intercept = line.tolist()
    if slope <= 0:
        raise InputError("a higher score means less relevant here: the checkpoint does not fit this dataset")
    return Calibration(float(spread) / slope, float(mean) - float(spread) * intercept / slope)


def table(relevance: torch.Tensor, relevant: torch.Tensor) -> str:
    """What each threshold keeps, in Markdown."""
    rows = ["| threshold | kept | of them relevant | of the relevant kept |", "| --- | --- | --- | --- |"]
    for threshold in THRESHOLDS:
        kept = relevance >= threshold
        found = int((kept & relevant).sum())
        share = f"{found / int(kept.sum()):.2f}" if kept.any() else "none kept"
        rows.append(f"| {threshold} | {int(kept.sum())} | {share} | {found / int(relevant.sum()):.2f} |")
    return "\n".join(rows)


def main() -> None:
    """Fit, write into the checkpoint's configuration, and print what thresholds keep."""
    arguments = _parser().parse_args()
    path = arguments.checkpoint / "config.json"
    if not path.is_file():
        raise InputError(f"{path} does not exist; give a folder that train_hf.py wrote")
    settings = json.loads(path.read_text(encoding="utf-8"))
    if settings.get("model_type") != "twolar":
        raise InputError(f"{path} is of a {settings.get('model_type')} model, not of a TWOLAR checkpoint")
    scores, relevant = _scored(arguments)
    calibration = fit(scores, relevant)
    settings |= {"score_temperature": calibration.temperature, "score_shift": calibration.shift}
    write_text(path, json.dumps(settings, indent=2))
    print(f"temperature {calibration.temperature:.4g}, shift {calibration.shift:.4g}, in {path}")
    print(table(calibration.relevance(scores), relevant))


def _scored(arguments: argparse.Namespace) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores of all passages, and whether each is the teacher's first."""
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
