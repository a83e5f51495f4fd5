"""Faiss indexes of passages' vectors, written shard by shard: inner products, rows in the passage store's order."""

import math
import os
import random
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np

from retrieval.errors import InputError
from retrieval.memory import machine_memory

FLAT, HNSW, IVF, IVF_PQ = "flat", "hnsw", "ivf", "ivf_pq"
KINDS = (FLAT, HNSW, IVF, IVF_PQ)
# HNSW: neighbours a vector, and how many candidates a search keeps.
HNSW_NEIGHBOURS = 32
HNSW_CANDIDATES = 128
# IVF: lists searched; about 4 sqrt(n) lists, trained on so many vectors a list.
IVF_PROBES = 32
IVF_TRAINING_VECTORS = 64
# IVF-PQ: a byte stands for so many dimensions; fewer vectors than this do not train its 256 centroids.
PQ_DIMENSIONS = 4
PQ_TRAINING_VECTORS = 256 * 39
# What Faiss takes while its arrays grow, over what it keeps; and the share of the memory that an index may have.
GROWTH = 1.8
MEMORY_SHARE = 0.8
GB = 1e9
# faiss.DirectMap.Array: an array of places, as rows are numbered from 0.
DIRECT_MAP = 1


@dataclass(frozen=True, slots=True)
class Room:
    """What it takes to build an index. `memory`: bytes at the most; `disk`: bytes of the vectors and of the index."""

    memory: float
    disk: float

    def __str__(self) -> str:
        return f"{self.memory / GB:.1f} GB of memory and {self.disk / GB:.1f} GB of disk"


def room_needed(kind: str, num_vectors: int, dimension: int) -> Room:
    """What building an index takes. A flat one is written as it comes, and read from disk where memory lacks."""
    vectors = 4.0 * num_vectors * dimension
    training = 4.0 * dimension * min(num_vectors, _num_training_vectors(kind, num_vectors))
    kept = {
        FLAT: vectors,
        HNSW: vectors + 2 * 4.0 * HNSW_NEIGHBOURS * num_vectors,
        IVF: vectors + 16.0 * num_vectors,
        IVF_PQ: (_num_bytes(dimension) + 16.0) * num_vectors,
    }[kind]
    return Room(0.0 if kind == FLAT else training + GROWTH * kept, vectors + kept)


def require_room(kind: str, num_vectors: int, dimension: int, path: Path) -> None:
    """Find out before the work whether an index can be built at `path`.

    Raises:
        InputError: for one that takes more memory or disk than there is, or more vectors than there are.
    """
    if kind == IVF_PQ and num_vectors < PQ_TRAINING_VECTORS:
        raise InputError(
            f"--faiss_index {kind} needs {PQ_TRAINING_VECTORS:,} passages to train on, and there are "
            f"{num_vectors:,}; give {FLAT}"
        )
    memory = MEMORY_SHARE * machine_memory()
    path.parent.mkdir(parents=True, exist_ok=True)
    disk = shutil.disk_usage(path.parent).free
    rooms = {each: room_needed(each, num_vectors, dimension) for each in KINDS}
    room = rooms[kind]
    if room.memory > memory:
        fitting = [each for each in KINDS if rooms[each].memory <= memory and rooms[each].disk <= disk]
        raise InputError(
            f"--faiss_index {kind} of {num_vectors:,} vectors of {dimension} takes {room}, and {memory / GB:.1f} GB "
            f"of memory can be used here; what fits: {', '.join(fitting) or 'none'}"
        )
    if room.disk > disk:
        raise InputError(
            f"--faiss_index {kind} of {num_vectors:,} vectors of {dimension} takes {room}, and {path.parent} has "
            f"{disk / GB:.1f} GB free"
        )


