"""Passages' vectors in shards that the corpus alone decides: each is encoded once, whoever takes it, and kept until all
are in an index."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from tqdm import tqdm

from retrieval.passage_store import PassageStore

# Passages in a shard: what a kill can cost, and the window in which passages of similar length share batches.
SHARD_SIZE = 8192

Vectors = TypeVar("Vectors")


@dataclass(frozen=True, slots=True)
class VectorFormat(Generic[Vectors]):
    """How a shard lies on disk. `suffix`: of the file's name."""

    suffix: str
    save: Callable[[Path, Vectors], None]
    load: Callable[[Path], Vectors]


@dataclass(frozen=True, slots=True)
class EncodedShards(Generic[Vectors]):
    """The vectors of a passage store, in files of `SHARD_SIZE` passages, in the store's order, in `folder`.

    `encode`: texts → vectors, a row a text. A shard's file is its mark: it is written aside and renamed.
    """

    passages: PassageStore
    folder: Path
    format: VectorFormat[Vectors]
    encode: Callable[[Sequence[str]], Vectors]
    label: str

    def encode_missing(self, rank: int = 0, world_size: int = 1) -> None:
        """Encode every `world_size`-th shard, from `rank` on, that is not there. Any number of workers may share the
        folder."""
        firsts = self._firsts()[rank::world_size]
        own = [first for first in firsts if not self._path(first).is_file()]
        if not own:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        total = sum(self._last(first) - first for first in firsts)
        left = sum(self._last(first) - first for first in own)
        with tqdm(desc=self.label, total=total, initial=total - left, unit="passage") as progress:
            for first in own:
                self._encode_shard(first)
                progress.update(self._last(first) - first)

    def __iter__(self) -> Iterator[Vectors]:
        """The vectors of each shard, in the store's order."""
        return (self.format.load(self._path(first)) for first in self._firsts())

    def delete(self) -> None:
        """Remove the files: an index holds the vectors now."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _encode_shard(self, first: int) -> None:
        texts = [passage.contents for passage in self.passages.between(first, self._last(first))]
        path = self._path(first)
        unfinished = path.with_name(f"{os.getpid()}-{path.name}.unfinished{self.format.suffix}")
        self.format.save(unfinished, self.encode(texts))
        os.replace(unfinished, path)

    def _firsts(self) -> range:
        return range(0, len(self.passages), SHARD_SIZE)

    def _last(self, first: int) -> int:
        return min(first + SHARD_SIZE, len(self.passages))

    def _path(self, first: int) -> Path:
        return self.folder / f"{first:09d}-{self._last(first):09d}{self.format.suffix}"


def num_shards(passages: PassageStore) -> int:
    """Among how many workers the encoding can be shared out."""
    return -(-len(passages) // SHARD_SIZE)


def are_encoded(passages: PassageStore, index: Path) -> bool:
    """Whether all shards are there that `index` is to be made of."""
    files = shards_folder(index).glob("*")
    return sum("unfinished" not in path.name for path in files) == num_shards(passages)


def shards_folder(index: Path) -> Path:
    """Where the vectors lie that `index` is made of, until it is there."""
    return index.with_name(f"{index.name}.shards")
