"""Rankings for training: loaded by name or path, filtered, and collated into pairs."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from datasets import ClassLabel, Dataset, DatasetDict, load_dataset
from transformers import BatchEncoding, PreTrainedTokenizerBase

from dataset_builder.errors import InputError
from modeling_twolar.scoring import shortened
from training.arguments import DataArguments

NEEDED_COLUMNS = ("query_id", "query", "retrieved_passages")
NEEDED_FIELDS = ("docid", "text", "rank")
TEACHER_SCORE = "teacher_score"

Row = dict[str, object]


def load_rankings(arguments: DataArguments) -> tuple[Dataset, Dataset | None]:
    """The training rankings and, where the dataset has that split, the evaluation rankings.

    Raises:
        InputError: for a dataset that cannot be read, lacks a column or split, or is empty after filtering.
    """
    splits = _load(arguments.dataset_name)
    if arguments.train_split not in splits:
        raise InputError(
            f"{arguments.dataset_name} has no split {arguments.train_split!r}, only {', '.join(splits)}"
        )
    train = _filter(splits[arguments.train_split], arguments)
    if arguments.max_train_samples is not None:
        train = train.select(range(min(arguments.max_train_samples, len(train))))
    evaluation = splits.get(arguments.eval_split)
    return train, _filter(evaluation, arguments) if evaluation is not None and len(evaluation) else None


def _load(name: str) -> DatasetDict:
    if Path(name).is_dir() and not any(Path(name).rglob("*.parquet")):
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


@dataclass(frozen=True, slots=True)
class RankingCollator:
    """Turns rows into the pairs of one forward pass, with the teacher's ranks.

    A pool larger than `num_passages` is sampled: which passages are taken depends on `seed` and the query
    alone, so that a resumed run sees the same ones.
    """

    tokenizer: PreTrainedTokenizerBase
    num_passages: int
    max_length: int
    seed: int

    def __call__(self, rows: Sequence[Row]) -> BatchEncoding:
        """The tokenizer's tensors over all (query, passage) pairs, and `ranks`.

        `ranks`: (num_queries, num_passages) int64, the teacher's rank from 1; 0 is padding. The pairs stand
        in the order of its non-zero entries. `teacher_scores`, in the same shape, where every passage has one.
        """
        pools = [self._pool(row) for row in rows]
        ranks = torch.zeros(len(rows), max(map(len, pools)), dtype=torch.long)
        for number, pool in enumerate(pools):
            ranks[number, : len(pool)] = torch.tensor([passage["rank"] for passage in pool])
        queries = [self._query(row) for row, pool in zip(rows, pools, strict=True) for _ in pool]
        texts = [_contents(passage) for pool in pools for passage in pool]
        batch = self.tokenizer(
            queries,
            texts,
            truncation="only_second",
            max_length=self.max_length,
            padding=True,
            return_tensors="pt",
        )
        batch["ranks"] = ranks
        if all(passage.get(TEACHER_SCORE) is not None for pool in pools for passage in pool):
            batch["teacher_scores"] = torch.zeros(ranks.shape)
            batch["teacher_scores"][ranks > 0] = torch.tensor(
                [float(str(passage[TEACHER_SCORE])) for pool in pools for passage in pool]
            )
        return batch

    def _query(self, row: Row) -> str:
        return shortened(str(row["query"]), self.tokenizer, self.max_length // 2)

    def _pool(self, row: Row) -> list[Row]:
        pool = sorted(row["retrieved_passages"], key=lambda passage: passage["rank"])  # type: ignore[attr-defined,call-overload]
        if len(pool) <= self.num_passages:
            return pool
        chosen = random.Random(f"{self.seed} {row['query_id']}").sample(range(len(pool)), self.num_passages)
        return [pool[index] for index in sorted(chosen)]


def _contents(passage: Row) -> str:
    title = passage.get("title")
    return f"{title} {passage['text']}" if title else str(passage["text"])
