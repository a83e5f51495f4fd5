"""A build grows by further queries: its rows stay, and nothing is encoded, searched or asked for again."""

import dataclasses
import json

import pandas
import pytest

from dataset_builder.build.execution import Execution
from dataset_builder.build.folder import BuildFolder, read_queries
from dataset_builder.build.settings import load_profile
from dataset_builder.language_models.access import TeacherAccess
from dataset_builder.pipeline.run import build
from dataset_builder.pools import methods
from retrieval.errors import InputError
from tests.dataset_builder.test_artifacts import CountingEncoder
from tests.teachers.llm_server import StandInServer
from tests.teachers.llm_stand_in import StandIn


@pytest.fixture
def encoder(monkeypatch):
    counting = CountingEncoder()
    monkeypatch.setattr(methods, "cosine_encoder", lambda *_: counting)
    monkeypatch.setattr("dataset_builder.pools.filling.free_models", lambda: None)
    return counting


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "unused")
    with StandInServer(StandIn()) as running:
        yield running


@pytest.fixture
def built(planets, tmp_path, encoder, server):
    """Builds with these changes, and returns the folder."""
    settings = load_profile(
        "offline",
        {
            "corpus": str(planets), "num_queries": 8, "query_types": ["cropped", "keywords"], "num_passages": 3,
            "retrievers": ["minilm"], "teacher": "openai:x", "answer_format": "text", "test_fraction": 0.3,
            "num_shards": 2,
        },
    )  # fmt: skip

    def run(name, **changes):
        own = dataclasses.replace(settings, output_dir=str(tmp_path / name), **changes)
        folder, execution = BuildFolder(tmp_path / name), Execution(artifacts=str(tmp_path / "artifacts"))
        build(folder, own, TeacherAccess(server.url, answers=changes.pop("answers", "")), execution)
        return folder

    return run


def rows(folder):
    """Each row as it is in Parquet, by its split and query."""
    tables = {path.name.split("-")[0]: pandas.read_parquet(path) for path in folder.data.glob("*.parquet")}
    return {
        (split, row["query_id"]): json.dumps(row, default=lambda value: value.tolist())
        for split, table in tables.items()
        for row in table.to_dict("records")
    }


def shards(folder, *numbers):
    paths = [path(number) for path in (folder.pools, folder.rankings, folder.poolless) for number in numbers]
    return [path.read_bytes() for path in paths]


def test_more_queries_are_added_and_of_the_old_ones_nothing_is_done_again(built, encoder, server):
    folder = built("first")
    before, files = rows(folder), shards(folder, 0, 1)
    encoded, searched, answered = encoder.encoded, encoder.asked, server.stand_in.counts()["answered"]
    built("first", num_queries=15, query_types=["cropped=6", "keywords=9"])
    grown = rows(folder)
    assert len(before) == 8 and len(grown) == 15
    assert before.items() <= grown.items()
    assert {split for split, _ in grown.keys() - before.keys()} == {"train", "test"}
    assert (encoder.encoded - encoded, encoder.asked - searched) == (0, 7)
    assert server.stand_in.counts()["answered"] == answered + 7
    assert shards(folder, 0, 1) == files
    ids = [query.query_id for query in read_queries(folder.queries)]
    assert ids[8:] == ["cropped-4", "cropped-5", *(f"keywords-{number}" for number in range(4, 9))]
    assert len({query.text for query in read_queries(folder.queries)}) == 15
    counts = json.loads(folder.query_counts(1).read_text())
    assert {name: count["kept"] for name, count in counts.items()} == {"cropped": 6, "keywords": 9}
    assert "15 queries, each" in folder.card.read_text()
    with pytest.raises(InputError, match=r"holds another build .*num_queries 15 → 8"):
        built("first", num_queries=8)


def test_a_build_that_shares_queries_and_pools_grows_without_touching_them(built):
    built("first", teacher="rank-fusion")
    folder = built("second")
    shared, before = folder.pools(0).resolve().parents[1], rows(folder)
    assert shared.parent.name == "artifacts"
    files = {path: path.read_bytes() for path in [*shared.glob("*.json*"), *shared.glob("pools/*")]}
    built("second", num_queries=12)
    assert before.items() <= rows(folder).items()
    assert folder.pools(0).resolve() == folder.pools(0)
    assert files == {path: path.read_bytes() for path in [*shared.glob("*.json*"), *shared.glob("pools/*")]}


def test_a_corpus_too_small_for_more_queries_leaves_the_build_as_it_was(built):
    folder = built("first", teacher="rank-fusion")
    before = {path.name: path.read_bytes() for path in [folder.card, *folder.data.iterdir()]}
    with pytest.raises(InputError, match=r"yields only .* distinct cropped queries of the 250 asked for"):
        built("first", num_queries=500, teacher="rank-fusion")
    built("first", teacher="rank-fusion")
    assert {path.name: path.read_bytes() for path in [folder.card, *folder.data.iterdir()]} == before
    built("first", num_queries=10, teacher="rank-fusion")
    assert len(rows(folder)) == 10


def test_own_queries_grow_by_what_is_added_to_their_file(built, tmp_path, server):
    mine, texts = (
        tmp_path / "mine.tsv",
        ["red planet", "rings of ice", "red planet", "largest moon", "gas giant"],
    )
    given = {"queries": str(mine), "query_types": ["given"], "test_fraction": 0.0}

    def write(*numbers):
        mine.write_text("".join(f"q{number}\t{texts[number]}\n" for number in numbers))

    write(0, 1, 2)
    folder = built("first", num_queries=3, **given)
    before, answered = rows(folder), server.stand_in.counts()["answered"]
    write(3, 0, 1, 2, 4)
    built("first", num_queries=5, **given)
    assert before.items() <= rows(folder).items()
    assert [query.query_id for query in read_queries(folder.queries)] == ["q0", "q1", "q3", "q4"]
    assert server.stand_in.counts()["answered"] == answered + 2
    assert json.loads(folder.query_counts(1).read_text())["given"]["duplicate"] == 1
    write(0, 2, 3, 4)
    with pytest.raises(
        InputError, match="--queries has no longer the query 'q1' of this build, 'rings of ice'"
    ):
        built("first", num_queries=6, **given)
