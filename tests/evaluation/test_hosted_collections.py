"""Collections of the Hub, on local copies that are laid out as NanoBEIR's and MTEB's are."""

from math import log2

import pyarrow
import pytest
from pyarrow import parquet

from evaluation import hosted_collections
from evaluation.hosted_collections import NANOBEIR_SPLITS, load_hosted, spelled_out
from retrieval.corpus import read_corpus
from retrieval.errors import InputError
from tests.conftest import PLANETS

NANO = """---
configs:
- config_name: corpus
  data_files: [{split: NanoSciFact, path: corpus/NanoSciFact-*}, {split: NanoNQ, path: corpus/NanoNQ-*}]
- config_name: queries
  data_files: [{split: NanoSciFact, path: queries/NanoSciFact-*}, {split: NanoNQ, path: queries/NanoNQ-*}]
- config_name: qrels
  data_files: [{split: NanoSciFact, path: qrels/NanoSciFact-*}, {split: NanoNQ, path: qrels/NanoNQ-*}]
---
"""
MTEB = """---
configs:
- config_name: default
  data_files: [{split: dev, path: qrels/dev.parquet}, {split: test, path: qrels/test.parquet}]
- config_name: corpus
  data_files: [{split: corpus, path: corpus.parquet}]
- config_name: queries
  data_files: [{split: queries, path: queries.parquet}]
---
"""
QUERIES = {"_id": ["q1", "q2", "unjudged"], "text": ["the red planet", "rings of ice", "moons"]}


def write(path, columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.table(columns), path)


@pytest.fixture
def nano(tmp_path, monkeypatch):
    """NanoBEIR's dataset with two of its splits: no titles, no grades."""
    for split, planets in (("NanoSciFact", PLANETS), ("NanoNQ", PLANETS[:2])):
        name = f"{split}-00000-of-00001.parquet"
        docids, texts = zip(*planets, strict=True)
        write(tmp_path / "corpus" / name, {"_id": docids, "text": texts})
        write(tmp_path / "queries" / name, QUERIES)
        write(
            tmp_path / "qrels" / name,
            {"query-id": ["q1", "q2", "q2"], "corpus-id": ["mars", "saturn", "uranus"]},
        )
    (tmp_path / "README.md").write_text(NANO)
    monkeypatch.setattr(hosted_collections, "NANOBEIR_DATASET", str(tmp_path))
    return tmp_path


@pytest.fixture
def mteb(tmp_path):
    docids, texts = zip(*PLANETS, strict=True)
    write(tmp_path / "corpus.parquet", {"_id": docids, "title": ["T"] * len(PLANETS), "text": texts})
    write(tmp_path / "queries.parquet", QUERIES)
    for split, score in (("dev", 1.0), ("test", 2.0)):
        columns = {"query-id": ["q1", "q2"], "corpus-id": ["mars", "saturn"], "score": [score, score]}
        write(tmp_path / "qrels" / f"{split}.parquet", columns)
    (tmp_path / "README.md").write_text(MTEB)
    return tmp_path


def test_a_set_of_nanobeir_is_evaluated_by_its_name(nano, evaluation, tmp_path):
    run = tmp_path / "run.txt"
    run.write_text("q1 Q0 mars 1 2 x\nq1 Q0 venus 2 1 x\nq2 Q0 venus 1 2 x\nq2 Q0 saturn 2 1 x\n")
    result = evaluation(
        "--collection", "nanobeir:scifact", "--first_stage", run, "--output_dir", tmp_path / "runs"
    )
    assert result.returncode == 0, result.stderr
    assert "### nDCG@10 on nanobeir:scifact" in result.stdout
    first, second = 1.0, (1 / log2(3)) / (1 + 1 / log2(3))
    assert f"| {(first + second) / 2:.4f} " in result.stdout


def test_queries_judgments_and_corpus_are_those_of_one_split(nano):
    collection = load_hosted("nanobeir:scifact", limit=None)
    assert collection.queries == {"q1": "the red planet", "q2": "rings of ice"}
    assert collection.qrels == {"q1": {"mars": 1}, "q2": {"saturn": 1, "uranus": 1}}
    assert {passage.docid: passage.text for passage in read_corpus(collection.corpus)} == dict(PLANETS)
    assert len(list(read_corpus(load_hosted("nanobeir:nq", limit=None).corpus))) == 2
    limited = load_hosted("nanobeir:nq", limit=1)
    assert (list(limited.queries), limited.num_judged) == (["q1"], 2)


def test_a_row_may_list_all_passages_of_its_query(nano):
    first, second = (
        nano / "qrels" / f"{split}-00000-of-00001.parquet" for split in ("NanoSciFact", "NanoNQ")
    )
    listed = {"query-id": ["q2"], "corpus-id": [["saturn", "uranus"]]}
    write(second, listed)
    with pytest.raises(InputError, match="after row 0: cannot be read"):  # the splits' columns differ
        load_hosted("nanobeir:nq", limit=None)
    write(first, listed)
    assert load_hosted("nanobeir:nq", limit=None).qrels == {"q2": {"saturn": 1, "uranus": 1}}


def test_nanobeir_alone_is_all_of_its_sets():
    assert spelled_out(["dl19", "nanobeir"])[:2] == ["dl19", "nanobeir:arguana"]
    assert len(spelled_out(["nanobeir"])) == len(set(NANOBEIR_SPLITS.values())) == 13


def test_of_mtebs_layout_only_the_judgments_are_split(mteb):
    collection = load_hosted(f"hf:{mteb}", limit=None)
    assert collection.qrels == {"q1": {"mars": 2}, "q2": {"saturn": 2}}
    assert [passage.title for passage in read_corpus(collection.corpus)] == ["T"] * len(PLANETS)
    dev = load_hosted(f"hf:{mteb}:dev", limit=None)
    assert (dev.qrels["q1"], dev.name) == ({"mars": 1}, f"{mteb.name} (dev)")


def test_what_cannot_be_used_is_named(nano, mteb):
    with pytest.raises(InputError, match="NanoBEIR has no 'sci'; it has arguana, "):
        load_hosted("nanobeir:sci", limit=None)
    with pytest.raises(InputError, match="absent cannot be read"):
        load_hosted(f"hf:{nano / 'absent'}", limit=None)
    with pytest.raises(InputError, match="after row 0: cannot be read"):
        load_hosted(f"hf:{mteb}:train", limit=None)
    write(mteb / "qrels" / "dev.parquet", {"query-id": ["q1"], "corpus-id": ["mars"], "score": [0.5]})
    with pytest.raises(InputError, match=r"row 1: score 0\.5 is not a whole number"):
        load_hosted(f"hf:{mteb}:dev", limit=None)
    write(mteb / "qrels" / "dev.parquet", {"query-id": ["q9"], "corpus-id": ["mars"], "score": [1]})
    with pytest.raises(InputError, match=r"judges query 'q9', which .*queries has not"):
        load_hosted(f"hf:{mteb}:dev", limit=None)
    (mteb / "README.md").write_text(MTEB.replace("config_name: queries", "config_name: questions"))
    with pytest.raises(InputError, match="has no configuration 'queries', only "):
        load_hosted(f"hf:{mteb}", limit=None)
