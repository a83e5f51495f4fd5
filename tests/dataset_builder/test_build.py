"""The builder as a user meets it: through its command line, with a real Lucene and Faiss index."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import yaml
from datasets import load_dataset

from tests.command_line import ROOT, run_module
from tests.conftest import PLANETS

STAGES = ("passages", "encoding", "indexes", "queries", "pools", "rankings", "dataset")


def command(corpus, output, *flags):
    return [
        sys.executable, "-m", "dataset_builder", "build", "--profile", "offline", "--corpus", str(corpus),
        "--query_types", "cropped", "keywords", "--teacher", "rank-fusion",
        "--num_queries", "12", "--num_passages", "5", "--test_fraction", "0.2", "--output_dir", str(output),
        # Of other tests' parts none is taken over.
        "--artifacts", os.path.join(os.path.dirname(output), "artifacts"), *flags,
    ]  # fmt: skip


def run(arguments, cwd=ROOT):
    """Run a command line of `command`, in this process."""
    _, _, module, *flags = arguments
    return run_module(module, *flags, cwd=cwd)


def published(folder):
    files = [
        path for path in folder.rglob("*") if path.is_file() and "build" not in path.relative_to(folder).parts
    ]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    corpus = folder / "corpus.jsonl"
    corpus.write_text("".join(json.dumps({"_id": d, "text": t}) + "\n" for d, t in PLANETS))
    result = run(command(corpus, folder / "out"))
    assert result.returncode == 0, result.stderr
    return corpus, folder / "out"


def test_the_card_says_how_passages_are_found_where_a_flag_changes_it(unbroken, tmp_path):
    corpus, usual = unbroken
    flags = ("--encoder_dtype", "int8", "--faiss_index", "hnsw")
    result = run(command(corpus, tmp_path / "out", *flags))
    assert result.returncode == 0, result.stderr
    cards = [(folder / "README.md").read_text() for folder in (usual, tmp_path / "out")]
    for row in (
        "\n| passages encoded in | int8 |\n",
        "\n| Faiss index | hnsw: about the nearest passages |\n",
    ):
        assert [row in card for card in cards] == [False, True]


def test_load_dataset_reads_the_folder_from_elsewhere_with_the_documented_features(unbroken, tmp_path):
    _, output = unbroken
    code = (
        "from datasets import load_dataset; import json;"
        f"d = load_dataset({str(output)!r});"
        "print(json.dumps([d['train'].features.to_dict(), d['train'].to_list() + d['test'].to_list()]))"
    )
    environment = {**os.environ, "HF_HOME": str(tmp_path / "hf")}
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, env=environment
    )
    features, rows = json.loads(result.stdout.splitlines()[-1])
    assert list(features) == [
        "query_id", "query", "query_type", "source_docid", "retriever", "retrieved_passages", "teacher",
        "label_status", "repaired_places",
    ]  # fmt: skip
    fields = features["retrieved_passages"]["feature"]
    assert list(fields) == [
        "docid", "title", "text", "rank", "teacher_score", "retriever_rank", "retriever_score",
    ]  # fmt: skip
    assert fields["teacher_score"]["dtype"] == "float32"
    assert features["query_type"]["names"][0] == "cropped"
    assert len(rows) == 12
    for row in rows:
        ranks = [passage["rank"] for passage in row["retrieved_passages"]]
        assert ranks == list(range(1, len(ranks) + 1))
        assert (row["teacher"], row["label_status"], row["repaired_places"]) == ("rank-fusion", "ok", 0)
        assert {passage["teacher_score"] for passage in row["retrieved_passages"]} == {None}
    assert {row["retriever"] for row in rows} == {0, 4, 5, 6}


@pytest.mark.slow
def test_a_dataset_built_anew_under_the_same_name_is_not_read_from_the_old_ones_cache(unbroken, tmp_path):
    counts = []
    for number in ("6", "8"):
        output = tmp_path / number / "same-name"
        assert run([*command(unbroken[0], output), "--num_queries", number]).returncode == 0
        counts.append(sum(load_dataset(str(output), cache_dir=str(tmp_path / "cache")).num_rows.values()))
    assert counts == [6, 8]


def test_the_card_says_what_the_teacher_is_and_where_the_splits_are(unbroken):
    card = (unbroken[1] / "README.md").read_text()
    metadata = yaml.safe_load(card.split("---")[1])
    assert [files["split"] for files in metadata["configs"][0]["data_files"]] == ["train", "test"]
    assert "No language model\nranked these passages." in card
    assert "`teacher_score` (null: this teacher gives only an order)" in card
    assert "12 queries" in card


def test_no_passage_gives_queries_to_both_splits(unbroken):
    import pandas

    data = unbroken[1] / "data"
    train, test = (pandas.read_parquet(next(data.glob(f"*{split}*"))) for split in ("train", "test"))
    assert len(test) > 0
    assert not set(train["source_docid"]) & set(test["source_docid"])


def test_a_second_run_reuses_every_stage(unbroken):
    corpus, output = unbroken
    before = published(output)
    result = run(command(corpus, output))
    assert result.stdout.count("done before, reused") == len(STAGES)
    assert published(output) == before


@pytest.mark.slow
def test_the_dataset_does_not_depend_on_the_number_of_tasks(unbroken, tmp_path):
    result = run(command(unbroken[0], tmp_path / "out", "--tasks", "3", "--workers", "2"))
    assert result.returncode == 0, result.stderr
    assert published(tmp_path / "out") == published(unbroken[1])


@pytest.mark.parametrize(
    "stage", [pytest.param(stage, marks=() if stage == "pools" else pytest.mark.slow) for stage in STAGES]
)
def test_a_build_killed_in_any_stage_ends_in_the_same_bytes(unbroken, tmp_path, stage):
    process = subprocess.Popen(
        command(unbroken[0], tmp_path / "out"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    for line in process.stdout:
        if f"] {stage}" in line:
            break
    time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    result = run(command(unbroken[0], tmp_path / "out"))
    assert result.returncode == 0, result.stderr
    assert published(tmp_path / "out") == published(unbroken[1])


def test_bad_input_gets_one_line_and_exit_code_2(unbroken, tmp_path):
    corpus, output = unbroken
    bad = tmp_path / "bad.jsonl"
    twice = tmp_path / "twice.jsonl"
    bad.write_text('{"_id": "a", "text": "x"}\nnot json\n')
    twice.write_text('{"_id": "a", "text": "x"}\n\n{"_id": "a", "text": "y"}\n')
    (tmp_path / "occupied").mkdir()
    (tmp_path / "occupied" / "thesis.txt").write_text("mine")
    for arguments, message in [
        (command(tmp_path / "missing.jsonl", tmp_path / "o1"), "does not exist"),
        (command(bad, tmp_path / "o2"), "bad.jsonl line 2: not JSON"),
        (command(twice, tmp_path / "o3"), "twice.jsonl line 3: both have the id 'a'"),
        (command(corpus, output, "--seed", "7"), "holds another build (seed 42 → 7)"),
        (command(corpus, tmp_path / "occupied"), "is not empty and holds no build"),
        (command(corpus, tmp_path / "o4", "--num_queries", "0"), "--num_queries is 0"),
        (command(corpus, tmp_path / "o5", "--profile", "nonsense"), "no profile 'nonsense'"),
    ]:
        result = run(arguments)
        assert result.returncode == 2, result.stderr
        lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1
        assert message in lines[0]
        assert "Traceback" not in result.stderr
    assert (tmp_path / "occupied" / "thesis.txt").read_text() == "mine"


def test_the_teacher_orders_a_run_over_the_builds_corpus(unbroken, tmp_path):
    (tmp_path / "q.jsonl").write_text('{"_id": "q", "text": "which planet has rings of ice"}\n')
    (tmp_path / "run.txt").write_text("q Q0 mars 1 3 x\nq Q0 saturn 2 2 x\nq Q0 sun 3 1 x\n")
    result = run(
        [sys.executable, "-m", "dataset_builder", "order", str(unbroken[1]), "--queries", str(tmp_path / "q.jsonl"),
         "--run", str(tmp_path / "run.txt"), "--output", str(tmp_path / "out.txt")]
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "out.txt").read_text().startswith("q Q0 saturn 1 -1.0 rank-fusion\n")
