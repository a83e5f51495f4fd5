"""Keeps two builds apart: what a folder was begun with is written there, and another build is refused."""

import json
import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from dataset_builder.build.folder import BuildFolder
from dataset_builder.build.growth import GROWING, may_grow
from dataset_builder.build.lock import sole_builder
from dataset_builder.build.meaning import setting_meanings
from dataset_builder.build.settings import OF_LABELS, BuildSettings, Draw
from retrieval.content import Seen
from retrieval.corpus import PYTHON_STDLIB
from retrieval.errors import InputError
from retrieval.language import ENGLISH
from retrieval.text_file import write_text

# Of a build: its settings and what they name, by meaning, in JSON's types.
Identity = Mapping[str, object]
# What the settings file holds beside the settings. The release before had only the corpus's size and time.
IDENTITY, SEEN, CORPUS_VERSION = "identity", "seen", "corpus_version"
RANKING_PROMPT = "ranking prompt"


class Refused(InputError):
    """What was asked for cannot be built, and nothing was made that is worth keeping: the folder is free again."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A build that is there. `identity`: what it lacks is not compared; the release before wrote none, but a
    `corpus_version`."""

    settings: BuildSettings
    identity: Identity
    seen: Seen
    corpus_version: str = ""

    @classmethod
    def read(cls, folder: BuildFolder) -> "Begun":
        """What the build in `folder` was begun with; settings that came after it have their defaults."""
        record = json.loads(folder.settings.read_text())
        identity, seen = record.pop(IDENTITY, {}), record.pop(SEEN, {})
        version = record.pop(CORPUS_VERSION, "")
        record.setdefault("language", ENGLISH)
        record.setdefault("num_shards", _tasks_of_the_release_before(folder))
        if "structured" in record:
            # Builds of earlier releases asked for text, or for a JSON list that is no longer asked for.
            record["answer_format"] = "json" if record.pop("structured") else "text"
        record["earlier_draws"] = [Draw(*draw) for draw in record.get("earlier_draws", [])]
        settings = BuildSettings(**record, output_dir=str(folder.root))
        settings = replace(settings, num_shards=settings.num_shards or settings.default_shards)
        return cls(
            settings, identity, {path: (stamp, digest) for path, (stamp, digest) in seen.items()}, version
        )


def read_settings(folder: BuildFolder) -> BuildSettings:
    """The settings that the build in `folder` was begun with.

    Raises:
        InputError: where there is none.
    """
    if not folder.settings.is_file():
        raise InputError(f"{folder.root} holds no build; make one with python -m dataset_builder build")
    return Begun.read(folder).settings


@contextmanager
def claimed(folder: BuildFolder, settings: BuildSettings, identity: Identity, seen: Seen) -> Iterator[None]:
    """Hold a build folder: a new one gets the settings and their meaning, an old one was begun with the same meaning.

    `Refused`, raised inside, frees a folder again, but for one whose queries were drawn; paid answers stay.

    Raises:
        InputError: where the folder holds another build, or files that are none, or is being built.
    """
    is_new = not folder.root.exists()
    _refuse_other_files(folder)
    try:
        with sole_builder(folder):
            if folder.settings.is_file():
                _refuse_difference(folder, settings, identity)
            _write(folder, settings, identity, seen)
            try:
                yield
            except Refused:
                if not folder.query_counts().is_file():
                    _free(folder)
                raise
    except Refused:
        _remove_if_empty(folder, is_new)
        raise


def _tasks_of_the_release_before(folder: BuildFolder) -> int:
    """In how many files it kept pools: one a task, as datatrove noted; 0 where none were begun."""
    for stage in ("pools", "rankings"):
        noted = folder.logs(stage) / "executor.json"
        if noted.is_file():
            return int(json.loads(noted.read_text())["world_size"])
    return 0


def _write(folder: BuildFolder, settings: BuildSettings, identity: Identity, seen: Seen) -> None:
    record = asdict(settings) | {IDENTITY: identity, SEEN: seen}
    del record["output_dir"]
    write_text(folder.settings, json.dumps(record, indent=2))


def _refuse_other_files(folder: BuildFolder) -> None:
    if folder.settings.is_file() or not folder.root.is_dir():
        return
    inside = folder.build.iterdir() if folder.build.is_dir() else ()
    beside = (path for path in folder.root.iterdir() if path != folder.build)
    if any(beside) or any(path not in folder.of_no_build for path in inside):
        raise InputError(f"{folder.root} is not empty and holds no build; choose another --output_dir")


def _refuse_difference(folder: BuildFolder, settings: BuildSettings, identity: Identity) -> None:
    begun = Begun.read(folder)
    before = setting_meanings(begun.settings) | dict(begun.identity)
    if begun.corpus_version:
        before |= {CORPUS_VERSION: begun.corpus_version, **_paths(begun.settings)}
        identity = {**identity, CORPUS_VERSION: corpus_version(settings.corpus), **_paths(settings)}
    names = sorted(name for name in before.keys() & identity.keys() if before[name] != identity[name])
    if not any(folder.rankings(0).parent.glob("*.jsonl")):
        # How labels are asked for may be another where none was made yet.
        names = [name for name in names if name not in (*OF_LABELS, RANKING_PROMPT)]
    if may_grow(settings, folder, begun.settings):
        names = [name for name in names if name not in GROWING]
    if names:
        changes = ", ".join(f"{name} {before[name]!r} → {identity[name]!r}" for name in names)
        raise InputError(
            f"{folder.root} holds another build ({changes}); choose another --output_dir or delete it"
        )


def _paths(settings: BuildSettings) -> dict[str, object]:
    excluded = sorted(os.path.normpath(path) for path in settings.exclude_queries)
    return {"exclude_queries": excluded, "query_prompt": os.path.normpath(settings.query_prompt)}


def corpus_version(corpus: str) -> str:
    """What the release before told a corpus by: the size and time of its files."""
    if corpus == PYTHON_STDLIB:
        return f"Python {platform.python_version()}"
    path = Path(corpus)
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    stats = [file.stat() for file in files if file.is_file()]
    return (
        f"{sum(stat.st_size for stat in stats)} bytes, {max((stat.st_mtime_ns for stat in stats), default=0)}"
    )


def _free(folder: BuildFolder) -> None:
    """Remove what a refused build made, but for paid answers."""
    for path in folder.build.iterdir():
        if path in folder.of_no_build:
            continue
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _remove_if_empty(folder: BuildFolder, is_new: bool) -> None:
    if set(folder.build.iterdir()) <= {folder.lock}:
        folder.lock.unlink(missing_ok=True)
        folder.build.rmdir()
        if is_new:
            folder.root.rmdir()
