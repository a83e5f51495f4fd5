"""What Pyserini's own reproduction tables say: collections, and the command of each first stage.

Read from the installed package, so that names, indexes and published figures are never retyped here.
"""

import functools
import importlib.util
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

import yaml

MSMARCO_TABLES = ("msmarco-v1-passage", "msmarco-v2-passage")
# Short names for the conditions that people mean; a first stage may also be called by a condition's own name.
FIRST_STAGES = {
    "bm25": ("bm25-default", "bm25-flat"),
    "splade": ("splade-pp-ed-onnx", "splade-pp-ed"),
    "dense": ("bge-base-en-v1.5.lucene-hnsw.onnx", "bge-base-en-v1.5.lucene-hnsw"),
}
THREADS = {"sparse_threads": "2", "sparse_batch_size": "64", "dense_threads": "2", "dense_batch_size": "64"}
BGE_QUERY_PREFIX = "'Represent this sentence for searching relevant passages:'"


@dataclass(frozen=True, slots=True)
class Condition:
    """A first stage as Pyserini's table runs it. `arguments`: of `python`; `$output` stands for the run file."""

    arguments: tuple[str, ...]
    scores: Mapping[str, float]

    def option(self, name: str) -> str:
        """The value of `--name`."""
        return self.arguments[self.arguments.index(f"--{name}") + 1]


@dataclass(frozen=True, slots=True)
class TabledCollection:
    """A collection of Pyserini's tables: the names of its judgments, and its first stages by condition."""

    name: str
    qrels: str
    conditions: Mapping[str, Condition]

    def condition(self, first_stage: str) -> Condition | None:
        """The condition of this name, or the one that `bm25`, `splade` or `dense` stands for."""
        names = FIRST_STAGES.get(first_stage, (first_stage,))
        return next((self.conditions[name] for name in names if name in self.conditions), None)

    @property
    def bm25(self) -> Condition:
        """BM25 with Anserini's defaults, whose index also holds the passages' texts."""
        found = self.condition("bm25")
        assert found is not None
        return found


@functools.cache
def tabled_collections() -> Mapping[str, TabledCollection]:
    """Every collection by name: `dl19` to `dl23`, MS MARCO's dev sets, and BEIR's (`scifact`, ...)."""
    found = {name: _msmarco(name, topics, qrels) for name, topics, qrels in _msmarco_keys()}
    return found | {name: _beir(name) for name in _beir_names()}


def binary_cutoff(qrels: str) -> int:
    """The lowest grade that Pyserini's table counts as relevant in MAP and recall (TREC-DL: 2)."""
    definitions = importlib.import_module("pyserini.2cr.msmarco").trec_eval_metric_definitions
    options = [options for table in definitions.values() for options in table.get(qrels, {}).values()]
    cutoffs = [int(found[1]) for option in options if (found := re.search(r"-l (\d+)", option))]
    return max(cutoffs, default=1)


def _msmarco_keys() -> set[tuple[str, str, str]]:
    return {
        (topic["eval_key"].removesuffix("-passage"), table, topic["eval_key"])
        for table in MSMARCO_TABLES
        for condition in _table(table)
        for topic in condition["topics"]
    }


def _msmarco(name: str, table: str, qrels: str) -> TabledCollection:
    conditions = {}
    for condition in _table(table):
        for topic in condition["topics"]:
            if topic["eval_key"] == qrels:
                arguments = _arguments(condition["command"], topics=topic["topic_key"])
                conditions[condition["name"]] = Condition(arguments, topic["scores"][0])
    return TabledCollection(name, qrels, conditions)


def _beir_names() -> list[str]:
    return [dataset["dataset"] for dataset in _table("beir")[0]["datasets"]]


def _beir(name: str) -> TabledCollection:
    conditions = {}
    for condition in _table("beir"):
        for dataset in condition["datasets"]:
            if dataset["dataset"] == name:
                arguments = _arguments(condition["command"], dataset=name)
                conditions[condition["name"]] = Condition(arguments, dataset["scores"][0])
    return TabledCollection(name, f"beir-v1.0.0-{name}-test", conditions)


def _arguments(command: str, **names: str) -> tuple[str, ...]:
    filled = Template(command).safe_substitute(THREADS, query_prefix=BGE_QUERY_PREFIX, **names)
    return tuple(shlex.split(filled)[1:])


@functools.cache
def _table(name: str) -> list[dict]:
    spec = importlib.util.find_spec("pyserini")
    assert spec is not None and spec.submodule_search_locations is not None
    path = Path(spec.submodule_search_locations[0]) / "2cr" / f"{name}.yaml"
    return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)["conditions"]
