"""A build whose teacher is a reranker: a small seeded cross-encoder, saved to disk, over a real corpus."""

import json
import re
import shutil
import signal
import subprocess
from array import array

import pytest
import torch
from datasets import load_dataset

from dataset_builder.build.folder import BuildFolder
from dataset_builder.dataset.distill20k import check_rows
from modeling_twolar import load_reranker
from tests.command_line import run_module
from tests.conftest import PLANETS
from tests.dataset_builder.test_build import ROOT, command, published, run


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus") / "corpus.jsonl"
    path.write_text("".join(json.dumps({"_id": d, "text": t}) + "\n" for d, t in PLANETS))
    return path


@pytest.fixture(scope="module")
def built(corpus, small_teacher, tmp_path_factory):
    output = tmp_path_factory.mktemp("built") / "out"
    result = run(command(corpus, output, "--teacher", f"reranker:{small_teacher}"))
    assert result.returncode == 0, result.stderr
    return output


def builder(*arguments):
    return run_module("dataset_builder", *arguments)


def rows_of(output):
    return [row for split in load_dataset(str(output)).values() for row in split]


def test_each_passage_carries_the_rerankers_own_score_and_they_fall_with_rank(built, small_teacher):
    rows, model = rows_of(built), load_reranker(small_teacher)
    assert len(rows) == 12
    for row in rows:
        passages = row["retrieved_passages"]
        scores = torch.tensor([passage["teacher_score"] for passage in passages])
        expected = model.score([(row["query"], passage["text"]) for passage in passages])
        torch.testing.assert_close(scores, expected, atol=1e-4, rtol=0)
        assert (scores[:-1] >= scores[1:]).all()
        assert scores[0] - scores[-1] > 0.1
        assert [passage["rank"] for passage in passages] == list(range(1, len(passages) + 1))
        assert row["teacher"] == "reranker:small-teacher"
    assert any(row["retrieved_passages"][0]["retriever_rank"] > 1 for row in rows)


def test_what_is_published_names_the_reranker_its_revision_and_no_path_of_this_machine(built, small_teacher):
    card = (built / "README.md").read_text()
    assert "**The teacher is `reranker:small-teacher`**, a reranker" in card
    assert re.search(r"\| small-teacher \| [0-9a-f]{12} \| see where it comes from \|", card)
    assert "`teacher_score` (the teacher's, higher is more relevant)" in card
    assert "asked of language models" not in card
    assert "Rankings of the teacher: 12 ok." in card
    for content in published(built).values():
        assert str(small_teacher.parent).encode() not in content


def test_inspect_shows_the_scores_and_order_ranks_a_run_by_them(built, small_teacher, tmp_path):
    row = next(row for row in rows_of(built) if row["query_id"] == "cropped-0")
    shown = builder("inspect", built, "cropped-0").stdout
    assert "order of reranker:small-teacher:" in shown
    first = row["retrieved_passages"][0]
    assert f"{first['docid']} ({first['teacher_score']:.4f}): " in shown
    (tmp_path / "q.jsonl").write_text(json.dumps({"_id": "q", "text": row["query"]}) + "\n")
    docids = [passage["docid"] for passage in row["retrieved_passages"]]
    run_lines = [f"q Q0 {docid} {rank} {-rank} x\n" for rank, docid in enumerate(reversed(docids), start=1)]
    (tmp_path / "run.txt").write_text("".join(run_lines))
    files = (
        "--queries",
        tmp_path / "q.jsonl",
        "--run",
        tmp_path / "run.txt",
        "--output",
        tmp_path / "out.txt",
    )
    result = builder("order", built, *files)
    assert result.returncode == 0, result.stderr
    ordered = [line.split() for line in (tmp_path / "out.txt").read_text().splitlines()]
    assert [fields[2] for fields in ordered] == docids
    assert {fields[5] for fields in ordered} == {"reranker:small-teacher"}


@pytest.mark.slow
def test_a_build_killed_while_the_reranker_labels_ends_in_the_same_bytes(
    built, corpus, small_teacher, tmp_path
):
    for attempt in range(5):  # a busy machine may send the signal when all is labelled
        out = tmp_path / str(attempt) / "out"
        arguments = command(corpus, out, "--teacher", f"reranker:{small_teacher}")
        process = subprocess.Popen(
            arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        next(line for line in process.stdout if "] rankings" in line)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if not BuildFolder(out).rankings(0).exists():
            break
    else:
        pytest.fail("no signal came while the reranker was labelling")
    result = run(arguments)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("done before, reused") == 5
    assert published(out) == published(built)


def test_a_dataset_whose_scores_are_not_the_rankings_is_refused(built, tmp_path):
    shutil.copytree(built, tmp_path / "out")
    folder = BuildFolder(tmp_path / "out")
    check_rows(folder.data, folder)
    rankings = [json.loads(line) for line in folder.rankings(0).read_text().splitlines()]
    best = rankings[3]["teacher_order"][0]
    rankings[3]["teacher_scores"][best] = array("f", [rankings[3]["teacher_scores"][best] + 0.01])[0]
    folder.rankings(0).write_text("".join(json.dumps(ranking) + "\n" for ranking in rankings))
    with pytest.raises(RuntimeError, match=f"^2 rows of .* first .*{rankings[3]['query']['query_id']}"):
        check_rows(folder.data, folder)


def not_finite(small_teacher, folder):
    from safetensors.torch import load_file, save_file

    shutil.copytree(small_teacher, folder)
    weights = load_file(folder / "model.safetensors")
    weights[next(name for name in weights if name.endswith("classifier.bias"))].fill_(float("nan"))
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def test_a_score_that_is_not_finite_ends_the_build_with_one_line_and_no_label(
    corpus, small_teacher, tmp_path
):
    not_finite(small_teacher, tmp_path / "nan-teacher")
    result = run(command(corpus, tmp_path / "out", "--teacher", f"reranker:{tmp_path / 'nan-teacher'}"))
    assert result.returncode == 2
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "teacher reranker:nan-teacher cannot score (pair 0 has the score nan" in errors[0]
    assert "Traceback" not in result.stderr
    assert not BuildFolder(tmp_path / "out").rankings(0).exists()
    assert published(tmp_path / "out") == {}


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        ("reranker:", "teacher 'reranker:' is not known; give openai:MODEL"),
        ("reranker:tests", "cannot be loaded (the folder has no config.json)"),
    ],
)
def test_a_reranker_that_is_not_there_is_said_before_the_build_begins(corpus, tmp_path, teacher, message):
    result = run(command(corpus, tmp_path / "out", "--teacher", teacher))
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_dry_run_of_a_build_that_is_done_has_nothing_to_foresee_and_no_cost(built, corpus, small_teacher):
    result = run(command(corpus, built, "--teacher", f"reranker:{small_teacher}", "--dry_run"))
    assert result.returncode == 0, result.stderr
    first, *_, last = result.stdout.splitlines()
    assert first.startswith("  altogether") and last.endswith("costs nothing; nothing was made")
