"""Trainings that a study needs: `train_hf.py` in a process of its own, continued where it was interrupted."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from retrieval.errors import InputError
from retrieval.provenance import CHECKOUT


def train(flags: Sequence[str], model: Path, what: str) -> None:
    """Run `train_hf.py FLAGS --output_dir MODEL`, unless it is finished; `train.log` lies beside the model.

    Raises:
        InputError: where the training fails; it says `what` failed and names the log.
    """
    if (model / "all_results.json").is_file():
        return
    if not any(model.rglob("checkpoint-*")):
        shutil.rmtree(model, ignore_errors=True)
    run_python(["train_hf.py", *flags, "--output_dir", str(model)], model.parent / "train.log", what)


def run_python(arguments: Sequence[str], log: Path, what: str) -> None:
    """Run this Python with `arguments` in the checkout, its output in `log`.

    Raises:
        InputError: where it fails; it says `what` failed, why, and names the log.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as file:
        command = [sys.executable, *arguments]
        code = subprocess.run(
            command, cwd=CHECKOUT, stdout=file, stderr=subprocess.STDOUT, check=False
        ).returncode
    if code:
        lines = log.read_text(errors="replace").strip().splitlines() or ["no output"]
        reason = next((line for line in lines if line.startswith("error: ")), lines[-1])
        raise InputError(f"{what} failed: {reason.removeprefix('error: ')} (log: {log})")
