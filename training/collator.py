"""Turns rankings into the tensors of one forward pass."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import BatchEncoding, PreTrainedTokenizerBase

from modeling_twolar.scoring import shortened_queries
from training.data import SOURCE, TEACHER_SCORE, Row


@dataclass(frozen=True, slots=True)
class RankingCollator:
    """Turns rows into (query, passage) pairs, with the teacher's ranks."""

    tokenizer: PreTrainedTokenizerBase
    max_length: int

    def __call__(self, rows: Sequence[Row]) -> BatchEncoding:
        """The tokenizer's tensors over all pairs, and what the losses read.

        `ranks`: (num_queries, num_passages) int64, the teacher's rank from 1; 0 is padding. The pairs stand
        in the order of its non-zero entries. In the same shape `is_source`, bool: the passage that the query was
        made from; and `teacher_scores`, float, where every passage has one.
        """
        pools = [pool_of(row) for row in rows]
        ranks = torch.zeros(len(rows), max(map(len, pools)), dtype=torch.long)
        for number, pool in enumerate(pools):
            ranks[number, : len(pool)] = torch.tensor([passage["rank"] for passage in pool])
        batch = self._tokenize(rows, pools)
        batch["ranks"] = ranks
        batch["is_source"] = _spread(
            ranks > 0,
            [
                passage["docid"] == row.get(SOURCE)
                for row, pool in zip(rows, pools, strict=True)
                for passage in pool
            ],
        )
        scores = [passage.get(TEACHER_SCORE) for pool in pools for passage in pool]
        if all(score is not None for score in scores):
            batch["teacher_scores"] = _spread(ranks > 0, [float(str(score)) for score in scores])
        return batch

    def _tokenize(self, rows: Sequence[Row], pools: Sequence[Sequence[Row]]) -> BatchEncoding:
        queries = shortened_queries([str(row["query"]) for row in rows], self.tokenizer, self.max_length)
        return self.tokenizer(
            [query for query, pool in zip(queries, pools, strict=True) for _ in pool],
            [contents(passage) for pool in pools for passage in pool],
            truncation="only_second",
            max_length=self.max_length,
            padding=True,
            return_tensors="pt",
        )


def pool_of(row: Row) -> list[Row]:
    """A ranking's passages in the teacher's order."""
    return sorted(row["retrieved_passages"], key=lambda passage: passage["rank"])  # type: ignore[attr-defined,call-overload]


def contents(passage: Row) -> str:
    """Title and text."""
    title = passage.get("title")
    return f"{title} {passage['text']}" if title else str(passage["text"])


def _spread(real: torch.Tensor, values: Sequence[bool] | Sequence[float]) -> torch.Tensor:
    """`values` at the true entries of `real`, in order; 0 elsewhere."""
    flat = torch.tensor(values)
    return torch.zeros(real.shape, dtype=flat.dtype).masked_scatter(real, flat)
