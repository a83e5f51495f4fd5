"""The dataset card: every figure in it is counted from the build's files."""

import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import jinja2
from huggingface_hub import DatasetCardData

from dataset_builder.build.folder import BuildFolder, all_rankings
from dataset_builder.build.settings import SOURCE_IN, SOURCE_OUT, BuildSettings
from dataset_builder.dataset.models import models_of
from dataset_builder.language_models.access import TeacherAccess
from dataset_builder.queries.llm_query import QueryPrompt
from dataset_builder.queries.sampler import QueryCounts
from dataset_builder.teacher_name import LISTWISE, TeacherName
from dataset_builder.teachers.choice import teacher_column, teachers_of
from dataset_builder.teachers.costs import describe_cost
from dataset_builder.teachers.rejections import rejections
from retrieval.corpus import corpus_name
from retrieval.errors import InputError
from retrieval.licences import NOT_KNOWN, licence_id, licence_of
from retrieval.model_name import published_name
from retrieval.model_revision import model_revision
from retrieval.passage_store import PassageStore

SPLITS = ("train", "test")
TEMPLATES = Path(__file__).parents[2] / "model_cards"


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a build holds. `rows[query_type][retriever]`: queries of that kind; `label_statuses` counts the
    dropped too. `num_empty`: passages of the corpus without title and text, which are not among `num_passages`.
    `rejections`: servers' words about requests that they did not take, and of how many pools."""

    num_passages: int
    num_empty: int
    num_rows: int
    mean_pool_size: float
    rows: dict[str, Counter[str]]
    label_statuses: Counter[str]
    query_counts: dict[str, dict[str, int]]
    rejections: Mapping[str, int] = field(default_factory=dict)


def count_build(folder: BuildFolder, settings: BuildSettings) -> Statistics:
    """Count a build's rankings."""
    rows: dict[str, Counter[str]] = {}
    statuses: Counter[str] = Counter()
    pool_sizes = 0
    for example in all_rankings(folder):
        statuses[example.label_status] += 1
        if example.teacher_order is not None:
            rows.setdefault(example.query.query_type, Counter())[example.retriever] += 1
            pool_sizes += len(example.passages)
    total = sum(row.total() for row in rows.values())
    if not total:
        raise InputError(
            f"the teacher gave no order to any of the {statuses.total()} pools ({dict(statuses)}); "
            f"see python -m dataset_builder inspect {folder.root} QUERY_ID"
        )
    passages = PassageStore(folder.passages)
    return Statistics(
        num_passages=len(passages),
        num_empty=passages.num_empty,
        num_rows=total,
        mean_pool_size=pool_sizes / total,
        rows=rows,
        label_statuses=statuses,
        query_counts={
            name: asdict(QueryCounts(**counts))
            for name, counts in json.loads(folder.query_counts(settings.draw).read_text()).items()
        },
    )


def write_card(folder: BuildFolder, settings: BuildSettings, access: TeacherAccess) -> None:
    """Write the card of a build, aside and renamed. The same build gives the same bytes."""
    unfinished = folder.card.with_suffix(".unfinished")
    statistics = count_build(folder, settings)
    if statistics.label_statuses["rejected"]:
        statistics = replace(statistics, rejections=rejections(folder, settings, access))
    cost = describe_cost(folder, settings, access)
    unfinished.write_text(render_card(folder, statistics, settings, cost), encoding="utf-8")
    os.replace(unfinished, folder.card)


def render_card(folder: BuildFolder, statistics: Statistics, settings: BuildSettings, cost: str = "") -> str:
    """The card's Markdown, with YAML metadata that tells `load_dataset` where the splits are.

    `cost`: what the teacher's answers cost, in words.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters["format_count"] = "{:,}".format
    name = Path(settings.output_dir).name
    teacher = TeacherName.parse(settings.teacher)
    return environment.get_template("dataset_card.md.jinja").render(
        card_data=_card_data(folder, statistics, settings).to_yaml(),
        title=_title(settings),
        repo_id=f"twolar/{name}",
        corpus_name=corpus_name(settings.corpus),
        settings=settings,
        statistics=statistics,
        overlaps=_lines(folder.overlaps),
        provenance=_provenance(settings),
        teacher=teacher,
        teacher_column=teacher_column(settings),
        query_types=list(settings.query_shares()),
        asks_listwise=any(each.kind in LISTWISE for each in teachers_of(settings)),
        gives_scores=teacher.gives_scores,
        filtered_by=settings.consistency_retriever if settings.writes_queries else "",
        dropped=_dropped(settings),
        pool_choice=_pool_choice(settings),
        writer=TeacherName.parse(settings.asked_writer) if settings.asked_writer else "",
        query_prompt=QueryPrompt.read(settings.query_prompt).version,
        cost=cost,
        poolless=sum(count["kept"] for count in statistics.query_counts.values())
        - statistics.label_statuses.total(),
    )


def _dropped(settings: BuildSettings) -> dict[str, str]:
    """Why queries were dropped, in words, and the counts' names; of what the settings ask for."""
    reasons = {"near-empty": "near_empty", "duplicate": "duplicate"}
    if settings.exclude_queries:
        reasons["in an evaluation set"] = "excluded"
    if settings.exclude_sources:
        reasons["passage judged in an evaluation set"] = "judged"
    if settings.consistency_retriever and settings.writes_queries:
        reasons["inconsistent"] = "inconsistent"
    return reasons


def _pool_choice(settings: BuildSettings) -> list[str]:
    """How a pool differs from the first of what was found, in words."""
    choice = []
    if settings.pool_head not in (0, settings.num_passages):
        choice.append(f"the first {settings.pool_head}, the others evenly down to {settings.pool_depth}")
    if settings.source_passage == SOURCE_IN:
        choice.append(f"the query's own passage wherever it is among {settings.search_depth}")
    if settings.source_passage == SOURCE_OUT:
        choice.append("without the query's own passage")
    if settings.near_duplicates < 1:
        choice.append(
            f"without what has {settings.near_duplicates:g} of its three-word sequences in common with one above"
        )
    return choice


def _provenance(settings: BuildSettings) -> list[tuple[str, str, str]]:
    """Name, revision and licence of the corpus and of each model that this build uses."""
    corpus = corpus_name(settings.corpus)
    rows = [
        (corpus, "", corpus),
        *((published_name(name), model_revision(name)[:12], name) for name in models_of(settings)),
    ]
    return [(shown, revision, licence_of(name)) for shown, revision, name in rows]


def _lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _files(folder: BuildFolder, split: str) -> list[str]:
    return [f"data/{path.name}" for path in sorted(folder.data.glob(f"{split}-*.parquet"))]


def _title(settings: BuildSettings) -> str:
    return f"TWOLAR {Path(settings.output_dir).name}"


def _card_data(folder: BuildFolder, statistics: Statistics, settings: BuildSettings) -> DatasetCardData:
    corpus = corpus_name(settings.corpus)
    is_named = settings.license == "other" and licence_of(corpus) != NOT_KNOWN
    return DatasetCardData(
        pretty_name=_title(settings),
        language=settings.language or None,
        task_categories=["text-ranking"],
        license=settings.license,
        license_name=licence_id(corpus) if is_named else None,
        tags=["information-retrieval", "reranking", "distillation", "twolar"],
        size_categories=[_size_category(statistics.num_rows)],
        configs=[
            {
                "config_name": "default",
                "data_files": [
                    {"split": split, "path": files} for split in SPLITS if (files := _files(folder, split))
                ],
            }
        ],
    )


def _size_category(num_rows: int) -> str:
    limits = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
    return next((name for limit, name in limits if num_rows < limit), "n>1M")
