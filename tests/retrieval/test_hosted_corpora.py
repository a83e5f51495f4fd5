"""Corpora of the Hugging Face Hub, by a server on this machine, and of ir_datasets, by its own registration."""

import os
import subprocess
import sys

import ir_datasets
import pyarrow
import pytest
from ir_datasets.datasets.base import Dataset
from pyarrow import parquet

from retrieval.corpus import read_corpus
from retrieval.errors import InputError
from retrieval.hosted_corpora import parse_hugging_face
from retrieval.records import Passage
from tests.command_line import ROOT
from tests.model_cards.hub import Repo
from tests.model_cards.hub_server import serve_hub

CARD = """---
configs:
- config_name: corpus
  data_files: [{split: corpus, path: corpus.parquet}]
- config_name: queries
  data_files: [{split: test, path: queries.parquet}]
---
"""
READ = """
import sys
from retrieval.corpus import read_corpus
from retrieval.errors import InputError
for corpus in sys.argv[1:]:
    try:
        print(list(read_corpus(corpus)))
    except InputError as error:
        print("error:", error)
"""


@pytest.fixture
def rows(tmp_path):
    """A dataset's folder with two configurations."""
    parquet.write_table(
        pyarrow.table({"_id": ["a", "b"], "title": ["T", ""], "text": ["one", "two"]}),
        tmp_path / "corpus.parquet",
    )
    parquet.write_table(pyarrow.table({"_id": ["q"], "text": ["one"]}), tmp_path / "queries.parquet")
    (tmp_path / "README.md").write_text(CARD)
    return tmp_path


def test_a_dataset_of_the_hub_is_streamed(rows):
    with serve_hub() as hub:
        hub.repos["datasets", "me/fiqa"] = Repo({})
        hub.repos["datasets", "me/fiqa"].commit(
            {path.name: path.read_bytes() for path in rows.iterdir()}, "main"
        )
        corpora = [
            "hf:me/fiqa",
            "hf:me/fiqa/corpus:corpus",
            "hf:me/fiqa/queries",
            "hf:me/none",
            "hf:me/fiqa:train",
        ]
        result = subprocess.run(
            [sys.executable, "-c", READ, *corpora], cwd=ROOT, capture_output=True, text=True, timeout=300,
            env={**os.environ, "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"},
        )  # fmt: skip
        assert any(
            path.endswith("/resolve/main/corpus.parquet") or "corpus.parquet" in path
            for _, path in hub.requests
        )
    assert result.returncode == 0, result.stderr
    by_default, named, queries, missing, no_split = result.stdout.splitlines()
    assert by_default == named == str([Passage("a", "T", "one"), Passage("b", "", "two")])
    assert queries == str([Passage("q", "", "one")])
    assert missing.startswith("error: corpus hf:me/none") and "cannot be read" in missing
    assert no_split.startswith("error: corpus hf:me/fiqa:train") and "cannot be read" in no_split


def test_a_folder_of_a_dataset_is_read_in_the_same_way(rows, tmp_path):
    expected = [Passage("a", "T", "one"), Passage("b", "", "two")]
    assert list(read_corpus(f"hf:{rows}")) == list(read_corpus(f"hf:{rows}/corpus:corpus")) == expected
    with pytest.raises(InputError, match="cannot be read"):
        list(read_corpus(f"hf:{rows}/corpus:train"))


@pytest.mark.parametrize(
    ("corpus", "parsed"),
    [
        ("hf:BeIR/fiqa", ("BeIR/fiqa", None, None)),
        ("hf:BeIR/fiqa:corpus", ("BeIR/fiqa", None, "corpus")),
        ("hf:BeIR/fiqa/corpus:train[:100]", ("BeIR/fiqa", "corpus", "train[:100]")),
        ("hf:squad:train", ("squad", None, "train")),
    ],
)
def test_name_configuration_and_split_are_told_apart(corpus, parsed):
    assert parse_hugging_face(corpus) == parsed


def test_a_collection_of_ir_datasets_is_read_through_that_library(tmp_path):
    (tmp_path / "docs.tsv").write_text("a\tone\nb\ttwo\n")
    name = "twolar-local-collection"
    if name not in ir_datasets.registry:
        ir_datasets.registry.register(name, ir_datasets.create_dataset(docs_tsv=str(tmp_path / "docs.tsv")))
        ir_datasets.registry.register(f"{name}/none", Dataset())
    assert list(read_corpus(f"ir_datasets:{name}")) == [Passage("a", "", "one"), Passage("b", "", "two")]
    with pytest.raises(InputError, match="has no documents; name the collection that holds them"):
        list(read_corpus(f"ir_datasets:{name}/none"))
    with pytest.raises(InputError, match="ir_datasets has no 'nowhere'"):
        list(read_corpus("ir_datasets:nowhere"))


def test_a_missing_ir_datasets_is_said_with_its_mend(monkeypatch):
    monkeypatch.setitem(sys.modules, "ir_datasets", None)
    with pytest.raises(InputError, match="needs the package ir_datasets: pip install ir_datasets"):
        list(read_corpus("ir_datasets:vaswani"))
