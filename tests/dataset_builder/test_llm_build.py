"""A build whose teacher is behind an OpenAI-compatible server: the stand-in over real HTTP, no language model."""

import json
import os
import re
import signal
import subprocess
import time
from unittest import mock

import pytest
from datasets import load_dataset

from tests.command_line import run_module
from tests.conftest import PLANETS
from tests.dataset_builder.test_build import ROOT, command
from tests.teachers.llm_answers import FAULTS, stand_in_order
from tests.teachers.llm_server import StandInServer
from tests.teachers.llm_stand_in import StandIn

NOWHERE = ("--teacher", "openai:x", "--base_url", "http://127.0.0.1:9/v1")
WINDOWS = ("--window_size", "3", "--step", "2", "--answer_format", "text")


def environment():
    return {name: value for name, value in os.environ.items() if name != "OPENAI_API_KEY"}


def run(arguments):
    _, _, module, *flags = arguments
    with mock.patch.dict(os.environ):
        os.environ.pop("OPENAI_API_KEY", None)
        return run_module(module, *flags)


def builder(*arguments):
    return run_module("dataset_builder", *arguments)


def build_command(corpus, output, server, *flags):
    teacher = () if "--teacher" in flags else ("--teacher", "openai:gpt-4o-mini")
    return command(corpus, output, *teacher, "--base_url", server.url, *WINDOWS, *flags)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus") / "corpus.jsonl"
    path.write_text("".join(json.dumps({"_id": d, "text": t}) + "\n" for d, t in PLANETS))
    return path


def orders(output):
    rows = [row for split in load_dataset(str(output)).values() for row in split]
    return {row["query_id"]: [passage["text"] for passage in row["retrieved_passages"]] for row in rows}


def is_best_first(texts):
    """Sliding windows from the end put at least the best passage first."""
    return stand_in_order(texts)[0] == 0


def test_a_build_says_what_it_will_cost_then_labels_resumes_and_pays_nothing_twice(corpus, tmp_path):
    output = tmp_path / "out"
    with StandInServer(StandIn()) as server:
        dry = run(build_command(corpus, output, server, "--dry_run"))
        assert dry.returncode == 0, dry.stderr
        assert server.stand_in.counts()["asked"] == 0
        assert "12 queries, 22 calls still to pay" in dry.stdout
        whole = run(build_command(corpus, output, server))
        assert whole.returncode == 0, whole.stderr
        assert server.stand_in.counts()["answered"] == 22
        again = run(build_command(corpus, output, server, "--concurrency", "1"))
        assert again.stdout.count("done before, reused") == 7
        shared = run(
            build_command(corpus, tmp_path / "other", server, "--answers", output / "build" / "answers")
        )
        assert shared.returncode == 0, shared.stderr
        assert server.stand_in.counts()["answered"] == 22
    found = orders(output)
    assert len(found) == 12
    assert all(is_best_first(texts) for texts in found.values())
    assert orders(tmp_path / "other") == found
    card = (output / "README.md").read_text()
    assert "The teacher is `openai:gpt-4o-mini`" in card
    assert "22 answers" in card
    assert "$0.00" in card


def test_status_and_inspect_show_the_labels_and_the_raw_answers(corpus, tmp_path):
    with StandInServer(StandIn(script=["refusal_field", "malformed"])) as server:
        assert run(build_command(corpus, tmp_path / "out", server)).returncode == 0
    status = builder("status", tmp_path / "out").stdout
    assert "queries: 12" in status
    assert "rankings: done" in status
    assert "paid to openai:gpt-4o-mini: 24 answers" in status
    shown = builder("inspect", tmp_path / "out", "cropped-0").stdout
    assert shown.startswith("cropped-0 (cropped): ")
    assert "answer 2, to 3 passages: [" in shown
    assert "order of gpt-4o-mini (prompt " in shown
    missing = builder("inspect", tmp_path / "out", "cropped-99")
    assert missing.returncode == 2
    assert "has no pool for query 'cropped-99'" in missing.stderr


@pytest.mark.slow
def test_a_killed_build_among_faults_loses_no_query_and_repays_no_answer(corpus, tmp_path):
    faulty = StandIn(fault_rate=0.3, delay=0.05, hang=0.5, faults=FAULTS)
    with StandInServer(faulty) as server:
        flags = ("--timeout", "0.4", "--concurrency", "2", "--num_queries", "30")
        process = subprocess.Popen(
            build_command(corpus, tmp_path / "out", server, *flags),
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment(),
        )
        while faulty.counts()["answered"] < 10:
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        result = run(build_command(corpus, tmp_path / "out", server, *flags))
        assert result.returncode == 0, result.stderr
    assert len(orders(tmp_path / "out")) == 30
    # A completed call that was in flight at the kill, or that the client gave up on, may be asked for again.
    assert max(faulty.answered.values()) <= 2


