"""Rankings for training: loaded by name or path, filtered, some of their queries held out."""

import os
import random
from collections.abc import Collection, Sequence
from math import ceil
from pathlib import Path

import pyarrow.compute
from datasets import ClassLabel, Dataset, DatasetDict, load_dataset

from retrieval.errors import InputError
from training.arguments import Stage
from training.flags import DataArguments
from training.losses import WeightedLoss

NEEDED_COLUMNS = ("query_id", "query", "retrieved_passages")
NEEDED_FIELDS = ("docid", "text", "rank")
TEACHER_SCORE = "teacher_score"
SOURCE = "source_docid"

Row = dict[str, object]


def load_rankings(arguments: DataArguments, seed: int) -> tuple[Dataset, Dataset | None]:
    """The rankings to train on, and those of held-out queries.

    Held out is the dataset's `eval_split`; where it has none, a share of its queries, drawn with `seed`; None where
    that share is 0 or a single query.

    Raises:
        InputError: for a dataset that cannot be read, lacks a column or split, is empty after filtering, or has fewer
            queries than asked for.
    """
    splits = _load(arguments.dataset_name)
    if arguments.train_split not in splits:
        raise InputError(
            f"{arguments.dataset_name} has no split {arguments.train_split!r}, only {', '.join(splits)}"
        )
    train = _filter(splits[arguments.train_split], arguments)
    evaluation = splits.get(arguments.eval_split)
    if evaluation is not None and len(evaluation):
        held_out: Dataset | None = _filter(evaluation, arguments)
    else:
        train, held_out = _hold_out(train, arguments.held_out, seed)
    return _some_queries(train, arguments.max_train_samples, seed), held_out


def load_split(name: str, split: str, max_queries: int) -> Dataset:
    """The first `max_queries` rankings of a split.

    Raises:
        InputError: for a dataset that cannot be read, or lacks a column or the split.
    """
    splits = _load(name)
    if split not in splits or not len(splits[split]):
        raise InputError(f"{name} has no split {split!r}, only {', '.join(splits)}; name one with --split")
    _check_columns(splits[split], name)
    return splits[split].select(range(min(max_queries, len(splits[split]))))


def refuse_unreadable(rankings: Dataset, loss: WeightedLoss, stage: Stage) -> None:
    """Check, before anything is trained, that the rankings have what the loss reads.

    Raises:
        InputError: for a loss on scores where a passage has none; for InfoNCE where no query has its source.
    """
    name, flag = stage.data.dataset_name, f"--loss {stage.training.loss}"
    if loss.reads_scores and not has_scores(rankings):
        raise InputError(
            f"{flag} needs the teacher's scores, retrieved_passages[{TEACHER_SCORE}], which {name} lacks; take a "
            "teacher that gives scores, or a loss on order, such as ranknet"
        )
    if loss.reads_source and len(rankings):
        number = num_with_source(rankings)
        if not number:
            raise InputError(
                f"{flag} needs queries whose {SOURCE} is among their passages, and {name} has none; take another loss"
            )
        if number < len(rankings):
            print(
                f"{flag}: {number} of {len(rankings)} rankings hold their query's source; the others teach nothing"
            )


def normal(query: str) -> str:
    """A query's text as it is compared with others': case and blanks aside."""
    return " ".join(query.lower().split())


def has_scores(rankings: Dataset) -> bool:
    """Whether every passage has a `teacher_score`."""
    passages = rankings.features["retrieved_passages"]
    if TEACHER_SCORE not in getattr(passages, "feature", passages):
        return False
    batches = rankings.select_columns("retrieved_passages").with_format("arrow").iter(batch_size=1000)
    lists = (batch.column("retrieved_passages").combine_chunks() for batch in batches)
    return all(_scores(passages).null_count == 0 for passages in lists)


