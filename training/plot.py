"""The course of a training as a picture: loss, and nDCG@10 against the teacher's order."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

FILE_NAME = "training.png"
CURVES = {"loss": "loss, train", "eval_loss": "loss, test", "eval_ndcg@10": "nDCG@10, test"}


def plot_training(history: Sequence[dict[str, float]], folder: Path) -> None:
    """Write `training.png` from a Trainer's `log_history`: losses to the left, nDCG@10 to the right."""
    figure, left = plt.subplots(figsize=(7, 4))
    right = left.twinx()
    for number, (name, label) in enumerate(CURVES.items()):
        points = [(entry["step"], entry[name]) for entry in history if name in entry]
        if points:
            axis = right if "ndcg" in name else left
            axis.plot(*zip(*points, strict=True), marker=".", color=f"C{number}", label=label)
    left.set(xlabel="weight updates", ylabel="loss")
    right.set(ylabel="nDCG@10", ylim=(0, 1))
    figure.legend(loc="upper center", ncols=len(CURVES))
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / FILE_NAME, dpi=150)
    plt.close(figure)
