"""Rankings that exist already, as TREC runs: imported, read back, and refused where they cannot be used."""

import re
from dataclasses import replace

import pytest
from datasets import load_dataset

from dataset_builder.build.folder import BuildFolder
from dataset_builder.commands.import_runs import Import
from dataset_builder.commands.import_runs import import_runs as import_runs_here
from dataset_builder.commands.inspection import describe_query, describe_status
from dataset_builder.language_models.access import TeacherAccess
from retrieval.errors import InputError
from tests.command_line import run_module


@pytest.fixture
def files(planets, tmp_path):
    (tmp_path / "queries.jsonl").write_text(
        '{"_id": "7", "text": "red planet"}\n{"_id": "8", "text": "ice rings"}\n'
    )
    (tmp_path / "first.txt").write_text(
        "7 Q0 sun 1 9 bm25\n7 Q0 mars 2 8 bm25\n8 Q0 mars 1 5 bm25\n8 Q0 saturn 2 4 bm25\n"
    )
    (tmp_path / "llm.txt").write_text(
        "7 Q0 mars 1 2 llm\n7 Q0 sun 2 1 llm\n8 Q0 saturn 1 2 llm\n8 Q0 mars 2 1 llm\n"
    )
    return tmp_path


def import_runs(files, output, *flags):
    return run_module(
        "dataset_builder", "import-runs", "--queries", files / "queries.jsonl", "--corpus",
        files / "corpus.jsonl", "--output_dir", output, *flags,
    )  # fmt: skip


def test_a_run_becomes_a_dataset_that_keeps_its_order_and_the_first_stages(files, tmp_path):
    result = import_runs(
        files, tmp_path / "out", "--runs", files / "llm.txt", "--first_stage", files / "first.txt"
    )
    assert result.returncode == 0, result.stderr
    splits = load_dataset(str(tmp_path / "out"))
    assert list(splits) == ["train"]  # nothing was held out
    rows = {row["query_id"]: row for row in splits["train"]}
    assert rows["7"]["query"] == "red planet"
    assert rows["7"]["teacher"] == "llm"
    passages = rows["7"]["retrieved_passages"]
    assert [(found["docid"], found["rank"], found["retriever_rank"]) for found in passages] == [
        ("mars", 1, 2),
        ("sun", 2, 1),
    ]
    assert passages[0]["retriever_score"] == 8
    assert [found["teacher_score"] for found in passages] == [None, None]
    assert passages[0]["text"].startswith("Mars is called the red planet")
    assert "imported from TREC runs" in (tmp_path / "out" / "README.md").read_text()


def test_fused_runs_give_one_ranking_with_scores_of_the_first_stages_passages(files, tmp_path):
    (tmp_path / "dense.txt").write_text("7 Q0 mars 1 0.9 dense\n7 Q0 elsewhere 2 0.5 dense\n")
    wanted = Import(
        [files / "llm.txt", tmp_path / "dense.txt"], files / "queries.jsonl", str(files / "corpus.jsonl"),
        str(tmp_path / "out"), files / "first.txt", fuse=[1, 2],
    )  # fmt: skip
    import_runs_here(wanted)
    rows = {row["query_id"]: row for row in load_dataset(str(tmp_path / "out"))["train"]}
    assert {row["teacher"] for row in rows.values()} == {"llm+dense"}
    # z-scores: mars 1 and sun -1 in both runs (sun, which dense lacks, has its lowest score), weighted 1 and 2.
    found = rows["7"]["retrieved_passages"]
    assert [(one["docid"], one["retriever_rank"], one["teacher_score"]) for one in found] == [
        ("mars", 2, 3.0),
        ("sun", 1, -3.0),
    ]
    # Only the first run ranks this query.
    assert [(one["docid"], one["teacher_score"]) for one in rows["8"]["retrieved_passages"]] == [
        ("saturn", 1.0),
        ("mars", -1.0),
    ]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"first_stage": None}, "--fuse ranks the passages of --first_stage"),
        ({"fuse": [1, 2]}, "--fuse has 2 weights for 1 runs"),
    ],
)
def test_runs_that_cannot_be_fused_are_refused(files, tmp_path, changed, said):
    wanted = Import(
        [files / "llm.txt"], files / "queries.jsonl", str(files / "corpus.jsonl"), str(tmp_path / "out"),
        files / "first.txt", fuse=[],
    )  # fmt: skip
    with pytest.raises(InputError, match=re.escape(said)):
        import_runs_here(replace(wanted, **changed))
    assert not (tmp_path / "out").exists()


