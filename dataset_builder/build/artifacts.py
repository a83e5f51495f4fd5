"""Parts that builds share: passage stores, indexes, queries with their pools, each named by what it is made of.

A build refers to one by a symbolic link. Which builds do is noted beside the part, so that what none uses can go.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout
from tqdm import tqdm

from retrieval.provenance import provenance
from retrieval.text_file import write_text

MANIFEST, USERS, LOCK = "manifest.json", "users", ".lock"
# Between a part's key and a task's number, in the name of its lock.
OF_TASK = ".task-"


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a part is made of. `inputs`: digests, revisions and settings that its bytes depend on, in JSON's types; the
    `format` among them changes with the code that writes it."""

    kind: str
    inputs: Mapping[str, str | int]

    @property
    def key(self) -> str:
        """Tells this part from all others."""
        inputs = json.dumps(dict(self.inputs), sort_keys=True).encode()
        return f"{self.kind}-{hashlib.sha256(inputs).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class Artifact:
    """A part in the folder. `is_whole`: not one that is still being made, or was left by a kill. `used_by`: the folders
    that hold links to it, each of one build."""

    key: str
    is_whole: bool
    size: int
    used_by: tuple[Path, ...]


class Artifacts:
    """A folder of parts. `root/KEY` holds a part, its manifest, which is written last, and notes of who uses it."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def provide(self, recipe: Recipe, link: Path, make: Callable[[Path], None]) -> None:
        """Let `link` lead to a part, which `make` writes to the path that it is given, unless it is there.

        Of two that want the same part at once, one makes it and the other waits. What `link` leads to already stays, as
        does an index there that was made before parts were shared.
        """
        if link.exists():
            return
        folder = self.root / recipe.key
        with self._alone(recipe.key):
            folder.mkdir(parents=True, exist_ok=True)
            if not (folder / MANIFEST).is_file():
                make(folder / link.name)
                _write_manifest(folder, recipe)
            _note_user(folder, link.parent)
            _lead(link, folder / link.name)

    def contribute(self, recipe: Recipe, link: Path, task: int, work: Callable[[Path], None]) -> None:
        """Let one of several tasks do its share of a part that is still to be made: `work` is given the path that the
        part will have."""
        folder = self.root / recipe.key
        with self._alone(f"{recipe.key}{OF_TASK}{task}"):
            if not link.exists() and not (folder / MANIFEST).is_file():
                folder.mkdir(parents=True, exist_ok=True)
                work(folder / link.name)

    def is_made(self, recipe: Recipe) -> bool:
        """Whether the part is there, whole."""
        return (self.root / recipe.key / MANIFEST).is_file()

    def publish(self, recipe: Recipe, paths: Sequence[Path]) -> None:
        """Let other builds have what a build has made in its own folder, if all of it is there: files that are never
        written to again."""
        folder = self.root / recipe.key
        with self._alone(recipe.key):
            if (folder / MANIFEST).is_file() or not all(path.exists() for path in paths):
                return
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            for path in paths:
                copy = shutil.copytree if path.is_dir() else shutil.copyfile
                copy(path, folder / path.name)
            _write_manifest(folder, recipe)

    def adopt(self, recipe: Recipe, links: Sequence[Path]) -> None:
        """Let `links` lead to what another build has published, if one has; not where this build began its own. What
        they lead to instead, the build gets as its own: it is to be added to."""
        folder = self.root / recipe.key
        for link in links:
            if link.is_symlink() and not link.exists():
                link.unlink()  # what it led to was deleted
        if any(link.exists() and not link.is_symlink() for link in links):
            return
        with self._alone(recipe.key):
            if (folder / MANIFEST).is_file():
                _note_user(folder, links[0].parent)
                for link in links:
                    _lead(link, folder / link.name)
                return
        for link in links:
            if link.is_symlink():
                _own(link)

    def listed(self) -> Iterator[Artifact]:
        """Every part, by its key."""
        for folder in sorted(self.root.iterdir()) if self.root.is_dir() else ():
            if folder.is_dir():
                yield _read(folder)

    def delete_unused(self) -> list[Artifact]:
        """Delete the parts that no build uses and none is just making; returns them."""
        return [each for each in self.listed() if not each.used_by and self._delete(each.key)]

    def _delete(self, key: str) -> bool:
        locks = {self.root / f"{key}{LOCK}", *self.root.glob(f"{key}{OF_TASK}*{LOCK}")}
        try:
            with ExitStack() as held:
                for path in sorted(locks):
                    held.enter_context(FileLock(path).acquire(timeout=0))
                unused = not _read(self.root / key).used_by
                if unused:
                    shutil.rmtree(self.root / key)
                return unused
        except Timeout:
            return False

    @contextmanager
    def _alone(self, key: str) -> Iterator[None]:
        self.root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.root / f"{key}{LOCK}")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            tqdm.write(f"another build is making {key}; waiting for it")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()


@dataclass(frozen=True, slots=True)
class BuildParts:
    """The shared parts of one build: what they are made of, by name, and where they lie."""

    artifacts: Artifacts
    recipes: Mapping[str, Recipe]

    def provide(self, name: str, link: Path, make: Callable[[Path], None]) -> None:
        """See `Artifacts.provide`."""
        self.artifacts.provide(self.recipes[name], link, make)

    def found(self, name: str, link: Path) -> Path | None:
        """Where a part is: at `link`, in the folder of shared parts, or nowhere yet."""
        if link.exists():
            return link
        recipe = self.recipes.get(name)
        part = self.artifacts.root / recipe.key if recipe else None
        return part / link.name if part and (part / MANIFEST).is_file() else None

    def contribute(self, name: str, link: Path, task: int, work: Callable[[Path], None]) -> None:
        """See `Artifacts.contribute`."""
        self.artifacts.contribute(self.recipes[name], link, task, work)

    def path(self, name: str, link: Path) -> Path:
        """Where the part lies, or will lie, to which `link` leads."""
        return self.artifacts.root / self.recipes[name].key / link.name

    def is_made(self, name: str) -> bool:
        """See `Artifacts.is_made`."""
        return self.artifacts.is_made(self.recipes[name])

    def note_links(self, folder: Path) -> None:
        """Note anew what the links in a build's folder lead to: it may have been moved."""
        for link in folder.iterdir():
            part = link.resolve().parent
            if link.is_symlink() and (part / MANIFEST).is_file():
                _note_user(part, folder)

    def publish(self, name: str, paths: Sequence[Path]) -> None:
        """See `Artifacts.publish`; nothing is published that has no recipe."""
        if name in self.recipes:
            self.artifacts.publish(self.recipes[name], paths)

    def adopt(self, name: str, links: Sequence[Path]) -> None:
        """See `Artifacts.adopt`."""
        if name in self.recipes:
            self.artifacts.adopt(self.recipes[name], links)


