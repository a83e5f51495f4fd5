"""Lets a build's teacher order a TREC run: what a teacher is worth, before its labels are paid for."""

from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from dataset_builder.build.claim import read_settings
from dataset_builder.build.folder import BuildFolder
from dataset_builder.language_models.access import TeacherAccess
from dataset_builder.ranking_example import RankingExample, RetrievedPassage
from dataset_builder.teachers.opening import open_teacher
from retrieval.errors import InputError
from retrieval.passage_store import PassageStore
from retrieval.queries import read_queries_file
from retrieval.records import Hit, Query
from retrieval.trec_run import Run, read_run, write_run


def order_run(
    folder: BuildFolder, access: TeacherAccess, queries_path: Path, run_path: Path, output: Path
) -> None:
    """Write the candidates of the run at `run_path` in the teacher's order; the score is minus the rank.

    Raises:
        InputError: for a folder without a build, an unknown query, or a passage that is not in the corpus.
    """
    texts, run = read_queries_file(queries_path), read_run(run_path)
    unknown = next((query_id for query_id in run if query_id not in texts), None)
    if unknown is not None:
        raise InputError(f"{run_path} has query {unknown!r}, which {queries_path} has not")
    pools = _pools(run, run_path, texts, folder)
    with open_teacher(folder, read_settings(folder), access) as teacher:
        progress = tqdm(teacher.label(pools), f"ordering with {teacher.name}", len(run), unit="query")
        write_run(output, {example.query.query_id: _ordered(example) for example in progress}, teacher.name)


def _pools(run: Run, path: Path, texts: dict[str, str], folder: BuildFolder) -> Iterator[RankingExample]:
    passages = PassageStore(folder.passages)
    for query_id, hits in run.items():
        try:
            found = passages.get([hit.docid for hit in hits])
        except KeyError as error:
            raise InputError(f"{path}: passage {error} is not in the corpus of {folder.root}") from error
        ranked = enumerate(zip(found, hits, strict=True), start=1)
        pool = tuple(RetrievedPassage(passage, rank, hit.score) for rank, (passage, hit) in ranked)
        yield RankingExample(Query(query_id, texts[query_id]), "", pool)


def _ordered(example: RankingExample) -> list[Hit]:
    if example.teacher_order is None:
        raise InputError(
            f"{example.teacher} gave no order for query {example.query.query_id!r} ({example.label_status})"
        )
    docids = [example.passages[index].passage.docid for index in example.teacher_order]
    return [Hit(docid, float(-rank)) for rank, docid in enumerate(docids, start=1)]
