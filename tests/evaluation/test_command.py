"""`python -m evaluation` on a small BEIR folder: real Lucene, real MiniLM, a run file."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def collection(planets):
    folder = planets.parent
    queries = [("q1", "which planet is red"), ("q2", "rings made of ice"), ("q3", "not judged")]
    (folder / "queries.jsonl").write_text(
        "".join(json.dumps({"_id": i, "text": t}) + "\n" for i, t in queries)
    )
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\nq1\tmars\t2\nq1\tjupiter\t1\nq2\tsaturn\t2\n"
    )
    return folder


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "evaluation", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_first_stage_cosine_and_run_file_stand_in_one_table(collection, tmp_path):
    (tmp_path / "ideal.txt").write_text("q1 Q0 mars 1 2 x\nq1 Q0 jupiter 2 1 x\nq2 Q0 saturn 1 1 x\n")
    result = run(
        "--collection", collection, "--model", "minilm=cosine:all-MiniLM-L6-v2",
        "--run", f"ideal={tmp_path / 'ideal.txt'}",
        "--output_dir", tmp_path / "runs",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    report = json.loads((tmp_path / "runs" / "results.json").read_text())[0]
    assert list(report["systems"]) == ["bm25", "minilm", "ideal"]
    assert report["num_queries"] == 2
    assert report["systems"]["ideal"]["means"]["nDCG@10"] == 1.0
    assert report["systems"]["minilm"]["num_pairs"] > 0
    assert "| bm25 " in result.stdout and "| ideal " in result.stdout
    assert len(list((tmp_path / "runs").rglob("minilm.txt"))) == 1


def test_a_second_call_reads_the_cached_scores_and_gives_the_same(collection, tmp_path):
    command = (
        "--collection",
        collection,
        "--model",
        "minilm=cosine:all-MiniLM-L6-v2",
        "--output_dir",
        tmp_path,
    )
    first = run(*command)
    before = json.loads((tmp_path / "results.json").read_text())[0]["systems"]["minilm"]
    second = run(*command)
    after = json.loads((tmp_path / "results.json").read_text())[0]["systems"]["minilm"]
    assert first.returncode == second.returncode == 0
    assert before["num_pairs"] > 0 and after["num_pairs"] == 0
    assert before["means"] == after["means"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--collection", "nowhere"], "collection nowhere has no queries.jsonl"),
        (["--split", "dev"], "has no qrels/dev.tsv"),
        (["--first_stage", "missing.txt"], "run missing.txt does not exist"),
        (["--model", "no/such-model"], "model no/such-model cannot be loaded"),
    ],
)
def test_bad_input_gets_one_line_and_exit_code_2(collection, tmp_path, arguments, message):
    result = run("--collection", collection, "--output_dir", tmp_path / "runs", *arguments)
    assert result.returncode == 2
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and message in errors[0]
    assert not (tmp_path / "runs" / "results.json").exists()