def _write_manifest(folder: Path, recipe: Recipe) -> None:
    made = f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S%z}"
    record = {
        "kind": recipe.kind,
        "inputs": dict(recipe.inputs),
        "made": made,
        **provenance("dataset_builder"),
    }
    write_text(folder / MANIFEST, json.dumps(record, indent=2))


def _lead(link: Path, to: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    unfinished = link.with_name(f"{link.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    unfinished.symlink_to(to)
    os.replace(unfinished, link)


def _own(link: Path) -> None:
    """A copy of what `link` leads to, in its place."""
    copy, unfinished = link.resolve(), link.with_name(f"{link.name}.unfinished")
    if copy.is_dir():
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(copy, unfinished)
        link.unlink()
    else:
        shutil.copyfile(copy, unfinished)
    os.replace(unfinished, link)


def _note_user(part: Path, links: Path) -> None:
    path = str(links.absolute())
    (part / USERS).mkdir(exist_ok=True)
    write_text(part / USERS / hashlib.sha256(path.encode()).hexdigest()[:16], path)


def _read(part: Path) -> Artifact:
    notes = sorted((part / USERS).glob("*")) if (part / USERS).is_dir() else []
    users = [Path(note.read_text().rstrip("\n")) for note in notes]
    size = sum(path.stat().st_size for path in part.rglob("*") if path.is_file())
    used_by = tuple(user for user in users if any(_links_to(part, user)))
    return Artifact(part.name, (part / MANIFEST).is_file(), size, used_by)


def _links_to(part: Path, folder: Path) -> Iterator[Path]:
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.is_symlink() and path.resolve().parent == part.resolve():
            yield path
