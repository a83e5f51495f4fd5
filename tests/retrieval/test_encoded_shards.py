"""What was encoded is not encoded again: after a kill, and by several workers."""

import numpy as np
import pytest
import torch

from retrieval import device
from retrieval.passage_store import PassageStore
from retrieval.records import Passage
from retrieval.retrievers import encoded_shards
from retrieval.retrievers.dense import build_faiss_index, dense_shards
from retrieval.retrievers.faiss_index import open_faiss_index

NUM_PASSAGES, SHARD = 205, 10


class Killed(BaseException):
    """Stands for a process that ends in the middle of its work."""


class CountingEncoder:
    """A passage's vector is its number and 1. `encoded`: the numbers, as often as they were encoded."""

    def __init__(self, dies_after=None):
        self.encoded = []
        self._dies_after = dies_after

    def passages(self, texts):
        for text in texts:
            if len(self.encoded) == self._dies_after:
                raise Killed
            self.encoded.append(int(text))
        return np.array([[float(text), 1.0] for text in texts], np.float32)

    queries = passages


@pytest.fixture
def numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(encoded_shards, "SHARD_SIZE", SHARD)
    passages = (Passage(f"p{number}", "", str(number)) for number in range(NUM_PASSAGES))
    return PassageStore.build(tmp_path / "passages.sqlite", passages)


def vectors_in(path):
    index = open_faiss_index(path)
    return index.reconstruct_n(0, index.ntotal)


def test_a_kill_at_nine_tenths_of_encoding_repeats_at_most_one_shard(numbers, tmp_path):
    first, second = CountingEncoder(dies_after=190), CountingEncoder()
    with pytest.raises(Killed):
        build_faiss_index(numbers, first, tmp_path / "index")
    assert not (tmp_path / "index").exists()
    build_faiss_index(numbers, second, tmp_path / "index")
    # Each begins with one passage, for the vectors' dimension.
    assert len(first.encoded) + len(second.encoded) <= NUM_PASSAGES + SHARD + 2
    assert vectors_in(tmp_path / "index")[:, 0].tolist() == list(range(NUM_PASSAGES))
    assert not (tmp_path / "index.shards").exists()


@pytest.mark.parametrize("num_workers", [2, 3, 40])
def test_workers_take_different_shards_of_the_same_files(numbers, tmp_path, num_workers):
    workers = [CountingEncoder() for _ in range(num_workers)]
    for rank, worker in enumerate(workers):
        dense_shards(numbers, worker, tmp_path / "index").encode_missing(rank, num_workers)
    files = sorted(path.name for path in (tmp_path / "index.shards").iterdir())
    assert files[:2] == ["000000000-000000010.npy", "000000010-000000020.npy"]
    assert (len(files), files[-1]) == (21, "000000200-000000205.npy")
    build_faiss_index(numbers, after := CountingEncoder(), tmp_path / "index")
    assert len(after.encoded) == 1
    assert sum(len(worker.encoded) - 1 for worker in workers) == NUM_PASSAGES
    assert vectors_in(tmp_path / "index")[:, 0].tolist() == list(range(NUM_PASSAGES))


def test_each_worker_of_a_machine_has_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    devices = []
    for local_rank in ("0", "3", "5"):
        monkeypatch.setenv(device.LOCAL_RANK_VARIABLE, local_rank)
        devices.append(str(device.best_device()))
    assert devices == ["cuda:0", "cuda:3", "cuda:1"]
