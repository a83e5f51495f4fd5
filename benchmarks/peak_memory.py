"""Peak memory of a piece of work, beyond what was held when it began."""

import ctypes
from pathlib import Path

import torch

STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")
RESET_PEAK = "5"


class PeakMemory:
    """Watches from its creation on: a GPU's memory, or this process's on Linux."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            self._held = torch.cuda.memory_allocated(device) / 2**20
        elif CLEAR_REFS.exists():
            # What earlier work left in the allocator would hide what this work takes.
            ctypes.CDLL(None).malloc_trim(0)
            CLEAR_REFS.write_text(RESET_PEAK)
            self._held = _status_mib("VmRSS")

    def mib_since(self) -> float | None:
        """The peak since then, less what was held then; None where the system does not tell."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device) / 2**20 - self._held
        return _status_mib("VmHWM") - self._held if CLEAR_REFS.exists() else None


def _status_mib(field: str) -> float:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) / 1024
