"""Queries that a language model writes: the embedded one, a real model, through the real client."""

import json
import re
import signal
import subprocess
import time

import pytest

from dataset_builder.build.folder import BuildFolder
from dataset_builder.commands.arguments import build_execution, build_settings, teacher_access
from dataset_builder.commands.flags import parser
from dataset_builder.pipeline.run import build
from dataset_builder.queries.consistency import ConsistencyFilter
from dataset_builder.queries.llm_query import QueryPrompt, written_query
from retrieval.errors import InputError
from retrieval.records import Hit, Passage
from tests.dataset_builder.test_build import ROOT, command, published, run
from tests.teachers.llm_server import StandInServer
from tests.teachers.llm_stand_in import StandIn

WRITING = ("--query_types", "cropped", "llm_query", "--query_writer", "openai:SmolLM2-135M-Instruct")
EMBEDDED = (*WRITING, "--base_url", "embedded")


@pytest.mark.parametrize(
    ("answer", "query"),
    [
        ("how do planets move", "how do planets move"),
        ('Question: "why is Mars red"\nBecause of iron.', "why is Mars red"),
        ("\n\n  which   planet has rings \n", "which planet has rings"),
        ("Mars", None),
        ("", None),
        (" ".join(["word"] * 33), None),
    ],
)
def test_a_query_is_the_first_line_of_an_answer(answer, query):
    assert written_query(answer) == query


def test_examples_are_turns_of_the_chat(tmp_path):
    path = tmp_path / "prompt.yaml"
    path.write_text(
        "instruction: Ask.\nexamples:\n  - {passage: the red planet, query: which planet is red}\n"
    )
    prompt = QueryPrompt.read(str(path))
    assert [(message.role, message.content) for message in prompt.messages("rings  of ice")] == [
        ("system", "Ask."),
        ("user", "Passage: the red planet\nQuestion:"),
        ("assistant", "which planet is red"),
        ("user", "Passage: rings of ice\nQuestion:"),
    ]
    assert prompt.version != QueryPrompt.read("").version


@pytest.mark.parametrize(
    "text", ["- a list", "instruction: x", "examples: [{passage: x}]\ninstruction: y", "{"]
)
def test_a_prompt_without_its_parts_is_refused(tmp_path, text):
    path = tmp_path / "prompt.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"prompt\.yaml must be YAML with an instruction and examples"):
        QueryPrompt.read(str(path))


def test_a_query_is_consistent_where_it_finds_its_own_passage():
    class Finds:
        name = "bm25"

        def search(self, queries, k):
            return [[Hit(f"d{number}", 1.0) for number in range(k)] for _ in queries]

    passages = [Passage("d1", "", "text"), Passage("d2", "", "text")]
    assert ConsistencyFilter(Finds(), 2)([("a", passages[0]), ("b", passages[1])]) == [True, False]


def test_a_build_with_the_embedded_model_says_who_wrote_and_what_was_dropped(planets, tmp_path):
    output = tmp_path / "out"
    result = run(command(planets, output, *EMBEDDED, "--consistency_retriever", "bm25", "--num_queries", "6"))
    assert result.returncode == 0, result.stderr
    rows = [json.loads(line) for line in (output / "build" / "queries.jsonl").read_text().splitlines()]
    assert [row["query_type"] for row in rows] == ["cropped"] * 3 + ["llm_query"] * 3
    counts = json.loads((output / "build" / "query_counts.json").read_text())["llm_query"]
    assert counts["kept"] == 3
    card = (output / "README.md").read_text()
    assert "| who wrote `llm_query` | openai:SmolLM2-135M-Instruct (prompt " in card
    assert "dropped: inconsistent" in card
    assert "answers" in card  # what was asked


@pytest.mark.slow
def test_a_build_with_the_embedded_model_killed_thrice_gives_the_bytes_of_an_unbroken_one(planets, tmp_path):
    asked = (*EMBEDDED, "--teacher", "ensemble", "--num_queries", "8", "--ensemble")
    asked = (*asked, "likelihood:SmolLM2-135M-Instruct=1", "pointwise:SmolLM2-135M-Instruct=1", "bm25=0.5")
    whole, broken = tmp_path / "whole" / "out", tmp_path / "broken" / "out"
    assert run(command(planets, whole, *asked)).returncode == 0
    for seconds in (9, 14, 20):
        with subprocess.Popen(command(planets, broken, *asked), cwd=ROOT) as process:
            time.sleep(seconds)
            process.send_signal(signal.SIGKILL)
    assert run(command(planets, broken, *asked)).returncode == 0
    assert published(broken) == published(whole)
    for output in (whole, broken):
        keys = [
            json.loads(line)["key"]
            for path in (output / "build" / "answers").glob("*.jsonl")
            for line in path.read_bytes().splitlines(keepends=True)
            if line.endswith(b"\n")
        ]
        assert len(keys) == len(set(keys))


def test_a_dry_run_says_what_writing_costs_and_asks_nobody(planets, tmp_path):
    with StandInServer(StandIn()) as server:
        asked = (*WRITING, "--query_writer", "openai:gpt-4o-mini", "--base_url", server.url, "--dry_run")
        result = run(command(planets, tmp_path / "out", *asked))
        assert result.returncode == 0, result.stderr
        assert "openai:gpt-4o-mini: 6 queries, 6 calls still to pay" in result.stdout
        assert not server.stand_in.asked


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--query_types", "llm_query", "--query_writer", ""), "'llm_query' needs --query_writer"),
        (("--query_types", "llm_query", "--query_writer", "rank-fusion"), "writes no queries"),
        ((*WRITING[:3], "--query_writer", "openai:gpt-4o", "--base_url", "embedded"), "embedded serves"),
        (
            (*WRITING[:3], "--query_writer", "openai:not.gguf", "--base_url", "embedded"),
            "not.gguf does not exist",
        ),
        ((*EMBEDDED, "--query_prompt", "none.yaml"), "--query_prompt none.yaml"),
        (("--query_types", "cropped=5", "keywords=5"), "are not the 12 of --num_queries together"),
        (("--query_types", "cropped=many"), "'many' is no number of queries"),
        (
            (*WRITING, "--base_url", "http://127.0.0.1:1/v1", "--consistency_retriever", "splade"),
            "is not among --retrievers",
        ),
        (("--teacher", "ensemble"), "an ensemble of nothing"),
        (("--ensemble", "bm25=1"), "--ensemble needs --teacher ensemble"),
        (
            ("--teacher", "ensemble", "--ensemble", "splade=1"),
            "splade of --ensemble is not among --retrievers",
        ),
        (("--teacher", "likelihood:none.gguf"), "none.gguf does not exist"),
    ],
)
def test_what_cannot_be_is_said_before_a_build_begins(planets, tmp_path, flags, message):
    asked = parser().parse_args(command(planets, tmp_path / "out", *flags)[3:])
    with pytest.raises(InputError, match=re.escape(message)):
        settings = build_settings(asked)
        build(BuildFolder(tmp_path / "out"), settings, teacher_access(asked), build_execution(asked))
    assert not (tmp_path / "out").exists()