def write_faiss_index(shards: Iterable[np.ndarray], num_vectors: int, path: Path, kind: str) -> None:
    """Put vectors, each shard (num_vectors, dimension) float32, into an index at `path`, aside and renamed.

    Args:
        shards: read more than once.
    """
    dimension = next(iter(shards)).shape[1]
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.unfinished")
    if kind == FLAT:
        _write_flat(shards, num_vectors, dimension, unfinished)
    else:
        index = _trained(kind, shards, num_vectors, dimension)
        for vectors in shards:
            index.add(np.ascontiguousarray(vectors))
        _require_all(index.ntotal, num_vectors)
        faiss.write_index(index, str(unfinished))
    os.replace(unfinished, path)


def open_faiss_index(path: Path) -> faiss.Index:
    """The index at `path`. Its file is mapped, not read, where its kind allows: tasks on one machine share it."""
    return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)


def _write_flat(shards: Iterable[np.ndarray], num_vectors: int, dimension: int, path: Path) -> None:
    """As Faiss would write it, which holds all vectors for that, and more while they are added.

    Its file is a header, with the number of vectors at byte 8, their number of floats, and the floats.
    """
    header = faiss.serialize_index(faiss.IndexFlatIP(dimension))
    header[8:16] = _bytes(num_vectors)
    header[-8:] = _bytes(num_vectors * dimension)
    written = 0
    with path.open("wb") as file:
        file.write(header.tobytes())
        for vectors in shards:
            np.ascontiguousarray(vectors, dtype="<f4").tofile(file)
            written += len(vectors)
    _require_all(written, num_vectors)


def _bytes(number: int) -> np.ndarray:
    return np.frombuffer(number.to_bytes(8, "little"), np.uint8)


def _require_all(indexed: int, given: int) -> None:
    if indexed != given:
        raise InputError(f"Faiss holds {indexed:,} of {given:,} vectors; delete the shards beside the index")


def _trained(kind: str, shards: Iterable[np.ndarray], num_vectors: int, dimension: int) -> faiss.Index:
    if kind == HNSW:
        graph = faiss.IndexHNSWFlat(dimension, HNSW_NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efSearch = HNSW_CANDIDATES
        return graph
    lists = _empty_lists(kind, num_vectors, dimension)
    sample_size = min(num_vectors, _num_training_vectors(kind, num_vectors))
    rows = random.Random(0).sample(range(num_vectors), sample_size)
    lists.train(_vectors_at(sorted(rows), shards))
    lists.nprobe = IVF_PROBES
    # A passage's vector is asked for by its row, where BM25's passages are scored.
    lists.set_direct_map_type(DIRECT_MAP)
    return lists


def _empty_lists(kind: str, num_vectors: int, dimension: int) -> faiss.IndexIVF:
    quantizer, num_lists = faiss.IndexFlatIP(dimension), _num_lists(num_vectors)
    if kind == IVF:
        return faiss.IndexIVFFlat(quantizer, dimension, num_lists, faiss.METRIC_INNER_PRODUCT)
    return faiss.IndexIVFPQ(
        quantizer, dimension, num_lists, _num_bytes(dimension), 8, faiss.METRIC_INNER_PRODUCT
    )


def _vectors_at(rows: Sequence[int], shards: Iterable[np.ndarray]) -> np.ndarray:
    """The vectors of rows in ascending order."""
    wanted, found, first = np.array(rows), [], 0
    for vectors in shards:
        own = wanted[(wanted >= first) & (wanted < first + len(vectors))] - first
        found.append(np.asarray(vectors[own]))
        first += len(vectors)
    return np.concatenate(found)


def _num_lists(num_vectors: int) -> int:
    return max(1, min(4 * math.isqrt(num_vectors), num_vectors // IVF_TRAINING_VECTORS))


def _num_training_vectors(kind: str, num_vectors: int) -> int:
    if kind in (FLAT, HNSW):
        return 0
    of_lists = IVF_TRAINING_VECTORS * _num_lists(num_vectors)
    return max(of_lists, PQ_TRAINING_VECTORS) if kind == IVF_PQ else of_lists


def _num_bytes(dimension: int) -> int:
    """Of a compressed vector: a byte for `PQ_DIMENSIONS` of them, or for more where these do not divide them."""
    return next(size for size in range(max(1, dimension // PQ_DIMENSIONS), 0, -1) if dimension % size == 0)
