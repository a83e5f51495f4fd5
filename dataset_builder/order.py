"""Lets a build's teacher order a TREC run: what a teacher is worth, before its labels are paid for."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from dataset_builder.errors import InputError
from dataset_builder.folder import BuildFolder
from dataset_builder.methods import open_teacher
from dataset_builder.passage_store import PassageStore
from dataset_builder.settings import read_settings

Run = dict[str, list[str]]


def order_run(folder: BuildFolder, queries_path: Path, run_path: Path, output: Path) -> None:
    """Write the candidates of the run at `run_path` in the teacher's order; the score is minus the rank.

    Raises:
        InputError: for a folder without a build, a query without a text, or a passage that is not in the corpus.
    """
    teacher = open_teacher(folder, read_settings(folder))
    passages = PassageStore(folder.passages)
    texts, run = _read_queries(queries_path), _read_run(run_path)
    unfinished = output.with_name(f"{output.name}.unfinished")
    output.parent.mkdir(parents=True, exist_ok=True)
    with unfinished.open("w", encoding="utf-8") as file:
        for query_id, docids in tqdm(run.items(), desc=f"ordering with {teacher.name}", unit="query"):
            if query_id not in texts:
                raise InputError(f"{run_path} has query {query_id!r}, which {queries_path} has not")
            try:
                answer = teacher.order(texts[query_id], passages.get(docids))
            except KeyError as error:
                raise InputError(
                    f"{run_path}: passage {error} is not in the corpus of {folder.root}"
                ) from error
            ordered = docids if answer.order is None else [docids[index] for index in answer.order]
            file.writelines(_trec_lines(query_id, ordered, teacher.name))
    os.replace(unfinished, output)


def _read_queries(path: Path) -> dict[str, str]:
    if not path.is_file():
        raise InputError(f"queries {path} do not exist")
    with path.open(encoding="utf-8") as file:
        return {row["_id"]: row["text"] for row in map(json.loads, file)}


def _read_run(path: Path) -> Run:
    if not path.is_file():
        raise InputError(f"run {path} does not exist")
    run: Run = {}
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            fields = line.split()
            if len(fields) != 6:
                raise InputError(f"{path} line {number}: {len(fields)} fields; a TREC run has 6")
            run.setdefault(fields[0], []).append(fields[2])
    return run


def _trec_lines(query_id: str, docids: list[str], tag: str) -> Iterator[str]:
    for rank, docid in enumerate(docids, start=1):
        yield f"{query_id} Q0 {docid} {rank} {-rank} {tag}\n"
