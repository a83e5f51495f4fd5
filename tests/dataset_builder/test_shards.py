"""Tasks may change from run to run: queries, pools and labels are those of one unbroken run, byte for byte."""

import dataclasses
import json
import signal
import subprocess
import time

import pytest

from dataset_builder.build.artifacts import Artifacts, BuildParts
from dataset_builder.build.claim import read_settings
from dataset_builder.build.execution import Execution
from dataset_builder.build.folder import BuildFolder, all_poolless, all_pools, write_queries
from dataset_builder.build.settings import load_profile
from dataset_builder.dataset.distill20k import check_rows
from dataset_builder.language_models.access import TeacherAccess
from dataset_builder.pipeline.run import build
from dataset_builder.pipeline.stages import FillPools, LabelPools
from dataset_builder.pools import filling
from retrieval.errors import InputError
from retrieval.passage_store import PassageStore
from retrieval.records import Hit, Passage, Query
from tests.conftest import PLANETS
from tests.dataset_builder.test_build import ROOT, command, published, run

UNREACHABLE = TeacherAccess(base_url="http://127.0.0.1:9/v1")
SHARDS = 5


def planets_build(root, **changes):
    corpus = root.parent / "planets.jsonl"
    corpus.parent.mkdir(parents=True, exist_ok=True)
    corpus.write_text("".join(json.dumps({"_id": d, "text": t}) + "\n" for d, t in PLANETS))
    settings = load_profile(
        "offline",
        {
            "corpus": str(corpus), "num_queries": 12, "query_types": ["cropped", "keywords"], "num_passages": 3,
            "retrievers": ["minilm"], "teacher": "rank-fusion", "test_fraction": 0.2,
            "output_dir": str(root), "num_shards": SHARDS,
        }
        | changes,
    )  # fmt: skip
    return BuildFolder(root), settings


def test_tasks_may_change_after_any_stage_and_in_the_middle_of_one(tmp_path, monkeypatch):
    one, settings = planets_build(tmp_path / "one" / "same-name")
    build(one, settings, UNREACHABLE, Execution(tasks=1, artifacts=str(tmp_path / "one")))
    folder, settings = planets_build(tmp_path / "changing" / "same-name")
    parts = str(tmp_path / "changing")
    asked = dataclasses.replace(settings, teacher="openai:gpt-4o-mini")
    build(folder, asked, UNREACHABLE, Execution(tasks=4, artifacts=parts), dry_run=True)
    whole = LabelPools.work
    with monkeypatch.context() as patched, pytest.raises(InputError, match="stage rankings failed"):
        patched.setattr(LabelPools, "work", lambda stage, *task: task == (1, 2) and whole(stage, *task))
        build(folder, settings, UNREACHABLE, Execution(tasks=2, artifacts=parts))
    assert sorted(path.name for path in folder.rankings(0).parent.iterdir()) == [
        "00001.jsonl",
        "00003.jsonl",
    ]
    build(folder, settings, UNREACHABLE, Execution(tasks=3, artifacts=parts))
    assert published(folder.root) == published(one.root)
    assert "12 queries, each" in folder.card.read_text()
    for number in range(SHARDS):
        assert folder.pools(number).read_bytes() == one.pools(number).read_bytes()
        assert folder.rankings(number).read_bytes() == one.rankings(number).read_bytes()
    with pytest.raises(InputError, match=r"--num_shards is 3, and .* was begun with 5; leave it out"):
        build(folder, dataclasses.replace(settings, num_shards=3), UNREACHABLE, Execution(artifacts=parts))
    lost = folder.rankings(2).read_text().splitlines(keepends=True)
    folder.rankings(2).write_text("".join(lost[1:]))
    query_id = json.loads(lost[0])["query"]["query_id"]
    with pytest.raises(InputError, match=f"1 of the queries in .* have no ranking or two, as '{query_id}'"):
        check_rows(folder.data, folder)


