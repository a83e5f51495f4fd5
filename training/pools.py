"""The passages of each ranking that a training sees: drawn from its pool, anew in every epoch."""

import random

import torch
from datasets import Dataset
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from training.collator import pool_of
from training.data import SOURCE, Row


class RankingPools(torch.utils.data.Dataset[Row]):
    """Rankings with `num_passages` passages each, in the teacher's order.

    Of a larger pool one passage is drawn from each of `num_passages` bands of the teacher's order, so that head and
    tail are always there. Which ones depends on `seed`, query and epoch alone: a resumed training sees what the
    unbroken one sees.

    Args:
        keep_source: always draw the passage that the query was made from, which InfoNCE needs.
    """

    def __init__(self, rankings: Dataset, num_passages: int, seed: int, *, keep_source: bool = False) -> None:
        self.rankings = rankings
        self.num_passages = num_passages
        self.seed = seed
        self.keep_source = keep_source
        # In shared memory, where the processes of a DataLoader see it change.
        self._epoch = torch.zeros((), dtype=torch.long).share_memory_()

    def __len__(self) -> int:
        return len(self.rankings)

    def __getitem__(self, index: int) -> Row:
        row = self.rankings[index]
        pool = pool_of(row)
        drawn = bands_draw(len(pool), self.num_passages, self._random(row))
        sources = [place for place, passage in enumerate(pool) if passage["docid"] == row.get(SOURCE)]
        if self.keep_source and sources:
            drawn[band_of(sources[0], len(pool), len(drawn))] = sources[0]
        return {**row, "retrieved_passages": [pool[place] for place in drawn]}

    def set_epoch(self, epoch: int) -> None:
        """Draw for this epoch, from 0."""
        self._epoch.fill_(epoch)

    def _random(self, row: Row) -> random.Random:
        return random.Random(f"{self.seed} {row['query_id']} {self._epoch.item()}")


class DrawAnew(TrainerCallback):
    """Tells the pools which epoch begins. (Accelerate's loaders do so on one device, but not on several.)"""

    def __init__(self, pools: RankingPools) -> None:
        self.pools = pools

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """`state.epoch`: epochs done, in part where a training is resumed within one."""
        self.pools.set_epoch(int((state.epoch or 0) + 1e-6))


def bands_draw(size: int, number: int, generator: random.Random) -> list[int]:
    """`number` places out of `size`, ascending, one of each band; all of them where there are no more."""
    if size <= number:
        return list(range(size))
    return [generator.randrange(size * band // number, size * (band + 1) // number) for band in range(number)]


def band_of(place: int, size: int, number: int) -> int:
    """The band that holds `place`."""
    return next(band for band in range(number) if place < size * (band + 1) // number)
