"""Copies this folder's code into a checkpoint, so that it loads with `trust_remote_code=True` anywhere."""

import shutil
from pathlib import Path

CODE_FOLDER = Path(__file__).parent


def copy_code(checkpoint: str) -> None:
    """Put every module of this folder beside the weights in `checkpoint`."""
    for module in sorted(CODE_FOLDER.glob("*.py")):
        if module.name != "__init__.py":
            shutil.copy(module, Path(checkpoint) / module.name)
