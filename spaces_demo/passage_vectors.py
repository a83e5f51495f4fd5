"""Vectors of the bundled passages: a bi-encoder computes them once, and they are kept on disk."""

import hashlib
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from huggingface_hub.constants import HF_HOME
from numpy.typing import NDArray
from tqdm import tqdm
from transformers import PretrainedConfig

CACHE = Path(HF_HOME) / "twolar-space"
NUM_KEPT = 3
ENCODED_AT_ONCE = 64


class TextVectors(NamedTuple):
    """A text's vectors, all of norm 1. `pooled`: (hidden_size,); `tokens`: (num_tokens, hidden_size)."""

    pooled: torch.Tensor
    tokens: torch.Tensor


class Encoder(Protocol):
    """What this needs of a TWOLAR checkpoint that is a bi-encoder."""

    config: PretrainedConfig

    def encode_passages(self, passages: Sequence[str]) -> Sequence[TextVectors]:
        """Each passage's vectors."""

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Names and weights."""


class PassageVectors:
    """A collection's vectors in a folder; those of tokens stay on disk, as float16, until a candidate needs them.

    `pooled`: (num_passages, hidden_size) float32.
    """

    def __init__(self, folder: Path) -> None:
        self.pooled: NDArray[np.float32] = np.load(folder / "pooled.npy")
        self._ends: NDArray[np.int64] = np.load(folder / "ends.npy")
        shape = (int(self._ends[-1]), self.pooled.shape[1])
        self._tokens = np.memmap(folder / "tokens.f16", np.float16, "r", shape=shape)

    def take(self, index: int, device: torch.device, dtype: torch.dtype) -> TextVectors:
        """A passage's vectors."""
        start = self._ends[index - 1] if index else 0
        both = self.pooled[index], np.array(self._tokens[start : self._ends[index]])
        return TextVectors(*(torch.from_numpy(vectors).to(device, dtype) for vectors in both))


def passage_vectors(model: Encoder, texts: Sequence[str], cache: Path) -> PassageVectors:
    """The texts' vectors: from the cache, or computed now, with a progress bar, and kept there.

    The cache is named by weights and texts; of its folders the three latest stay.
    """
    folder = cache / _digest(model, texts)
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix="unfinished-", dir=cache))
        try:
            _encode(model, texts, unfinished)
            unfinished.replace(folder)
        except OSError:
            if not folder.is_dir():  # another process was faster
                raise
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    folder.touch()
    _forget_old(cache)
    return PassageVectors(folder)


def _encode(model: Encoder, texts: Sequence[str], folder: Path) -> None:
    pooled, lengths = [], []
    with (
        open(folder / "tokens.f16", "wb") as file,
        tqdm(total=len(texts), desc="encoding passages", unit="passage") as bar,
    ):
        for start in range(0, len(texts), ENCODED_AT_ONCE):
            for vectors in model.encode_passages(texts[start : start + ENCODED_AT_ONCE]):
                pooled.append(vectors.pooled.float().cpu().numpy())
                lengths.append(len(vectors.tokens))
                file.write(vectors.tokens.half().cpu().numpy().tobytes())
                bar.update()
    np.save(folder / "pooled.npy", np.stack(pooled))
    np.save(folder / "ends.npy", np.cumsum(lengths))


def _digest(model: Encoder, texts: Sequence[str]) -> str:
    digest = hashlib.blake2b(model.config.to_json_string().encode(), digest_size=16)
    for name, weights in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(weights.cpu().contiguous().view(torch.uint8).numpy().tobytes())
    for text in texts:
        digest.update(text.encode() + b"\0")
    return digest.hexdigest()


def _forget_old(cache: Path) -> None:
    for folder in sorted(cache.iterdir(), key=lambda folder: -folder.stat().st_mtime)[NUM_KEPT:]:
        shutil.rmtree(folder, ignore_errors=True)