def _scores(passages: "pyarrow.Array") -> "pyarrow.Array":
    if pyarrow.types.is_struct(passages.type):  # a dictionary of lists, as datasets before 4 wrote it
        return pyarrow.compute.list_flatten(pyarrow.compute.struct_field(passages, TEACHER_SCORE))
    return pyarrow.compute.struct_field(pyarrow.compute.list_flatten(passages), TEACHER_SCORE)


def num_with_source(rankings: Dataset) -> int:
    """How many queries have the passage they were made from among their passages."""
    if SOURCE not in rankings.column_names:
        return 0
    return sum(
        any(passage["docid"] == row[SOURCE] for passage in row["retrieved_passages"]) for row in rankings
    )


def _load(name: str) -> DatasetDict:
    if os.path.isdir(name) and not any(Path(name).rglob("*.parquet")):
        raise InputError(
            f"dataset {name} holds no Parquet file; build it with python -m dataset_builder build"
        )
    try:
        return load_dataset(name)
    except (FileNotFoundError, ConnectionError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"dataset {name} cannot be read ({reason}); give a folder or a Hub name") from error


def _filter(rankings: Dataset, arguments: DataArguments) -> Dataset:
    _check_columns(rankings, arguments.dataset_name)
    rankings = _keep(rankings, "query_type", arguments.query_types)
    rankings = _keep(rankings, "retriever", arguments.retrievers)
    rankings = rankings.filter(_has_pair)
    if not len(rankings):
        raise InputError(f"{arguments.dataset_name}: no query with two passages is left after filtering")
    return rankings


def _check_columns(rankings: Dataset, name: str) -> None:
    missing = [column for column in NEEDED_COLUMNS if column not in rankings.column_names]
    if missing:
        raise InputError(f"{name} lacks the column {missing[0]!r}; needed: {', '.join(NEEDED_COLUMNS)}")
    passages = rankings.features["retrieved_passages"]
    fields = getattr(passages, "feature", passages)
    absent = [field for field in NEEDED_FIELDS if field not in fields]
    if absent:
        raise InputError(f"{name}: retrieved_passages lacks the field {absent[0]!r}")


def _keep(rankings: Dataset, column: str, wanted: Sequence[str] | None) -> Dataset:
    if not wanted:
        return rankings
    feature = rankings.features.get(column)
    if not isinstance(feature, ClassLabel):
        raise InputError(f"the dataset has no class labels {column!r} to filter by")
    unknown = [name for name in wanted if name not in feature.names]
    if unknown:
        raise InputError(f"{column} {unknown[0]!r} is not one of {', '.join(feature.names)}")
    labels = {feature.str2int(name) for name in wanted}
    return rankings.filter(lambda label: label in labels, input_columns=column)


def _has_pair(row: Row) -> bool:
    passages = row["retrieved_passages"]
    return isinstance(passages, list) and len(passages) > 1


def _hold_out(rankings: Dataset, share: float, seed: int) -> tuple[Dataset, Dataset | None]:
    """By query: several rankings of one stay together."""
    queries = _queries(rankings)
    if not share or len(queries) < 2:
        return rankings, None
    chosen = set(random.Random(f"{seed} held out").sample(queries, ceil(share * len(queries))))
    return _with(rankings, set(queries) - chosen), _with(rankings, chosen)


def _some_queries(rankings: Dataset, number: int | None, seed: int) -> Dataset:
    if number is None:
        return rankings
    queries = _queries(rankings)
    if number > len(queries):
        raise InputError(f"--max_train_samples {number}: there are only {len(queries)} queries to train on")
    return _with(rankings, set(random.Random(f"{seed} trained on").sample(queries, number)))


def _queries(rankings: Dataset) -> list[str]:
    return list(dict.fromkeys(map(normal, rankings["query"])))


def _with(rankings: Dataset, queries: Collection[str]) -> Dataset:
    return rankings.select(
        [index for index, query in enumerate(rankings["query"]) if normal(query) in queries]
    )
