"""What the report says of a build as a whole, counted over all of its queries."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dataset_builder.build.folder import BuildFolder
from dataset_builder.build.settings import QUERY_TYPES, BuildSettings
from dataset_builder.dataset.features import RETRIEVERS
from dataset_builder.language_models.access import TeacherAccess
from dataset_builder.pipeline.progress import StageProgress, stage_progress
from dataset_builder.ranking_example import LABEL_STATUSES
from dataset_builder.report.agreement import Agreement, agreements
from dataset_builder.report.query_row import NO_POOL, WAITING, QueryRow
from dataset_builder.teacher_name import RUN, TeacherName
from dataset_builder.teachers.choice import teacher_column
from dataset_builder.teachers.costs import describe_cost, language_models_of

WITHOUT_LABEL = (WAITING, NO_POOL)


@dataclass(frozen=True, slots=True)
class QueryType:
    """How the queries of one type fared. `pools`: by retriever. `dropped`: reason and number, while they were drawn.

    `with_source`: the labelled queries whose pool has the passage they were made of; `source_first`: those where the
    teacher puts it first.
    """

    name: str
    num_queries: int
    pools: Counter[str]
    dropped: dict[str, int]
    num_labelled: int
    with_source: int
    source_first: int


@dataclass(frozen=True, slots=True)
class Overview:
    """`states`: how many queries are in each state, labels first. `costs`: a line for each language model asked."""

    name: str
    corpus: str
    teacher: str
    settings: BuildSettings
    imported: bool
    asks_models: bool
    stages: list[StageProgress]
    num_queries: int
    states: dict[str, int]
    costs: list[str]
    retrievers: list[str]
    query_types: list[QueryType]
    agreements: list[Agreement]

    @property
    def num_labelled(self) -> int:
        """Queries that came to a label, or to the end of the attempts at one."""
        return sum(count for state, count in self.states.items() if state not in WITHOUT_LABEL)


def overview(
    folder: BuildFolder, settings: BuildSettings, access: TeacherAccess, rows: Sequence[QueryRow]
) -> Overview:
    """Count a build's rows, and take the rest from what its folder says."""
    imported = TeacherName.parse(settings.teacher).kind == RUN
    return Overview(
        name=folder.root.resolve().name,
        corpus=Path(settings.corpus).name,
        teacher=teacher_column(settings),
        settings=settings,
        imported=imported,
        asks_models=bool(language_models_of(settings)),
        stages=[] if imported else stage_progress(folder, settings),
        num_queries=len(rows),
        states=_in_order(Counter(row.state for row in rows), (*LABEL_STATUSES, *WITHOUT_LABEL)),
        costs=[line for line in describe_cost(folder, settings, access).split("; ") if line],
        retrievers=list(
            _in_order(Counter(row.retriever for row in rows if row.retriever), RETRIEVERS),
        ),
        query_types=_query_types(folder.query_counts(settings.draw), rows),
        agreements=agreements(rows),
    )


def _in_order(counts: Counter[str], names: Sequence[str]) -> dict[str, int]:
    """The counts above 0, those of `names` first and in that order."""
    return {name: counts[name] for name in [*names, *sorted(counts.keys() - set(names))] if counts[name]}


def _query_types(counts: Path, rows: Sequence[QueryRow]) -> list[QueryType]:
    drawn: dict[str, dict[str, int]] = {}
    if counts.is_file():
        drawn = json.loads(counts.read_text())
    names = _in_order(Counter(row.query_type for row in rows), QUERY_TYPES)
    return [_query_type(name, [row for row in rows if row.query_type == name], drawn) for name in names]


def _query_type(name: str, rows: Sequence[QueryRow], drawn: dict[str, dict[str, int]]) -> QueryType:
    labelled = [row for row in rows if row.first_at is not None]
    sources = [row.source_at for row in labelled if row.source_at is not None]
    dropped = {reason: count for reason, count in drawn.get(name, {}).items() if reason != "kept" and count}
    pools = Counter(row.retriever for row in rows if row.retriever)
    return QueryType(name, len(rows), pools, dropped, len(labelled), len(sources), sources.count(1))
