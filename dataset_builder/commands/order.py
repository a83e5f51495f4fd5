"""Lets a build's teacher order a TREC run: what a teacher is worth, before its labels are paid for."""

from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from dataset_builder.build.claim import read_settings
from dataset_builder.build.folder import BuildFolder
from dataset_builder.language_models.access import TeacherAccess
from dataset_builder.pools.pool import with_texts
from dataset_builder.ranking_example import RankingExample, hits_in_order
from dataset_builder.teachers.opening import open_teacher
from retrieval.errors import InputError
from retrieval.passage_store import PassageStore
from retrieval.queries import read_queries
from retrieval.records import Query
from retrieval.trec_run import Run, read_run, write_run


def order_run(
    folder: BuildFolder, access: TeacherAccess, queries_path: Path, run_path: Path, output: Path
) -> str:
    """Write the candidates of the run at `run_path` in the teacher's order; the score is minus the rank.

    Returns:
        What became of it, in words: a query that the teacher gave no order is left out of the run, not written in the
        order it came.

    Raises:
        InputError: for a folder without a build, an unknown query, a passage that is not in the corpus, a score that
            is not finite, or a teacher that gave no order at all.
    """
    texts, run = read_queries(queries_path), read_run(run_path)
    unknown = next((query_id for query_id in run if query_id not in texts), None)
    if unknown is not None:
        raise InputError(f"{run_path} has query {unknown!r}, which {queries_path} has not")
    pools = _pools(run, run_path, texts, folder)
    with open_teacher(folder, read_settings(folder), access) as teacher:
        examples = list(tqdm(teacher.label(pools), f"ordering with {teacher.name}", len(run), unit="query"))
    without = {each.query.query_id: each.label_status for each in examples if each.teacher_order is None}
    named = ", ".join(f"{query_id} ({status})" for query_id, status in without.items())
    if len(without) == len(examples):
        raise InputError(
            f"{teacher.name} gave no order for any of the {len(examples)} queries of {run_path}: {named}"
        )
    ordered = {
        each.query.query_id: hits_in_order(each) for each in examples if each.teacher_order is not None
    }
    write_run(output, ordered, teacher.name)
    left_out = f"; {len(without)} got no order and are left out: {named}" if without else ""
    return f"{output}: {len(ordered)} queries{left_out}"


def _pools(run: Run, path: Path, texts: dict[str, str], folder: BuildFolder) -> Iterator[RankingExample]:
    passages = PassageStore(folder.passages)
    for query_id, hits in run.items():
        try:
            pool = with_texts(hits, passages)
        except KeyError as error:
            raise InputError(f"{path}: passage {error} is not in the corpus of {folder.root}") from error
        yield RankingExample(Query(query_id, texts[query_id]), "", pool)
