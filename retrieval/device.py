"""Where models run: a GPU where there is one, in bf16; else the CPU in fp32."""

import torch


def best_device() -> torch.device:
    """The first GPU, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def best_dtype() -> torch.dtype:
    """bf16 on a GPU, fp32 on a CPU."""
    return torch.bfloat16 if best_device().type == "cuda" else torch.float32