def test_many_runs_of_long_names_are_imported(files, tmp_path):
    names = [tmp_path / f"{'a-long-name-' * 10}{number}.txt" for number in range(3)]
    for name in names:
        name.write_text((files / "llm.txt").read_text())
    import_runs_here(
        Import(names, files / "queries.jsonl", str(files / "corpus.jsonl"), str(tmp_path / "out"))
    )
    assert load_dataset(str(tmp_path / "out"))["train"].num_rows == 6


def test_an_imported_dataset_has_no_teacher_to_order_with(files, tmp_path):
    assert import_runs(files, tmp_path / "out", "--runs", files / "llm.txt").returncode == 0
    result = run_module(
        "dataset_builder", "order", tmp_path / "out", "--queries", files / "queries.jsonl",
        "--run", files / "first.txt", "--output", tmp_path / "run.txt",
    )  # fmt: skip
    assert result.returncode == 2
    assert "were imported; it has no teacher to ask" in result.stderr
    assert not (tmp_path / "run.txt").exists()


def test_several_runs_of_one_query_stay_in_one_split(files, tmp_path):
    flags = (
        "--runs",
        files / "llm.txt",
        files / "first.txt",
        "--test_fraction",
        "0.5",
        "--num_passages",
        "2",
    )
    result = import_runs(files, tmp_path / "out", *flags)
    assert result.returncode == 0, result.stderr
    splits = load_dataset(str(tmp_path / "out"))
    assert [len(split) for split in splits.values()] == [2, 2]
    for split in splits.values():
        assert len({row["query"] for row in split}) == 1
        assert {row["teacher"] for row in split} == {"llm", "first"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("9 Q0 mars 1 2 llm", "has query '9', which"),
        ("7 Q0 pluto 1 2 llm", "passage 'pluto' of the runs, and 0 more, are not in"),
        ("7 Q0 venus 1 2 llm", "passage 'venus' of query '7' is not in the first stage's run"),
        ("7 mars 1", "a TREC run has 6"),
    ],
)
def test_what_cannot_be_imported_is_said(files, tmp_path, line, message):
    (files / "bad.txt").write_text(line + "\n")
    result = import_runs(
        files, tmp_path / "out", "--runs", files / "bad.txt", "--first_stage", files / "first.txt"
    )
    assert result.returncode == 2
    assert message in result.stderr
    assert not (tmp_path / "out" / "README.md").exists()


def test_a_build_cannot_take_runs_for_its_teacher(planets, tmp_path):
    result = run_module(
        "dataset_builder",
        "build",
        "--corpus",
        planets,
        "--teacher",
        "run:x",
        "--output_dir",
        tmp_path / "out",
    )
    assert result.returncode == 2
    assert "import-runs" in result.stderr


