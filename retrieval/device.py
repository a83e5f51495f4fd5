"""Where models run: a GPU where there is one, in bf16; else the CPU in fp32."""

import os
from typing import Any

import torch

from retrieval.errors import InputError

INT8 = "int8"
# int8: float32 but for matrix products. Of no name the best.
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, INT8: torch.float32}
# Which of the workers on this machine this process is, from 0; not torch's LOCAL_RANK, which means a joint training.
LOCAL_RANK_VARIABLE = "TWOLAR_LOCAL_RANK"


def best_device() -> torch.device:
    """A GPU, where there are several the one of this worker's place on the machine; or the CPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get(LOCAL_RANK_VARIABLE, "0")) % torch.cuda.device_count())


def best_dtype() -> torch.dtype:
    """bf16 on a GPU, fp32 on a CPU."""
    return torch.bfloat16 if best_device().type == "cuda" else torch.float32


def dtype_of(name: str) -> torch.dtype:
    """One of `DTYPES` by its name; of no name the best."""
    return DTYPES[name] if name else best_dtype()


def load_encoder(architecture: Any, name_or_path: str, dtype: str) -> Any:
    """A checkpoint in this class of transformers on the best device, for encoding. `dtype`: see `dtype_of`.

    Raises:
        InputError: see `quantize_if_int8`.
    """
    model = architecture.from_pretrained(name_or_path, dtype=dtype_of(dtype)).to(best_device()).eval()
    quantize_if_int8(model, dtype)
    return model


def quantize_if_int8(model: Any, dtype: str) -> None:
    """Give a model of transformers int8 matrix products where `dtype` says so.

    Raises:
        InputError: on a GPU, or for a PyTorch that has no such products.
    """
    if dtype != INT8:
        return
    # Imported where it is needed: it takes seconds, and most commands do without.
    from modeling_twolar.quantizable import quantize_encoder

    try:
        quantize_encoder(model)
    except ValueError as error:
        raise InputError(f"--encoder_dtype int8: {error}") from error
