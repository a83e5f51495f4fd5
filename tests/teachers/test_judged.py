"""A teacher measured on judged queries before it labels: real MiniLM beside a small model of random weights."""

import json

import pytest

from dataset_builder.build.folder import BuildFolder
from dataset_builder.build.settings import load_profile
from dataset_builder.language_models.access import TeacherAccess
from dataset_builder.teachers.judged import Judged, judge_teacher
from retrieval.errors import InputError
from retrieval.passage_store import PassageStore
from retrieval.records import Passage
from tests.conftest import PLANETS

MINILM = "reranker:all-MiniLM-L6-v2"


@pytest.fixture
def folder(tmp_path):
    build = BuildFolder(tmp_path / "build")
    PassageStore.build(build.passages, [Passage(docid, "", text) for docid, text in PLANETS])
    return build


@pytest.fixture
def judged(tmp_path):
    """Two judged queries; the first stage gives their passages worst first, and knows no passage for a third."""
    (tmp_path / "judged" / "qrels").mkdir(parents=True)
    texts = {"red": "which planet is called red", "ice": "rings made of ice", "none": "no pool"}
    rows = [json.dumps({"_id": query_id, "text": text}) for query_id, text in texts.items()]
    (tmp_path / "judged" / "queries.jsonl").write_text("\n".join(rows))
    (tmp_path / "judged" / "qrels" / "dev.tsv").write_text(
        "query-id\tcorpus-id\tscore\nred\tmars\t1\nice\tsaturn\t1\n"
    )
    docids = ["mercury", "venus", "earth", "jupiter"]
    run = [f"red Q0 {docid} {rank} {-rank} x" for rank, docid in enumerate([*docids, "mars"], start=1)]
    run += [f"ice Q0 {docid} {rank} {-rank} x" for rank, docid in enumerate([*docids, "saturn"], start=1)]
    (tmp_path / "first.txt").write_text("\n".join(run))
    return Judged(str(tmp_path / "judged"), "dev", str(tmp_path / "first.txt"))


def settings(teacher, *ensemble):
    return load_profile("offline", {"teacher": teacher, "ensemble": list(ensemble)})


def started_from(judged, start, layers=None):
    return Judged(judged.judged, judged.judged_split, judged.judged_run, str(start), layers)


def test_a_teacher_is_measured_beside_the_first_stage_and_the_student_s_start(folder, judged, small_teacher):
    said = judge_teacher(folder, settings(MINILM), TeacherAccess(), started_from(judged, small_teacher))
    figures, against = said.splitlines()
    # The one relevant passage: fifth in the first stage's list, 1 / log2(6); the teacher's first.
    assert figures.startswith(
        "nDCG@10 on judged (dev), 2 judged queries: the teacher 1.0000, the student's start "
    )
    assert figures.endswith(", first 0.3869")
    assert against.startswith("the teacher against the student's start: +0.")


def test_a_teacher_no_better_than_the_start_is_warned_of(folder, judged):
    said = judge_teacher(folder, settings(MINILM), TeacherAccess(), started_from(judged, "all-MiniLM-L6-v2"))
    assert "WARNING: the teacher is not better than the student's start (+0.0000, p 1.0000)" in said


def test_the_members_of_an_ensemble_are_measured_too(folder, judged, small_teacher):
    members = (f"{MINILM}=1", f"reranker:{small_teacher}=0.001")
    (figures,) = judge_teacher(folder, settings("ensemble", *members), TeacherAccess(), judged).splitlines()
    assert (
        "the teacher 1.0000, its reranker:all-MiniLM-L6-v2 1.0000, its reranker:small-teacher 0." in figures
    )


def test_judgments_that_cannot_be_used_are_named_before_a_build_begins(judged, tmp_path):
    with pytest.raises(InputError, match=r"--judged .*judged has no qrels/test.tsv"):
        Judged(judged.judged).check(settings(MINILM))
    with pytest.raises(InputError, match=r"--judged_run nowhere\.txt does not exist"):
        Judged(judged.judged, "dev", "nowhere.txt").check(settings(MINILM))
    with pytest.raises(InputError, match="a batch answers within a day"):
        judged.check(settings("batch:gpt-4o-mini"))


def test_a_run_with_a_passage_that_the_corpus_lacks_is_refused(folder, judged, tmp_path):
    (tmp_path / "first.txt").write_text("red Q0 mars 1 2 x\nred Q0 pluto 2 1 x\n")
    with pytest.raises(InputError, match="run first has passage 'pluto'"):
        judge_teacher(folder, settings(MINILM), TeacherAccess(), judged)
