"""How much memory this machine, or the container on it, has."""

import os
from pathlib import Path

# Version 2 and version 1 of Linux's control groups; "max", or a number beyond the machine's, is no limit.
LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def machine_memory() -> int:
    """Bytes of memory that this process and its neighbours may use together."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    written = (limit.read_text().strip() for limit in LIMITS if limit.is_file())
    return min([physical, *(int(limit) for limit in written if limit.isdecimal())])