def test_a_pool_without_an_order_is_left_out_and_counted(corpus, tmp_path):
    with StandInServer(StandIn(script=["refusal_field"] * 5)) as server:
        result = run(build_command(corpus, tmp_path / "out", server, "--concurrency", "1"))
    assert result.returncode == 0, result.stderr
    assert len(orders(tmp_path / "out")) == 11
    assert "11 queries" in (tmp_path / "out" / "README.md").read_text()
    assert "1 refused" in (tmp_path / "out" / "README.md").read_text()


def test_the_card_says_in_the_server_s_words_why_pools_were_rejected(corpus, tmp_path):
    with StandInServer(StandIn(rejected_rate=0.2)) as server:
        result = run(build_command(corpus, tmp_path / "out", server))
    assert result.returncode == 0, result.stderr
    rejected = 12 - len(orders(tmp_path / "out"))
    assert 0 < rejected < 8
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"{rejected} rejected" in card
    words = re.search(r"The server's words about the rejected: `(.+)` \((\d+)\)\.", card)
    assert "Invalid prompt" in words[1]
    assert int(words[2]) == rejected


@pytest.mark.slow
def test_the_batch_api_gives_the_same_dataset(corpus, tmp_path):
    with StandInServer(StandIn()) as server:
        live = run(build_command(corpus, tmp_path / "live", server))
        flags = ("--teacher", "batch:gpt-4o-mini", "--poll_seconds", "0.1")
        batch = run(build_command(corpus, tmp_path / "batch", server, *flags))
    assert (live.returncode, batch.returncode) == (0, 0), batch.stderr
    assert orders(tmp_path / "batch") == orders(tmp_path / "live")


def test_a_union_pool_interleaves_all_methods(corpus, tmp_path):
    result = run(command(corpus, tmp_path / "out", "--pool", "union"))
    assert result.returncode == 0, result.stderr
    rows = load_dataset(str(tmp_path / "out"), split="train")
    assert set(rows["retriever"]) == {rows.features["retriever"].str2int("union")}
    for row in rows:
        docids = [passage["docid"] for passage in row["retrieved_passages"]]
        assert len(set(docids)) == len(docids) == 5


def test_a_dry_run_needs_no_key(corpus, tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    for teacher in ("openai:gpt-4o-mini", "batch:gpt-4o-mini"):
        result = run(command(corpus, tmp_path / teacher, "--teacher", teacher, "--dry_run"))
        assert result.returncode == 0, result.stderr
        (cost,) = [line for line in result.stdout.splitlines() if line.startswith(f"{teacher}: ")]
        assert "calls still to pay" in cost and "about $" in cost


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--teacher", "openai:gpt-4o-mini"), "OPENAI_API_KEY is not set"),
        (("--teacher", "gpt-4o-mini"), "teacher 'gpt-4o-mini' is not known; give openai:MODEL"),
        ((*NOWHERE, "--max_cost", "1"), "--max_cost needs a price"),
        ((*NOWHERE, "--step", "30"), "step 30 must lie between"),
        (("--pool", "sum"), "--pool is 'sum'; give split or union"),
    ],
)  # fmt: skip
def test_what_a_teacher_lacks_is_said_before_the_build_begins(corpus, tmp_path, flags, message):
    result = run(command(corpus, tmp_path / "out", *flags))
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_max_cost_stops_cleanly_and_a_higher_cap_continues(corpus, tmp_path):
    with StandInServer(StandIn()) as server:
        prices = ("--prompt_price", "1000", "--completion_price", "1000", "--concurrency", "1")
        stopped = run(build_command(corpus, tmp_path / "out", server, *prices, "--max_cost", "1"))
        assert stopped.returncode == 2
        assert "raise max_cost to continue" in stopped.stderr
        assert 0 < server.stand_in.counts()["answered"] < 22
        whole = run(build_command(corpus, tmp_path / "out", server, *prices, "--max_cost", "1000"))
        assert whole.returncode == 0, whole.stderr
        assert server.stand_in.counts()["answered"] == 22
