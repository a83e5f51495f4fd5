"""Is a teacher worth its labels? What it makes of judged queries, beside the first stage and the student's start.

A teacher that is no better than its student's start has little to teach (Xu et al., arXiv 2507.08336).
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dataset_builder.build.folder import BuildFolder
from dataset_builder.build.settings import BuildSettings
from dataset_builder.language_models.access import TeacherAccess
from dataset_builder.pools.methods import open_retrievers
from dataset_builder.pools.pool import with_texts
from dataset_builder.ranking_example import RankingExample, hits_in_order
from dataset_builder.teacher_name import BATCH
from dataset_builder.teachers import Teacher
from dataset_builder.teachers.choice import teachers_of
from dataset_builder.teachers.ensemble import EnsembleTeacher
from dataset_builder.teachers.opening import open_teacher
from dataset_builder.teachers.reranker import open_reranker
from evaluation.measures import MAIN_MEASURE, mean, per_query
from evaluation.significance import compare
from retrieval.errors import InputError
from retrieval.judgments import Qrels, read_qrels
from retrieval.passage_store import PassageStore
from retrieval.queries import read_queries
from retrieval.records import Query
from retrieval.trec_run import read_run

TEACHER, START = "the teacher", "the student's start"

# Query → nDCG@10.
PerQuery = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Judged:
    """Judged queries over a build's corpus, and the student that is to learn of its teacher. It changes no label.

    `judged`: a folder with queries.jsonl and qrels/`judged_split`.tsv; "" where there is none. `judged_run`: the TREC
    run to rank; by default the build's first retrieval method finds the passages. `start`: what the student starts
    from, of which it keeps `start_layers`; "" to leave it out.
    """

    judged: str = ""
    judged_split: str = "test"
    judged_run: str = ""
    start: str = ""
    start_layers: Sequence[int] | None = None

    def check(self, settings: BuildSettings) -> None:
        """Find what is wrong with it before a build begins.

        Raises:
            InputError: for files that are missing or cannot be read, or a teacher that answers within a day.
        """
        if not self.judged:
            return
        self.queries()
        if self.judged_run and not os.path.isfile(self.judged_run):
            raise InputError(f"--judged_run {self.judged_run} does not exist")
        if any(teacher.kind == BATCH for teacher in teachers_of(settings)):
            raise InputError(
                "--judged asks the teacher at once, and a batch answers within a day; leave it out"
            )

    def queries(self) -> dict[str, str]:
        """The judged queries' texts, by id.

        Raises:
            InputError: for files that are missing or cannot be read.
        """
        texts, qrels = read_queries(self._existing("queries.jsonl")), self.qrels()
        missing = next((query_id for query_id in qrels if query_id not in texts), None)
        if missing is not None:
            raise InputError(f"{self.judged} judges query {missing!r}, which its queries.jsonl has not")
        return {query_id: texts[query_id] for query_id in qrels}

    def qrels(self) -> Qrels:
        """The judgments.

        Raises:
            InputError: for a file that is missing or cannot be read.
        """
        return read_qrels(self._existing(f"qrels/{self.judged_split}.tsv"))

    def _existing(self, name: str) -> Path:
        path = Path(self.judged) / name
        if not path.is_file():
            raise InputError(f"--judged {self.judged} has no {name}")
        return path


def judge_teacher(folder: BuildFolder, settings: BuildSettings, access: TeacherAccess, judged: Judged) -> str:
    """What the teacher's order of judged queries is worth, in lines for people; the last one warns where need be.

    Queries whose pool the teacher gives no order count for nobody, and are counted.

    Raises:
        InputError: for a run with a passage that the corpus lacks, or a teacher or start that cannot be opened.
    """
    first_stage, pools = _judged_pools(folder, settings, judged)
    orders: dict[str, list[RankingExample]] = {}
    with open_teacher(folder, settings, access) as teacher:
        if isinstance(teacher, EnsembleTeacher):
            views = [list(member.label(pools)) for member, _ in teacher.members]
            orders[TEACHER] = teacher.fused(pools, views)
            orders |= {
                f"its {member.name}": view for (member, _), view in zip(teacher.members, views, strict=True)
            }
        else:
            orders[TEACHER] = list(teacher.label(pools))
    if judged.start:
        start: Teacher = open_reranker(
            judged.start, tuple(judged.start_layers) if judged.start_layers else None
        )
        orders[START] = list(start.label(pools))
    without = {
        pool.query.query_id for order in orders.values() for pool in order if pool.teacher_order is None
    }
    qrels = {query_id: grades for query_id, grades in judged.qrels().items() if query_id not in without}
    values = {name: _values(qrels, order) for name, order in orders.items()} | {
        first_stage: _values(qrels, pools)
    }
    where = f"{Path(judged.judged).name} ({judged.judged_split})"
    return "\n".join([*_described(values, where, len(qrels), len(without)), *_warning(values)])


def _judged_pools(
    folder: BuildFolder, settings: BuildSettings, judged: Judged
) -> tuple[str, list[RankingExample]]:
    """The first stage's name, and the pool of each query for which it finds more than one passage."""
    queries = judged.queries()
    if judged.judged_run:
        name, run = Path(judged.judged_run).stem, read_run(Path(judged.judged_run))
    else:
        (retriever,) = open_retrievers(folder, settings, settings.retrievers[:1])
        found = retriever.search(list(queries.values()), settings.num_passages)
        name, run = retriever.name, dict(zip(queries, found, strict=True))
    passages = PassageStore(folder.passages)
    pools = []
    for query_id, text in queries.items():
        hits = run.get(query_id, [])[: settings.num_passages]
        if len(hits) > 1:
            try:
                pools.append(RankingExample(Query(query_id, text), name, with_texts(hits, passages)))
            except KeyError as error:
                raise InputError(
                    f"run {name} has passage {error}, which the build's corpus has not"
                ) from error
    if not pools:
        raise InputError(f"{name} finds passages for none of the queries of --judged {judged.judged}")
    return name, pools


def _values(qrels: Qrels, pools: Sequence[RankingExample]) -> PerQuery:
    return per_query(qrels, {pool.query.query_id: hits_in_order(pool) for pool in pools})[MAIN_MEASURE]


def _described(values: Mapping[str, PerQuery], where: str, num_queries: int, num_without: int) -> list[str]:
    figures = ", ".join(f"{name} {mean(own):.4f}" for name, own in values.items())
    left_out = f"; {num_without} more that it gave no order are left out" if num_without else ""
    return [f"nDCG@10 on {where}, {num_queries} judged queries{left_out}: {figures}"]


def _warning(values: Mapping[str, PerQuery]) -> list[str]:
    """Where the teacher is not better than the student's start: that, and what to do."""
    if START not in values:
        return []
    compared = {name: list(values[name].values()) for name in (START, TEACHER)}
    (found,) = compare(compared, START, seed=0)
    difference = f"{found.difference:+.4f}, p {found.p_randomization:.4f}"
    if found.difference > 0:
        return [f"the teacher against the student's start: {difference}"]
    return [
        f"WARNING: the teacher is not better than the student's start ({difference}): it has nothing to teach. Take a "
        "better one (--teacher), or several together (--teacher ensemble)"
    ]
