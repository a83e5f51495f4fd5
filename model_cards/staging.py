"""The folder that goes up: links to the files that are published, and the card that is written for them."""

import fnmatch
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from retrieval.errors import InputError

DATASET, MODEL, SPACE = "dataset", "model", "space"
CARD = "README.md"
# What runs and tools leave there: stage files, checkpoints to resume from, locks, the Trainer's pickle, caches.
LEFT_OUT = (
    "build", "checkpoint-*", "stage-*", "runs", "__pycache__", ".cache", ".*_cache", ".gradio", ".DS_Store", ".git",
    "*.lock", "*.unfinished*", "training_args.bin", "training_settings.json", "start.json",
    "thresholds.md",  # the card has them
)  # fmt: skip
PICKLES = ("*.bin", "*.pkl", "*.pickle", "*.pt", "*.pth", "*.ckpt", "*.joblib")


@dataclass(frozen=True, slots=True)
class Repository:
    """A folder of this machine and the repository it becomes. `kind`: dataset, model or space."""

    kind: str
    source: Path
    repo_id: str


def stage(repository: Repository, target: Path, names: Mapping[str, str]) -> list[str]:
    """Link what is published of `repository` into the empty folder `target`; return what is left out.

    Args:
        names: repository name → the name it is published under; replaced in the card.

    Raises:
        InputError: for a source folder that does not exist.
    """
    if not repository.source.is_dir():
        raise InputError(
            f"{repository.source} does not exist; choose the {repository.kind}'s folder with --path"
        )
    left_out = []
    for path, is_published in _walk(repository.source):
        relative = path.relative_to(repository.source)
        if not is_published:
            left_out.append(f"{relative}/" if path.is_dir() else str(relative))
            continue
        link = target / relative
        link.parent.mkdir(parents=True, exist_ok=True)
        if str(relative) == CARD:
            link.write_text(renamed(path.read_text(encoding="utf-8"), names), encoding="utf-8")
        else:
            link.symlink_to(path.resolve())
    return left_out


def renamed(text: str, names: Mapping[str, str]) -> str:
    """`text` with the repositories' names replaced."""
    for old, new in names.items():
        text = text.replace(old, new)
    return text


def staged_files(folder: Path) -> dict[str, Path]:
    """Path in the repository → file, sorted."""
    return {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}


def is_pickle(path: str) -> bool:
    """Whether a file's name says that loading it may run code."""
    return any(fnmatch.fnmatch(path.lower(), pattern) for pattern in PICKLES)


def _walk(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Every file, or folder that is left out whole, and whether it is published."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = Path(entry.path)
        if any(fnmatch.fnmatch(entry.name, pattern) for pattern in LEFT_OUT):
            yield path, False
        elif entry.is_dir():
            yield from _walk(path)
        else:
            yield path, True
