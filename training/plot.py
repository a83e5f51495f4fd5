"""The course of a training as a picture: loss, and nDCG@10 against the teacher's order on held-out queries."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from training.held_out import TEACHERS_ORDER
from training.verdict import Verdict

FILE_NAME = "training.png"
NDCG = "eval_ndcg@10"
CURVES = {"loss": "loss, train", "eval_loss": "loss, held out", NDCG: "nDCG@10, held out"}


def plot_training(history: Sequence[dict[str, float]], verdict: Verdict, folder: Path) -> None:
    """Write `training.png` from a Trainer's `log_history`: losses to the left, nDCG@10 to the right.

    The latter begins at the start and ends at what was saved, as `verdict` has them.
    """
    figure, left = plt.subplots(figsize=(7, 4))
    right = left.twinx()
    for number, (name, label) in enumerate(CURVES.items()):
        points = [(entry["step"], entry[name]) for entry in history if name in entry]
        if name == NDCG:
            last = max((entry["step"] for entry in history), default=0)
            points = sorted(points + _ends(verdict, last), key=lambda point: point[0])
        if points:
            axis = right if "ndcg" in name else left
            axis.plot(*zip(*points, strict=True), marker=".", color=f"C{number}", label=label)
    left.set(xlabel="weight updates", ylabel="loss")
    right.set(ylabel="nDCG@10", ylim=(0, 1))
    if left.lines or right.lines:
        figure.legend(loc="upper center", ncols=len(CURVES))
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / FILE_NAME, dpi=150)
    plt.close(figure)


def _ends(verdict: Verdict, last: float) -> list[tuple[float, float]]:
    changes = [change for change in verdict.changes if change.measured_on == TEACHERS_ORDER]
    return [point for change in changes for point in ((0, change.start), (last, change.end))]
