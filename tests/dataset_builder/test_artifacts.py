"""Passage stores and indexes are made once and shared by the builds that agree on what they are made of."""

import dataclasses
import json
import re
import shutil
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from dataset_builder.build.artifacts import Artifacts, Recipe
from dataset_builder.build.execution import Execution
from dataset_builder.build.folder import BuildFolder, read_queries
from dataset_builder.build.settings import load_profile
from dataset_builder.commands.artifacts import describe_artifacts
from dataset_builder.language_models.access import TeacherAccess
from dataset_builder.pipeline.run import build
from dataset_builder.pools import methods

SHARED_STORE, NO_LABELS = "passages: there, from another build", ("rankings: to do", "dataset: to do")
STORE = Recipe("passages", {"corpus": "abc"})


class CountingEncoder:
    """Seeded vectors, by the texts' lengths; counts the passages it encodes."""

    def __init__(self):
        self.encoded = self.asked = 0

    def passages(self, texts):
        self.encoded += len(texts)
        return self._vectors(texts)

    def queries(self, texts):
        self.asked += len(texts)
        return self._vectors(texts)

    def _vectors(self, texts):
        return np.stack([np.random.default_rng(len(text)).standard_normal(8) for text in texts]).astype(
            np.float32
        )


def settings_over(corpus):
    return load_profile(
        "offline",
        {
            "corpus": str(corpus), "num_queries": 8, "query_types": ["cropped"], "num_passages": 3,
            "retrievers": ["minilm"], "teacher": "openai:x", "test_fraction": 0.0,
        },
    )  # fmt: skip


@pytest.fixture
def encoder(monkeypatch):
    counting = CountingEncoder()
    monkeypatch.setattr(methods, "cosine_encoder", lambda *_: counting)
    monkeypatch.setattr(methods, "free_models", lambda: None)
    return counting


