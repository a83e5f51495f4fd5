"""Which passages of a method's list make a pool."""

import json

import pytest
from datasets import load_dataset

from dataset_builder.build.settings import load_profile
from dataset_builder.pools.choosing import choose
from dataset_builder.ranking_example import RetrievedPassage
from retrieval.errors import InputError
from retrieval.records import Passage
from tests.command_line import run_module


def chosen(texts, source="", **settings):
    """The ranks of the pool that settings make of passages with these texts, `d1` to the last."""
    found = [RetrievedPassage(Passage(f"d{rank}", "", text), rank, -rank) for rank, text in texts]
    pool = choose(found, source, load_profile("offline", {"language": "en", **settings}))
    return [one.retriever_rank for one in pool]


TWENTY = [(rank, f"passage number {rank} speaks of {rank} other things") for rank in range(1, 21)]


def test_by_default_a_pool_is_the_head_of_the_list():
    assert chosen(TWENTY, "d20", num_passages=5) == [1, 2, 3, 4, 5]


def test_head_and_band_are_spread_evenly_down_to_the_depth():
    ranks = chosen(TWENTY, num_passages=8, pool_head=4, pool_depth=20)
    assert ranks == [1, 2, 3, 4, 7, 11, 15, 19]


def test_a_short_list_gives_all_it_has():
    assert chosen(TWENTY[:6], num_passages=8, pool_head=4, pool_depth=20) == [1, 2, 3, 4, 5, 6]


def test_the_source_passage_is_in_or_out_as_asked():
    assert chosen(TWENTY, "d2", num_passages=4, source_passage="out") == [1, 3, 4, 5]
    assert chosen(TWENTY, "d9", num_passages=4, source_passage="in") == [1, 2, 3, 9]
    assert chosen(TWENTY, "d2", num_passages=4, source_passage="in") == [1, 2, 3, 4]
    assert chosen(TWENTY, "elsewhere", num_passages=4, source_passage="in") == [1, 2, 3, 4]
    assert chosen(TWENTY, "d10", num_passages=6, pool_head=3, pool_depth=20, source_passage="in") == [
        1, 2, 3, 6, 10, 12,
    ]  # fmt: skip


def test_of_near_duplicates_the_first_stays_or_the_source():
    texts = [
        (1, "Iron in its dust gives the surface of the planet a red colour."),
        (2, "Jupiter is the largest planet of all."),
        (3, "Iron, in its dust, gives the surface of the planet a RED colour!"),
        (4, "Short."),
        (5, "short"),
        (6, "Saturn has rings of ice and rock."),
    ]
    assert chosen(texts, num_passages=6) == [1, 2, 3, 4, 5, 6]
    assert chosen(texts, num_passages=6, near_duplicates=0.8) == [1, 2, 4, 6]
    assert chosen(texts, "d3", num_passages=6, near_duplicates=0.8, source_passage="in") == [2, 3, 4, 6]
    assert chosen(texts, "d3", num_passages=6, near_duplicates=0.8) == [1, 2, 4, 6]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pool_head": 31}, "--pool_head is 31"),
        ({"pool_head": 10}, "give a --pool_depth above --num_passages 30"),
        ({"pool_depth": 20}, "--pool_depth is 20, less than the 30"),
        ({"source_passage": "maybe"}, "give one of found, in, out"),
        ({"near_duplicates": 0.0}, "--near_duplicates is 0.0"),
    ],
)
def test_a_choice_that_cannot_be_made_is_refused(settings, message):
    with pytest.raises(InputError, match=message):
        load_profile("offline", settings)


def test_a_build_without_sources_in_pools_or_among_judged_passages(planets, tmp_path):
    with planets.open() as file:
        docids = [json.loads(line)["_id"] for line in file]
    judged = docids[: len(docids) // 2]
    qrels = tmp_path / "qrels.txt"
    qrels.write_text("".join(f"q1 0 {docid} 0\n" for docid in judged))
    result = run_module(
        "dataset_builder", "build", "--profile", "offline", "--corpus", planets, "--query_types", "cropped",
        "--retrievers", "bm25", "--teacher", "rank-fusion", "--num_queries", "8", "--num_passages", "4",
        "--test_fraction", "0", "--source_passage", "out", "--exclude_sources", qrels,
        "--output_dir", tmp_path / "out", "--artifacts", tmp_path / "artifacts",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    rows = list(load_dataset(str(tmp_path / "out"), split="train"))
    # A query whose words no other passage has is left without a pool.
    assert len(rows) >= 6
    assert not {row["source_docid"] for row in rows} & set(judged)
    assert all(row["source_docid"] not in {p["docid"] for p in row["retrieved_passages"]} for row in rows)
    # Ranks stay those of the method's list, from which one passage is missing.
    assert all(min(p["retriever_rank"] for p in row["retrieved_passages"]) == 2 for row in rows)
    card = (tmp_path / "out" / "README.md").read_text()
    assert "| which of those found | without the query's own passage |" in card
    assert "dropped: passage judged in an evaluation set |" in card


def test_judgments_that_are_missing_are_refused_before_the_build(planets, tmp_path):
    result = run_module(
        "dataset_builder", "build", "--corpus", planets, "--exclude_sources", "missing.tsv",
        "--output_dir", tmp_path / "out",
    )  # fmt: skip
    assert (result.returncode, (tmp_path / "out").exists()) == (2, False)
    assert "missing.tsv" in result.stderr
