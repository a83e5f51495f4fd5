"""Which builds share a folder: what means the same, and what a refused one leaves behind."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dataset_builder.build import settings as build_settings
from dataset_builder.build.claim import Refused, claimed, corpus_version
from dataset_builder.build.execution import Execution
from dataset_builder.build.folder import BuildFolder
from dataset_builder.build.settings import BuildSettings
from dataset_builder.language_models.access import TeacherAccess
from dataset_builder.pipeline.identity import begun_contents, build_identity, settled
from dataset_builder.pipeline.run import build
from retrieval import content
from retrieval.errors import InputError
from retrieval.model_files import model_path

ROOT = Path(__file__).parents[2]


@pytest.fixture
def settings(planets, tmp_path):
    return BuildSettings(
        corpus=str(planets),
        num_queries=8,
        query_types=["cropped"],
        retrievers=["minilm"],
        num_passages=3,
        teacher="rank-fusion",
        encoder="all-MiniLM-L6-v2",
        test_fraction=0.25,
        seed=42,
        output_dir=str(tmp_path / "out"),
    )


def claim(settings, body=lambda: None):
    """Begin or continue a build, as far as its claim."""
    folder = BuildFolder(Path(settings.output_dir))
    contents = begun_contents(folder)
    settings = settled(settings, folder, contents)
    identity = build_identity(settings, contents)
    with claimed(folder, settings, identity, contents.looked_at):
        body()


def run(settings):
    build(BuildFolder(Path(settings.output_dir)), settings, TeacherAccess(), Execution())


def changed(settings, **changes):
    return dataclasses.replace(settings, **changes)


def test_the_same_corpus_by_another_path_or_time_is_the_same(settings, planets, tmp_path, monkeypatch):
    claim(settings)
    monkeypatch.chdir(tmp_path)
    claim(changed(settings, corpus="./corpus.jsonl"))
    os.utime(planets, (1, 1))
    claim(changed(settings, corpus="corpus.jsonl"))
    shutil.move(planets, tmp_path / "moved.jsonl")
    claim(changed(settings, corpus="moved.jsonl"))


def test_another_corpus_under_the_same_name_is_refused(settings, planets):
    claim(settings)
    times = planets.stat()
    planets.write_text(planets.read_text().replace("smallest", "greatest"))
    os.utime(planets, ns=(times.st_atime_ns, times.st_mtime_ns + 1))
    with pytest.raises(InputError, match=r"holds another build \(corpus '\w{16}' → '\w{16}'\)"):
        claim(settings)


def test_a_corpus_of_several_files_is_what_they_hold_in_their_order(settings, planets, tmp_path, monkeypatch):
    monkeypatch.chdir(planets.parent)
    Path("extra.jsonl").write_text('{"_id": "x", "text": "Pluto is a dwarf planet."}\n')
    claim(changed(settings, corpus="corpus.jsonl,extra.jsonl"))
    claim(changed(settings, corpus=f"{planets.parent}/[ce]*.jsonl"))
    Path("extra.jsonl").write_text('{"_id": "x", "text": "Pluto is a planet."}\n')
    for others in ("corpus.jsonl,extra.jsonl", "extra.jsonl,corpus.jsonl", "corpus.jsonl"):
        with pytest.raises(InputError, match=r"holds another build \(corpus '\w{16}' → '\w{16}'\)"):
            claim(changed(settings, corpus=others))


def test_of_a_folder_only_what_is_read_tells_it_from_others(settings, planets, tmp_path):
    claim(settings)
    (planets.parent / "notes.txt").write_text("mine")
    claim(changed(settings, corpus=str(planets.parent)))


def test_texts_are_told_apart_by_their_names_which_are_their_ids(settings, tmp_path):
    texts = changed(settings, corpus=str(tmp_path / "texts"))
    (tmp_path / "texts").mkdir()
    named = tmp_path / "texts" / "mars.txt"
    named.write_text("Mars is red.")
    claim(texts)
    named.rename(named.with_name("planet.txt"))
    with pytest.raises(InputError, match=r"holds another build \(corpus"):
        claim(texts)


def test_a_corpus_that_was_not_touched_is_read_only_once(settings, monkeypatch):
    claim(settings)
    monkeypatch.setattr(content, "_digest", lambda *_: pytest.fail("read again"))
    monkeypatch.setattr(
        "dataset_builder.pipeline.identity.model_revision", lambda *_: pytest.fail("read again")
    )
    claim(settings)


def test_a_build_of_other_settings_is_refused_by_name_and_a_licence_may_change(settings):
    claim(settings)
    claim(changed(settings, license="mit"))
    with pytest.raises(InputError, match=r"holds another build \(seed 42 → 7\)"):
        claim(changed(settings, seed=7))


def test_other_weights_under_the_same_name_are_another_build(settings, tmp_path):
    encoder = shutil.copytree(model_path("all-MiniLM-L6-v2"), tmp_path / "encoder", symlinks=False)
    mine = changed(settings, encoder=str(encoder))
    claim(mine)
    claim(changed(settings, encoder=f"{tmp_path}/./encoder"))
    (encoder / "config.json").write_text((encoder / "config.json").read_text() + "\n")
    with pytest.raises(InputError, match=r"holds another build \(revision of encoder"):
        claim(mine)


def test_other_words_in_a_prompt_are_another_build(settings, monkeypatch):
    asked = changed(settings, teacher="openai:gpt-4o-mini")
    claim(asked, lambda: label_one_pool(settings))
    monkeypatch.setattr("dataset_builder.teachers.prompt.wording", lambda name: f"new {name}")
    with pytest.raises(InputError, match=r"holds another build \(ranking prompt"):
        claim(asked)


def label_one_pool(settings):
    rankings = BuildFolder(Path(settings.output_dir)).rankings(0)
    rankings.parent.mkdir()
    rankings.write_text("")


def test_how_labels_are_asked_for_may_change_until_the_first_is_made(settings):
    claim(settings)
    asked = changed(settings, temperature=None, max_words=50, max_tokens=900)
    claim(asked, lambda: label_one_pool(settings))
    with pytest.raises(InputError, match=r"\(max_tokens 900 → .*max_words 50 → 300"):
        claim(settings)
    record = json.loads(BuildFolder(Path(settings.output_dir)).settings.read_text())
    assert record["max_words"] == 50


def test_a_build_of_the_release_before_continues(settings, planets):
    folder = BuildFolder(Path(settings.output_dir))
    folder.build.mkdir(parents=True)
    record = dataclasses.asdict(settings) | {"corpus_version": corpus_version(settings.corpus)}
    for name in ("output_dir", "language", "queries", "answer_format"):
        del record[name]
    record["structured"] = False
    folder.settings.write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"\(num_passages 3 → 4\)"):
        claim(changed(settings, num_passages=4))
    claim(settings)
    continued = json.loads(folder.settings.read_text())
    assert (continued["language"], continued["answer_format"]) == ("en", "text")
    os.utime(planets, (1, 1))
    claim(settings)


@pytest.mark.parametrize(
    ("changes", "corpus", "message"),
    [
        ({}, '{"_id": "a", "text": "x"}\nnot json\n', "line 2: not JSON"),
        ({}, '{"_id": "a", "text": "x"}\n{"_id": "a", "text": "y"}\n', "both have the id 'a'"),
        ({"corpus": "none.jsonl"}, None, "does not exist"),
        ({"corpus": "none.jsonl", "language": "en"}, None, "does not exist"),
        ({"encoder": "no/such-model"}, None, "model no/such-model cannot be loaded"),
        ({"num_queries": 900}, None, "yields only"),
        ({"num_queries": 1}, None, "1 source passages cannot give a test split"),
    ],
)
def test_a_refused_build_leaves_no_folder(settings, planets, changes, corpus, message):
    if corpus:
        planets.write_text(corpus)
    with pytest.raises(InputError, match=message):
        run(changed(settings, **changes))
    assert not Path(settings.output_dir).exists()


def test_a_refused_build_keeps_answers_that_were_paid_for_and_the_next_one_may_use_them(settings):
    folder = BuildFolder(Path(settings.output_dir))

    def refuse():
        folder.answers.mkdir()
        (folder.answers / "paid.sqlite").write_text("an answer")
        folder.passages.write_text("half a store")
        raise Refused("too few queries")

    with pytest.raises(InputError, match="too few queries"):
        claim(settings, refuse)
    assert [path.name for path in folder.build.iterdir() if path.is_dir()] == ["answers"]
    assert not folder.passages.exists()
    claim(changed(settings, num_queries=9))


def test_a_folder_of_other_files_is_left_as_it_is(settings):
    thesis = Path(settings.output_dir) / "thesis.txt"
    thesis.parent.mkdir()
    thesis.write_text("mine")
    with pytest.raises(InputError, match="is not empty and holds no build"):
        claim(settings)
    assert [path.name for path in thesis.parent.iterdir()] == ["thesis.txt"]


def test_the_second_of_two_builds_at_once_says_who_holds_the_folder(settings):
    folder = BuildFolder(Path(settings.output_dir))
    held = (
        "import sys; from pathlib import Path; from dataset_builder.build.folder import BuildFolder;"
        "from dataset_builder.build.lock import sole_builder; import os, time\n"
        "with sole_builder(BuildFolder(Path(sys.argv[1]))):\n"
        "    if os.fork() == 0: time.sleep(20); os._exit(0)\n"  # as datatrove's manager, which outlives a kill
        "    print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", held, settings.output_dir]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(InputError, match=rf"is being built by process {other.pid} on .*; wait for it"):
            claim(settings)
        other.kill()
    claim(settings)
    assert not folder.holder.exists()


def test_a_changed_licence_reaches_the_card_of_a_finished_build(settings):
    run(settings)
    run(changed(settings, license="mit"))
    card = (Path(settings.output_dir) / "README.md").read_text()
    assert "license: mit" in card


def write_queries(path, *rows):
    path.write_text("".join(json.dumps({"_id": query_id, "text": text}) + "\n" for query_id, text in rows))
    return str(path)


def test_one_s_own_queries_make_a_dataset_by_their_own_ids(settings, tmp_path):
    import pandas

    rows = [
        ("a", "which planet is red"),
        ("b", "rings of ice"),
        ("c", "Rings  of ice"),
        ("e", "who found it"),
    ]
    given = build_settings.load_profile(
        "offline",
        {
            "queries": write_queries(tmp_path / "mine.jsonl", *rows), "corpus": settings.corpus,
            "output_dir": settings.output_dir, "retrievers": ["minilm"], "teacher": "rank-fusion",
            "num_passages": 3, "test_fraction": 0.34,
        },
    )  # fmt: skip
    assert (given.query_types, given.num_queries) == (["given"], 4)
    run(given)
    files = sorted((Path(settings.output_dir) / "data").glob("*.parquet"))
    table = pandas.concat([pandas.read_parquet(file) for file in files])
    assert sorted(table["query_id"]) == ["a", "b", "e"] and set(table["source_docid"]) == {""}
    assert len(pandas.read_parquet(files[0])) == 1  # of the test split
    counts = json.loads(BuildFolder(Path(settings.output_dir)).query_counts().read_text())
    assert {name: count for name, count in counts["given"].items() if count} == {"kept": 3, "duplicate": 1}
    before = {file.name: file.read_bytes() for file in files}
    run(given)
    assert {file.name: file.read_bytes() for file in (files[0].parent).glob("*")} == before
    moved = shutil.move(given.queries, tmp_path / "moved.jsonl")
    run(changed(given, queries=str(moved)))
    write_queries(Path(moved), *rows[:2])
    with pytest.raises(InputError, match="--queries has no longer the query 'e' of this build"):
        run(changed(given, queries=str(moved)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"query_types": ["given"]}, "'given' needs --queries: a queries.jsonl"),
        ({"queries": "none.jsonl", "query_types": ["given"]}, "none.jsonl does not exist"),
        ({"queries": "mine.tsv"}, "--queries are of the type 'given'"),
    ],
)
def test_own_queries_that_are_not_there_are_named(settings, changes, message):
    with pytest.raises(InputError, match=message):
        run(changed(settings, **changes))
    assert not Path(settings.output_dir).exists()
