"""What tells a model's weights from any others."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from retrieval.errors import InputError
from retrieval.model_files import gguf_file, model_path

WEIGHTS = ("*.safetensors", "pytorch_model*.bin", "config.json", "tokenizer.json", "modules.json")


def model_revision(name_or_path: str) -> str:
    """The hash of a folder's weights, or the Hub's commit.

    Raises:
        InputError: for a model that is neither here nor on the Hub.
    """
    from transformers import PretrainedConfig

    files = weight_files(name_or_path)
    if gguf_file(name_or_path) is not None:
        with files[0].open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    if Path(model_path(name_or_path)).is_dir():
        return _digest(files)
    try:
        return str(PretrainedConfig.get_config_dict(name_or_path)[0]["_commit_hash"])
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"model {name_or_path} cannot be loaded ({str(error).splitlines()[0]})") from error


def weight_files(name_or_path: str) -> list[Path]:
    """The files here that hold a model's weights, or say how to read them; none of a model on the Hub.

    Raises:
        InputError: for a GGUF file that is missing.
    """
    gguf = gguf_file(name_or_path)
    if gguf is not None:
        return [gguf]
    folder = Path(model_path(name_or_path))
    return sorted(path for pattern in WEIGHTS for path in folder.glob(pattern)) if folder.is_dir() else []


def _digest(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