def imported(files, output, *runs, queries="queries.jsonl", **changes):
    return import_runs_here(
        Import(
            runs=[files / name for name in runs],
            queries=files / queries,
            corpus=str(files / "corpus.jsonl"),
            output_dir=str(output),
            **changes,
        )
    )


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (
            "7 Q0 mars 1 9 r\n7 Q0 sun 2 nan r\n7 Q0 saturn 3 10 r\n",
            "line 2: the score 'nan' is not a finite number",
        ),
        ("7 Q0 mars 1 inf r\n", "line 1: the score 'inf' is not a finite number"),
        (
            "7 Q0 mars 1 1 r\n7 Q0 sun 2 2 r\n",
            "line 2: sun has rank 2 and a higher score than mars of rank 1",
        ),
        ("7 Q0 mars one 1 r\n", "line 1: the rank is not a whole number"),
        ("7 Q0 mars 1 2 r\n7 Q0 mars 2 1 r\n", "line 2: mars is ranked twice for query 7"),
        ("7 Q0 pluto 1 2 r\n", "passage 'pluto' of the runs"),
        ("9 Q0 mars 1 2 r\n", "has query '9', which"),
    ],
)
def test_a_run_that_is_no_order_is_refused_before_the_folder_is_claimed(files, tmp_path, run, message):
    (files / "bad.txt").write_text(run)
    with pytest.raises(InputError, match=re.escape(message)):
        imported(files, tmp_path / "out", "llm.txt", "bad.txt")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"_id": "7", "text": null}', "line 1: the query has no text"),
        ('{"_id": "7", "text": 5}', 'line 1: "text" must be a string'),
        ('{"_id": "7", "text": " "}', "line 1: the query has no text"),
        ('{"_id": null, "text": "x"}', 'line 1: expected an object with "_id"'),
        (
            '{"_id": "7", "text": "a"}\n{"_id": "7", "text": "b"}',
            "line 2: another query has the id '7' already",
        ),
        ('["7", "red planet"]', "line 1: expected an object with"),
    ],
)
def test_a_query_without_a_text_is_refused_before_the_folder_is_claimed(files, tmp_path, line, message):
    (files / "bad.jsonl").write_text(line + "\n")
    with pytest.raises(InputError, match=re.escape(message)):
        imported(files, tmp_path / "out", "llm.txt", queries="bad.jsonl")
    assert not (tmp_path / "out").exists()


def test_two_runs_of_one_name_and_a_split_of_too_few_queries_are_refused(files, tmp_path):
    (files / "other").mkdir()
    (files / "other" / "llm.txt").write_text("7 Q0 sun 1 2 r\n")
    with pytest.raises(InputError, match="another run is called 'llm' too"):
        imported(files, tmp_path / "out", "llm.txt", "other/llm.txt")
    with pytest.raises(InputError, match="2 source passages cannot give a test split of 10%"):
        imported(files, tmp_path / "out", "llm.txt", test_fraction=0.1)
    assert not (tmp_path / "out").exists()


def test_ties_follow_the_written_rank_and_an_imported_query_has_no_source(files, tmp_path):
    (files / "ties.txt").write_text("7 Q0 sun 2 0 r\n7 Q0 mars 1 0 r\n7 Q0 saturn 3 0 r\n8 Q0 mars 1 0 r\n")
    imported(files, tmp_path / "out", "ties.txt")
    rows = {row["query_id"]: row for row in load_dataset(str(tmp_path / "out"), split="train")}
    assert [found["docid"] for found in rows["7"]["retrieved_passages"]] == ["mars", "sun", "saturn"]
    assert (rows["7"]["source_docid"], rows["7"]["label_status"], rows["7"]["repaired_places"]) == (
        "",
        "ok",
        0,
    )
    folder = BuildFolder(tmp_path / "out")
    status = describe_status(folder, TeacherAccess())
    assert status.splitlines() == [
        f"{tmp_path / 'out'}: 2 queries over {files / 'corpus.jsonl'}",
        "  imported from TREC runs (ties.txt)",
        "queries: 2",
        "labels: 2 ok",
    ]
    shown = describe_query(folder, "7", TeacherAccess())
    assert shown.startswith("7 (given): red planet\npool, from run:\n    1. [1] mars: ")
    assert "order of ties:\n    1. [1] mars: " in shown
    with pytest.raises(InputError, match="has no pool for query '9'"):
        describe_query(folder, "9", TeacherAccess())
