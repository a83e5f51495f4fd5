"""Checkpoints and the dataset as environment variables name them: folders, or repositories on the Hub."""

import os
import sys
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, NoReturn, TypeGuard, TypeVar

import torch
from passage_vectors import CACHE, PassageVectors, passage_vectors
from reranking import Collection, EncodingReranker, Reranker, Scorer, TextScorer, VectorScorer
from transformers import AutoModel

Loaded = TypeVar("Loaded")
QUERIES_KEPT = 32


class Part(NamedTuple):
    """What is loaded, the environment variable that names it, and its name if none does."""

    kind: str
    variable: str
    default: str = ""

    @property
    def name(self) -> str:
        """A folder, or a repository on the Hub; empty for none."""
        return os.environ.get(self.variable) or self.default

    def load(self, name: str, load: Callable[[str], Loaded]) -> Loaded:
        """What `load` makes of `name`, which may be a folder beside this one; if it fails, `SystemExit` with code 2."""
        folder = Path(__file__).resolve().parent.parent / name
        try:
            return load(str(folder) if folder.is_dir() else name)
        except (OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            _fail(
                f"cannot load the {self.kind} {name} ({reason}); make it by `make quickstart`, "
                f"or name another in {self.variable}"
            )


CHECKPOINT = Part("checkpoint", "TWOLAR_MODEL", "twolar/minilm-python-stdlib")
DATASET = Part("dataset", "TWOLAR_DATASET", "twolar/python-stdlib-reranker")
SECOND_CHECKPOINT = Part("second checkpoint", "TWOLAR_SECOND_MODEL")


def is_zero_gpu() -> bool:
    """Whether this is a Space on ZeroGPU."""
    return os.environ.get("SPACES_ZERO_GPU") == "true"


def load_checkpoint(name: str) -> Reranker:
    """The checkpoint, warm; on ZeroGPU, where a GPU is lent to each call, there is none to warm up with."""
    # Imported before CUDA is asked for: on ZeroGPU it teaches torch to wait for the GPU.
    zero_gpu = import_module("spaces") if is_zero_gpu() else None
    model = AutoModel.from_pretrained(name, trust_remote_code=True)
    if torch.cuda.is_available():
        model.to("cuda")
    if zero_gpu:
        model.rank = zero_gpu.GPU(model.rank)
    else:
        model.rank("warm up", ["The first call is slow."])
    return model


class Checkpoint:
    """A checkpoint and the bundled passages; a bi-encoder encodes these now, unless an earlier start did."""

    def __init__(self, name: str, model: Reranker, bundled: Collection) -> None:
        self.name = name
        self._model = model
        self._bundled: Scorer = TextScorer(model, bundled.passages)
        if not is_zero_gpu() and _encodes(model):
            # Each question is encoded once, for cosines, order and nearest words.
            model.encode_query = lru_cache(QUERIES_KEPT)(model.encode_query)
            self._bundled = VectorScorer(model, _vectors(model, bundled), bundled.passages)

    def over(self, collection: Collection) -> Scorer:
        """What scores the collection's passages."""
        return self._bundled if collection.is_bundled else TextScorer(self._model, collection.passages)


def _encodes(model: Reranker) -> TypeGuard[EncodingReranker]:
    """Whether it is a bi-encoder, saved by a version that has `encode_query`."""
    return model.config.readout == "bi_encoder" and hasattr(model, "encode_query")


def _vectors(model: EncodingReranker, bundled: Collection) -> PassageVectors:
    try:
        return passage_vectors(model, [passage.contents for passage in bundled.passages], CACHE)
    except OSError as error:
        _fail(f"cannot keep the passages' vectors in {CACHE} ({error}); name another folder in HF_HOME")


def _fail(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)
