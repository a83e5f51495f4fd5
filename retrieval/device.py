"""Where models run: a GPU where there is one, in bf16; else the CPU in fp32."""

import os

import torch

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
    """`float32` or `bfloat16`; of no name the best. A CPU with AMX multiplies faster in bf16, any other slower."""
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[name] if name else best_dtype()
