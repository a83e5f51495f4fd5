"""The training plot of a card: loss and nDCG@10 over the steps of `trainer_state.json`."""

import os
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

FILE_NAME = "training.png"
Log = Sequence[dict[str, float]]


def plot_training(log_history: Log, path: Path) -> None:
    """Write the plot, aside and renamed.

    Args:
        log_history: the Trainer's; `loss` while training, `eval_loss` and `eval_ndcg@10` of the test split.
    """
    figure = Figure(figsize=(7, 3), layout="constrained")
    losses, quality = figure.subplots(1, 2)
    for key, label in (("loss", "training"), ("eval_loss", "test split")):
        _draw(losses, log_history, key, label)
    _draw(quality, log_history, "eval_ndcg@10", "test split")
    losses.set(xlabel="step", ylabel="loss")
    quality.set(xlabel="step", ylabel="nDCG@10 against the teacher")
    unfinished = path.with_name(f"{path.name}.unfinished")
    FigureCanvasAgg(figure).print_png(str(unfinished), metadata={"Software": None})
    os.replace(unfinished, path)


def _draw(axes: Axes, log_history: Log, key: str, label: str) -> None:
    points = [(entry["step"], entry[key]) for entry in log_history if key in entry]
    if points:
        steps, values = zip(*points, strict=True)
        axes.plot(steps, values, marker="o", markersize=3, label=label)
        axes.legend()
