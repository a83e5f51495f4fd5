"""Keeps two builds apart: the settings a folder was begun with are written there, and others are refused."""

import json
import os
import platform
from dataclasses import asdict
from pathlib import Path

from dataset_builder.build.folder import BuildFolder
from dataset_builder.build.settings import OF_LABELS, BuildSettings
from retrieval.corpus import PYTHON_STDLIB
from retrieval.errors import InputError


def read_settings(folder: BuildFolder) -> BuildSettings:
    """The settings that the build in `folder` was begun with.

    Raises:
        InputError: where there is none.
    """
    if not folder.settings.is_file():
        raise InputError(f"{folder.root} holds no build; make one with python -m dataset_builder build")
    record = json.loads(folder.settings.read_text())
    del record["corpus_version"]
    if "structured" in record:
        # Builds of earlier releases asked for text, or for a JSON list that is no longer asked for.
        record["answer_format"] = "json" if record.pop("structured") else "text"
    return BuildSettings(**record, output_dir=str(folder.root))


def claim_folder(folder: BuildFolder, settings: BuildSettings) -> None:
    """Write `settings` into a new build folder, or check that an old one was begun with the same; how labels are
    asked for may be another where none was made yet.

    Raises:
        InputError: where the folder holds another build, or files that are none.
    """
    record = _record(settings)
    if folder.settings.is_file():
        version = json.loads(folder.settings.read_text())["corpus_version"]
        # Read as settings, since a build of an earlier release lacks those that came later.
        begun = {**_record(read_settings(folder)), "corpus_version": version}
        if not any(folder.rankings(0).parent.glob("*.jsonl")):
            begun |= {name: record[name] for name in OF_LABELS}
        _refuse_difference(folder, begun, record)
    elif folder.root.is_dir() and any(folder.root.iterdir()):
        raise InputError(f"{folder.root} is not empty and holds no build; choose another --output_dir")
    folder.build.mkdir(parents=True, exist_ok=True)
    unfinished = folder.settings.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(record, indent=2) + "\n")
    os.replace(unfinished, folder.settings)


def _record(settings: BuildSettings) -> dict[str, object]:
    record: dict[str, object] = asdict(settings)
    del record["output_dir"]
    return {**record, "corpus_version": _corpus_version(settings.corpus)}


def _corpus_version(corpus: str) -> str:
    """Tells a changed corpus from the same one, without reading gigabytes: size and time of its files."""
    if corpus == PYTHON_STDLIB:
        return f"Python {platform.python_version()}"
    path = Path(corpus)
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    stats = [file.stat() for file in files if file.is_file()]
    return (
        f"{sum(stat.st_size for stat in stats)} bytes, {max((stat.st_mtime_ns for stat in stats), default=0)}"
    )


def _refuse_difference(folder: BuildFolder, begun: dict[str, object], wanted: dict[str, object]) -> None:
    names = sorted(name for name in begun | wanted if begun.get(name) != wanted.get(name))
    if names:
        changes = ", ".join(f"{name} {begun.get(name)!r} → {wanted.get(name)!r}" for name in names)
        raise InputError(
            f"{folder.root} holds another build ({changes}); choose another --output_dir or delete it"
        )
