"""One build at a time in a folder: the second is told who holds it."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from filelock import FileLock, Timeout

from dataset_builder.build.folder import BuildFolder
from retrieval.errors import InputError


@contextmanager
def sole_builder(folder: BuildFolder) -> Iterator[None]:
    """Hold the folder's lock; it ends with this process, however that ends.

    Raises:
        InputError: where another process holds it.
    """
    folder.build.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.lock)
    try:
        lock.acquire(timeout=0)
    except Timeout as timeout:
        holder = folder.holder.read_text() if folder.holder.is_file() else "another process"
        raise InputError(
            f"{folder.root} is being built by {holder}; wait for it, or choose another --output_dir"
        ) from timeout
    with lock:
        since = datetime.now().astimezone()
        folder.holder.write_text(
            f"process {os.getpid()} on {platform.node()}, since {since:%Y-%m-%d %H:%M:%S}"
        )
        try:
            yield
        finally:
            folder.holder.unlink(missing_ok=True)
            lock.release()
