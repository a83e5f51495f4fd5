"""What tells a model's weights from any others."""

import hashlib
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

    gguf = gguf_file(name_or_path)
    if gguf is not None:
        with gguf.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    folder = Path(model_path(name_or_path))
    if folder.is_dir():
        return _digest(folder)
    try:
        return str(PretrainedConfig.get_config_dict(name_or_path)[0]["_commit_hash"])
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"model {name_or_path} cannot be loaded ({str(error).splitlines()[0]})") from error


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for pattern in WEIGHTS for path in folder.glob(pattern)):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
