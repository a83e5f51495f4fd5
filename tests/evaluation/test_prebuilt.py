"""Pyserini's collections by name: its own loading code on a small index in its own cache, and without network."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from evaluation.pyserini_tables import tabled_collections
from tests.conftest import PLANETS

ROOT = Path(__file__).parents[2]
BUILD = """
import json, re, sys
from pathlib import Path
from retrieval.retrievers.jvm import start_jvm
start_jvm()
from pyserini.index.lucene import LuceneIndexer
from pyserini.prebuilt_index_info import TF_INDEX_INFO

cache, name, passages = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
info = TF_INDEX_INFO[name]
folder = re.sub(r"\\.tar\\.gz.*$", "", info["urls"][0].split("/")[-1])
path = cache / "indexes" / f"{folder}.{info['md5']}"
path.mkdir(parents=True)
indexer = LuceneIndexer(args=["-index", str(path), "-storeRaw", "-storeDocvectors"])
indexer.add_batch_dict([{"id": docid, "contents": text} for docid, text in passages])
indexer.close()
print(path)
"""


def build_index(cache, name):
    """A small Lucene index where Pyserini keeps the prebuilt one of this name."""
    command = [sys.executable, "-c", BUILD, str(cache), name, json.dumps(PLANETS)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return Path(result.stdout.splitlines()[-1])


@pytest.fixture
def evaluation():
    """Runs `python -m evaluation` in its own process: where Java and Pyserini look is settled as they start."""

    def run(*arguments, **environment):
        command = [sys.executable, "-m", "evaluation", *map(str, arguments)]
        return subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=300, env=os.environ | environment
        )

    return run


@pytest.fixture
def home(tmp_path):
    """A home folder whose Pyserini cache holds topics and judgments of TREC-DL 2019, of our making."""
    folder = tmp_path / "home" / ".cache" / "pyserini" / "topics-and-qrels"
    folder.mkdir(parents=True)
    (folder / "topics.dl19-passage.txt").write_text(
        "101\twhich planet is red\n102\trings of ice\n103\tnot judged\n"
    )
    (folder / "qrels.dl19-passage.txt").write_text("101 0 mars 3\n101 0 jupiter 1\n102 0 saturn 2\n")
    return tmp_path / "home"


def offline(home, cache):
    """Java's home is where Pyserini keeps topics; the proxies lead nowhere, so that nothing is downloaded."""
    nowhere = "http://127.0.0.1:9"
    java = f"-Duser.home={home} -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=9"
    return {
        "PYSERINI_CACHE": str(cache),
        "JAVA_TOOL_OPTIONS": java,
        "http_proxy": nowhere,
        "https_proxy": nowhere,
    }


@pytest.mark.slow
def test_a_collection_by_name_is_read_from_pyserinis_cache(evaluation, home, tmp_path):
    cache, out = tmp_path / "cache", tmp_path / "runs"
    build_index(cache, "msmarco-v1-passage")
    result = evaluation(
        "--collection", "dl19", "--model", "minilm=cosine:all-MiniLM-L6-v2", "--top_k", "5", "--output_dir", out,
        **offline(home, cache),
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    record = json.loads((out / "results.json").read_text())[0]
    assert (record["collection"], record["first_stage"], record["num_queries"]) == ("dl19", "bm25", 2)
    assert record["relevant_from"] == 2
    assert record["systems"]["bm25"]["per_query"]["nDCG@1"] == {"101": 1.0, "102": 1.0}
    assert 0 < record["systems"]["minilm"]["num_pairs"] <= 10


@pytest.mark.slow
def test_local_files_take_the_place_of_downloads(evaluation, home, tmp_path):
    index = build_index(tmp_path / "elsewhere", "msmarco-v1-passage")
    topics = home / ".cache" / "pyserini" / "topics-and-qrels"
    result = evaluation(
        "--collection", "dl20", "--index", index, "--topics", topics / "topics.dl19-passage.txt",
        "--qrels", topics / "qrels.dl19-passage.txt", "--output_dir", tmp_path / "runs",
        **offline(tmp_path / "empty", tmp_path / "none"),
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "### dl20: 2 queries" in result.stdout


@pytest.mark.parametrize(
    ("first_stage", "size", "index"),
    [
        ("bm25", "2.17 GB", "index msmarco-v1-passage ("),
        pytest.param("splade", "2.10 GB", "index msmarco-v1-passage.splade-pp-ed (", marks=pytest.mark.slow),
    ],
)
def test_without_network_the_error_says_what_is_missing_and_how_to_give_it(
    evaluation, home, tmp_path, first_stage, size, index
):
    environment = offline(home, tmp_path / "cache")
    arguments = ("--collection", "dl19", "--first_stage", first_stage, "--output_dir", tmp_path / "runs")
    result = evaluation(*arguments, **environment)
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert result.returncode == 2 and len(errors) == 1
    assert index in errors[0] and size in errors[0]
    for word in (
        "--index FOLDER",
        "--topics FILE",
        "--qrels FILE",
        "PYSERINI_CACHE",
        str(tmp_path / "cache"),
    ):
        assert word in errors[0]


def test_an_unknown_first_stage_is_refused_with_those_there_are(evaluation, home, tmp_path):
    arguments = ("--collection", "dl19", "--first_stage", "magic", "--output_dir", tmp_path / "runs")
    result = evaluation(*arguments, **offline(home, tmp_path / "cache"))
    assert result.returncode == 2
    assert "dl19 has no first stage 'magic'; it has bm25, splade, dense, a run file" in result.stderr


def test_every_collection_has_bm25_and_beir_has_splade_and_a_dense_index():
    collections = tabled_collections()
    assert {"dl19", "dl20", "dl21", "dl22", "dl23", "scifact", "trec-covid", "quora"} <= set(collections)
    for collection in collections.values():
        assert collection.bm25.option("index")
    assert collections["scifact"].condition("splade").option("index") == "beir-v1.0.0-scifact.splade-pp-ed"
    assert collections["scifact"].condition("dense") is not None
    assert collections["dl21"].condition("splade") is None
