"""Where a result comes from: command, commit, versions, machine."""

import os
import platform
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import torch

PACKAGES = (
    "torch",
    "transformers",
    "ir_measures",
    "pytrec-eval-terrier",
    "pyserini",
    "sentence-transformers",
)
CHECKOUT = Path(__file__).parents[1]


def provenance(module: str) -> dict[str, object]:
    """What a reader needs to repeat `python -m {module}` as it was called; `commit` is None outside of git."""
    return {
        "command": shlex.join(["python", "-m", module, *sys.argv[1:]]),
        "commit": _git("rev-parse", "HEAD"),
        "uncommitted_changes": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs, {_device()}",
    }


def _device() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"


def _git(*arguments: str) -> str | None:
    if not (CHECKOUT / ".git").exists():  # installed: what lies around it is another's repository
        return None
    try:
        result = subprocess.run(["git", *arguments], cwd=CHECKOUT, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None