def test_builds_that_share_a_corpus_encode_it_once(planets, encoder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("dataset_builder.pools.filling.free_models", lambda: None)
    execution = Execution(artifacts=str(tmp_path / "artifacts"))
    settings = settings_over(planets)

    def plan():
        return [line.strip() for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]

    def build_with(name, **changes):
        folder = BuildFolder(tmp_path / name)
        changed = dataclasses.replace(settings, output_dir=str(folder.root), **changes)
        build(folder, changed, TeacherAccess("http://127.0.0.1:9/v1"), execution, dry_run=True)
        return folder

    first = build_with("first")
    assert plan() == [
        "passages: to make",
        "index minilm: to make",
        "queries: to do",
        "pools: to do",
        *NO_LABELS,
    ]
    once = encoder.encoded
    assert once >= 10
    (tmp_path / "elsewhere").mkdir()
    moved = planets.rename(tmp_path / "elsewhere" / "corpus.jsonl")
    second = build_with("second", corpus=str(moved), seed=7, num_queries=6, teacher="openai:other")
    plan()
    assert encoder.encoded == once
    assert first.passages.resolve() == second.passages.resolve()
    assert list(read_queries(first.queries)) != list(read_queries(second.queries))
    assert {
        (each.key.split("-")[0], len(each.used_by)) for each in Artifacts(Path(execution.artifacts)).listed()
    } == {
        ("passages", 2),
        ("minilm", 2),
        ("queries", 0),
    }
    build_with("third", corpus=str(moved), faiss_index="hnsw")
    assert plan() == [
        SHARED_STORE,
        "index minilm: to make, 10 passages to encode",
        "queries: to do",
        "pools: to do",
        *NO_LABELS,
    ]
    assert encoder.encoded > once
    asked = encoder.asked
    fourth = build_with("fourth", corpus=str(moved), teacher="openai:other")
    shared = [f"{name}: there, from another build" for name in ("index minilm", "queries", "pools")]
    assert plan() == [SHARED_STORE, *shared, *NO_LABELS]
    assert encoder.asked == asked
    assert fourth.pools(0).read_bytes() == first.pools(0).read_bytes()
    (tmp_path / "third").rename(tmp_path / "moved")
    build_with("moved", corpus=str(moved), faiss_index="hnsw")
    users = Counter(
        user.parent.name for each in Artifacts(Path(execution.artifacts)).listed() for user in each.used_by
    )
    assert users == {"first": 2, "second": 2, "moved": 2, "fourth": 3}
    shutil.rmtree(fourth.pools(0).resolve().parents[1])
    build_with("fourth", corpus=str(moved), teacher="openai:other")
    assert encoder.asked > asked
    assert fourth.pools(0).read_bytes() == first.pools(0).read_bytes()
    moved.write_text(moved.read_text().replace("smallest", "greatest"))
    build_with("fifth", corpus=str(moved))
    parts = Counter(each.key.split("-")[0] for each in Artifacts(Path(execution.artifacts)).listed())
    assert parts == {"passages": 2, "minilm": 3, "queries": 4}
    plan()
    build_with("in-bf16", corpus=str(moved), encoder_dtype="bfloat16")
    assert plan()[1] == "index minilm: to make, 10 passages to encode"


def test_tasks_share_out_the_encoding_and_encode_each_shard_once(planets, encoder, tmp_path, monkeypatch):
    monkeypatch.setattr("retrieval.retrievers.encoded_shards.SHARD_SIZE", 3)
    monkeypatch.setattr("dataset_builder.pools.filling.free_models", lambda: None)
    settings = settings_over(planets)
    indexes = []
    for tasks in (1, 3):
        folder = BuildFolder(tmp_path / str(tasks))
        execution = Execution(tasks=tasks, artifacts=str(tmp_path / f"artifacts-{tasks}"))
        own = dataclasses.replace(settings, output_dir=str(folder.root))
        build(folder, own, TeacherAccess("http://127.0.0.1:9/v1"), execution, dry_run=True)
        indexes.append(folder.faiss("minilm").read_bytes())
        shards = folder.faiss("minilm").resolve().parent.glob("*.shards")
        assert list(shards) == []
    assert indexes[0] == indexes[1]
    # Each build encodes ten passages once, and one to learn the vectors' size: once a task and once for the index.
    assert encoder.encoded == (10 + 1 + 1) + (10 + 3 + 1)


def test_of_two_that_want_a_part_at_once_one_makes_it_and_the_other_waits(tmp_path):
    made = []

    def make(path):
        made.append(path)
        time.sleep(0.3)
        path.write_text("a part")

    links = [tmp_path / name / "passages.sqlite" for name in ("one", "two")]
    builds = [
        threading.Thread(target=Artifacts(tmp_path / "artifacts").provide, args=(STORE, link, make))
        for link in links
    ]
    for each in builds:
        each.start()
    for each in builds:
        each.join()
    assert len(made) == 1
    assert [link.read_text() for link in links] == ["a part", "a part"]


def test_a_part_whose_making_was_killed_is_made_by_the_next_that_wants_it(tmp_path):
    artifacts, link = Artifacts(tmp_path / "artifacts"), tmp_path / "one" / "store"

    def fail(path):
        path.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        artifacts.provide(STORE, link, fail)
    assert not link.is_symlink()
    assert [each.is_whole for each in artifacts.listed()] == [False]
    artifacts.provide(STORE, link, lambda path: path.write_text("whole"))
    assert link.read_text() == "whole"
    assert json.loads((link.resolve().parent / "manifest.json").read_text())["inputs"] == {"corpus": "abc"}


def test_what_no_build_uses_is_deleted_and_the_rest_stays(tmp_path):
    artifacts, kept, gone = (
        Artifacts(tmp_path / "artifacts"),
        tmp_path / "kept" / "build" / "store",
        tmp_path / "gone" / "build" / "store",
    )
    artifacts.provide(STORE, kept, lambda path: path.write_text("kept"))
    artifacts.provide(Recipe("lucene", {"passages": STORE.key}), gone, lambda path: path.mkdir())
    assert artifacts.delete_unused() == []
    gone.unlink()
    said = describe_artifacts(artifacts, delete_unused=True).splitlines()
    assert [re.sub(r"-\w{16}|\d+ (B|KB)", "", line) for line in said] == [
        "deleted: lucene ()",
        f"passages: , used by {tmp_path / 'kept'}",
        f"{tmp_path}/artifacts: 1 parts, ",
    ]
    assert kept.read_text() == "kept"
