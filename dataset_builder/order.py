"""Lets a build's teacher order a TREC run: what a teacher is worth, before its labels are paid for."""

import json
from pathlib import Path

from tqdm import tqdm

from dataset_builder.errors import InputError
from dataset_builder.folder import BuildFolder
from dataset_builder.methods import open_teacher
from dataset_builder.passage_store import PassageStore
from dataset_builder.records import Hit
from dataset_builder.settings import read_settings
from dataset_builder.trec_run import Run, read_run, write_run


def order_run(folder: BuildFolder, queries_path: Path, run_path: Path, output: Path) -> None:
    """Write the candidates of the run at `run_path` in the teacher's order; the score is minus the rank.

    Raises:
        InputError: for a folder without a build, an unknown query, or a passage that is not in the corpus.
    """
    teacher = open_teacher(folder, read_settings(folder))
    passages = PassageStore(folder.passages)
    texts, run = _read_queries(queries_path), read_run(run_path)
    unknown = next((query_id for query_id in run if query_id not in texts), None)
    if unknown is not None:
        raise InputError(f"{run_path} has query {unknown!r}, which {queries_path} has not")
    ranked: Run = {}
    for query_id, hits in tqdm(run.items(), desc=f"ordering with {teacher.name}", unit="query"):
        docids = [hit.docid for hit in hits]
        try:
            answer = teacher.order(texts[query_id], passages.get(docids))
        except KeyError as error:
            raise InputError(f"{run_path}: passage {error} is not in the corpus of {folder.root}") from error
        if answer.order is None:
            raise InputError(f"{teacher.name} gave no order for query {query_id!r} ({answer.label_status})")
        ranked[query_id] = [
            Hit(docids[index], float(-rank)) for rank, index in enumerate(answer.order, start=1)
        ]
    write_run(output, ranked, teacher.name)


def _read_queries(path: Path) -> dict[str, str]:
    if not path.is_file():
        raise InputError(f"queries {path} do not exist")
    with path.open(encoding="utf-8") as file:
        return {row["_id"]: row["text"] for row in map(json.loads, file)}