@pytest.mark.slow
def test_tasks_that_change_between_kills_end_in_the_bytes_of_one_unbroken_run(tmp_path):
    one, settings = planets_build(tmp_path / "one" / "out")
    flags = ("--num_shards", str(SHARDS), "--num_queries", "40", "--retrievers", "minilm", "bm25")
    assert run(command(settings.corpus, one.root, *flags)).returncode == 0
    output = tmp_path / "changing" / "out"
    for tasks, stage in (
        ("4", "pools"),
        ("2", "pools"),
        ("3", "rankings"),
        ("2", "rankings"),
        ("1", "dataset"),
    ):
        process = subprocess.Popen(
            command(settings.corpus, output, *flags, "--tasks", tasks),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        next(line for line in process.stdout if f"] {stage}" in line)
        time.sleep(0.5)
        process.send_signal(signal.SIGKILL)
        process.wait()
    result = run(command(settings.corpus, output, *flags, "--tasks", "3", "--workers", "2"))
    assert result.returncode == 0, result.stderr
    assert published(output) == published(one.root)
    assert len(list(BuildFolder(output).rankings(0).parent.glob("*.jsonl"))) == SHARDS


class Killed(BaseException):
    """Stands for a kill: nothing in the package catches it."""


class Scripted:
    """A retrieval method that finds two passages for most queries, and may die at a search."""

    def __init__(self, name, log, dies_at):
        self.name, self.log, self.dies_at = name, log, dies_at

    def search(self, queries, k):
        self.log.append(f"{self.name} asked {len(queries)}")
        if sum("asked" in line for line in self.log) == self.dies_at:
            raise Killed
        return [[Hit("mars", 2.0), Hit("sun", 1.0)] if text != "rare" else [] for text in queries]


@pytest.fixture
def scripted(monkeypatch):
    """Replaces the retrieval methods; returns what was opened, asked and freed."""

    def begin(dies_at=0):
        log = []

        def open_retrievers(folder, settings, names):
            log.extend(f"{name} opened" for name in names)
            return [Scripted(name, log, dies_at) for name in names]

        monkeypatch.setattr(filling, "open_retrievers", open_retrievers)
        monkeypatch.setattr(filling, "free_models", lambda: log.append("freed"))
        return log

    return begin


def test_one_method_is_open_at_a_time_and_a_kill_repeats_one_search(tmp_path, scripted):
    folder, settings = planets_build(tmp_path / "out", retrievers=["bm25", "minilm"], num_shards=2)
    PassageStore.build(folder.passages, [Passage("mars", "", "red"), Passage("sun", "", "star")])
    texts = ["a", "b", "c", "rare", "d", "e"]
    write_queries(folder.queries, [Query(f"cropped-{n}", text, "cropped") for n, text in enumerate(texts)])
    stage = FillPools(folder, settings, UNREACHABLE, BuildParts(Artifacts(tmp_path), {}))
    log = scripted(dies_at=5)
    with pytest.raises(Killed):
        stage.work(0, 1)
    # Two shards of three queries, in which the methods take turns, and the sample.
    assert log == [
        "bm25 opened", "bm25 asked 2", "bm25 asked 1", "bm25 asked 6", "freed",
        "minilm opened", "minilm asked 1", "minilm asked 2",
    ]  # fmt: skip
    log = scripted()
    stage.work(0, 1)
    assert log == ["minilm opened", "minilm asked 2", "minilm asked 6", "freed"]
    assert stage.is_done
    pools = list(all_pools(folder))
    assert [(pool.query.text, pool.retriever) for pool in pools] == [
        ("a", "bm25"), ("b", "minilm"), ("c", "bm25"), ("d", "bm25"), ("e", "minilm"),
    ]  # fmt: skip
    assert [query.text for query in all_poolless(folder)] == ["rare"]
    folder.pools(1).unlink()
    folder.poolless(0).unlink()
    with pytest.raises(InputError, match="is of an earlier release, which shared queries out otherwise"):
        stage.work(0, 1)


def test_a_build_of_the_release_before_has_as_many_shards_as_it_had_tasks(tmp_path):
    folder, settings = planets_build(tmp_path / "out")
    folder.logs("pools").mkdir(parents=True)
    (folder.logs("pools") / "executor.json").write_text('{"world_size": 4}')
    record = dataclasses.asdict(settings)
    del record["output_dir"], record["num_shards"]
    folder.settings.write_text(json.dumps(record))
    assert read_settings(folder).num_shards == 4
