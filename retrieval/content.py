"""What tells a file's or folder's content from any other: read once, and remembered until it is touched."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

# Path → its files' sizes and times, and the digest that they had.
Seen = dict[str, tuple[str, str]]


@dataclass(slots=True)
class Contents:
    """Digests of what was looked at. `seen`: those of an earlier look, so that gigabytes are not read at each."""

    seen: Seen = field(default_factory=dict)
    looked_at: Seen = field(default_factory=dict)

    def of(self, path: Path) -> str:
        """The digest of a file, or of a folder's files and their names below it."""
        files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        names = {file: "" if file == path else file.relative_to(path).as_posix() for file in files}
        return self.of_files(path, names)

    def of_files(self, path: Path, names: Mapping[Path, str]) -> str:
        """The digest of files in their order, and of what they are called; `path`: what stands for all of them."""
        return self.remembered(path, list(names), lambda: _digest(names))

    def remembered(self, path: Path, files: Sequence[Path], digest: Callable[[], str]) -> str:
        """What `digest` gives of `files`; not asked again while their sizes and times are the same."""
        key, stamp = str(path.resolve()), _stamp(files)
        if key not in self.looked_at:
            known = self.seen.get(key)
            self.looked_at[key] = (stamp, known[1] if known and known[0] == stamp else digest())
        return self.looked_at[key][1]


def _stamp(files: Sequence[Path]) -> str:
    stats = [(file.name, file.stat()) for file in files]
    listed = [f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in stats]
    return hashlib.sha256("\n".join(listed).encode()).hexdigest()[:16]


def _digest(names: Mapping[Path, str]) -> str:
    digest = hashlib.sha256()
    for file, name in names.items():
        with file.open("rb") as opened:
            digest.update(f"{name}\n{hashlib.file_digest(opened, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()[:16]
