"""The two stages over scripted scores, and the HTML that shows them."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from demo import own_collection
from late_interaction import Nearest
from loading import load_checkpoint
from passages import InputError, Passage
from reranking import Collection, TextScorer, reordered, rerank
from results_html import marked, results_html, title_of

HOSTILE = '<img src=x onerror="alert(1)"> red & planet'


class LastFirst:
    """A reranker that turns the candidates around."""

    def rank(self, query, passages):
        return [{"corpus_id": i, "score": float(i)} for i in reversed(range(len(passages)))]


class ShortestFirst:
    def rank(self, query, passages):
        order = sorted(range(len(passages)), key=lambda index: len(passages[index]))
        return [{"corpus_id": index, "score": -float(len(passages[index]))} for index in order]


class LikeLast(TextScorer):
    """Has vectors: the last passage is most like any query."""

    def cosines(self, query):
        return np.arange(len(self._passages), dtype=np.float32)


def collection(*texts):
    return Collection.of("texts", [Passage(str(number), "", text) for number, text in enumerate(texts)])


def reranked(query, texts, scorer=TextScorer, model=None):
    over = collection(*texts)
    return rerank(query, over, scorer(model or LastFirst(), over.passages))


def test_where_a_passage_stood_among_all_before_is_kept():
    reranking = reranked("red planet", ["blue sea", "a red planet", "reds"], LikeLast)
    places = [
        (ranked.passage.docid, ranked.rank, ranked.bm25_rank, ranked.cosine_rank)
        for ranked in reranking.passages
    ]
    assert sorted(places, key=lambda place: place[1]) == places
    assert {place[0]: place[2:] for place in places} == {"0": (None, 3), "1": (1, 2), "2": (2, 1)}
    assert list(reranking.seconds) == ["BM25", "cosine", "TWOLAR"]


def test_words_are_matched_by_their_stems():
    reranking = reranked("deleting folders", ["delete a folder", "blue"])
    assert {ranked.passage.docid: ranked.bm25_rank for ranked in reranking.passages} == {"0": 1, "1": None}


def test_of_a_large_collection_at_most_fifty_passages_that_share_a_word_are_reranked():
    texts = ["red"] * 60 + ["blue"] * 60
    assert len(reranked("red", texts).passages) == 50
    assert len(reranked("red", ["red", *texts[60:]]).passages) == 1
    with pytest.raises(InputError, match="No passage shares a word"):
        reranked("green", texts)


def test_the_best_by_words_and_the_best_by_cosine_are_candidates():
    texts = ["red"] * 60 + ["blue"] * 60
    found = {int(ranked.passage.docid) for ranked in reranked("red", texts, LikeLast).passages}
    assert found == {*range(25), *range(95, 120)}


@pytest.mark.parametrize("query", ["?", "the", "green"])
@pytest.mark.parametrize("texts", [("red", "blue"), ("the", "?"), ("x",)])
def test_a_small_collection_is_reranked_even_where_no_word_matches(query, texts):
    assert [ranked.bm25_rank for ranked in reranked(query, texts).passages] == [None] * len(texts)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (" ", "is empty"),
        ("q" * 501, "shorten it to 500"),
        ("\ud800", "not valid text"),
        (None, "is no text"),
    ],
)
def test_a_query_that_is_empty_too_long_or_no_text_is_refused(query, message):
    with pytest.raises(InputError, match=message):
        reranked(query, ["red"])


def test_own_passages_are_named_by_where_they_come_from(tmp_path):
    (tmp_path / "mine.txt").write_text("blue\n")
    both = own_collection("red", str(tmp_path / "mine.txt"))
    assert (both.name, len(both.passages)) == ("the pasted passages and mine.txt", 2)
    with pytest.raises(InputError, match="no passages of your own yet"):
        own_collection(" ", None)


def test_matched_words_are_marked_and_everything_else_is_escaped():
    assert marked(HOSTILE, frozenset({"red", "img"})) == (
        "&lt;<mark>img</mark> src=x onerror=&quot;alert(1)&quot;&gt; <mark>red</mark> &amp; planet"
    )


def test_nearest_words_are_underlined_and_those_that_differ_are_named():
    passages = [Passage("1", "A title", "red <b> crimson"), Passage("2", "", "red")]
    reranking = rerank("red", Collection.of("texts", passages), TextScorer(LastFirst(), passages))
    first = passages[0].contents
    nearest = {0: [Nearest("red", word, first.index(word)) for word in ("red", "crimson")]}
    html = results_html(reranking, nearest=nearest)
    assert "<u><mark>red</mark></u> &lt;b&gt; <u>crimson</u>" in html
    assert html.count("<u>") == 3 and "<u>Underlined</u>: nearest" in html
    assert html.count("≈") == 1 and "red ≈ crimson" in html
    assert "<u>" not in results_html(reranking, nearest={0: []})


@pytest.mark.parametrize(
    ("docid", "title", "shown"),
    [
        ("builtins.str.split", "str split", "builtins.str.split"),
        ("os.cpu_count", "os cpu count", "os.cpu_count"),
        ("42", "Mars", "Mars"),
        ("42", "", "42"),
    ],
)
def test_a_title_that_spells_the_identifier_is_shown_as_the_identifier(docid, title, shown):
    assert title_of(docid, title) == shown


def test_markup_in_passages_query_and_names_is_shown_as_text():
    long = HOSTILE + " planet" * 100
    passages = [Passage(HOSTILE, "", "red"), Passage("2", HOSTILE, HOSTILE), Passage("3", "", long)]
    over = Collection.of(HOSTILE, passages)
    scorer = TextScorer(LastFirst(), passages)
    reranking = rerank(HOSTILE, over, scorer)
    assert "<img" not in results_html(reranking, (HOSTILE, reordered(reranking, HOSTILE, scorer)))


def test_each_passage_shows_whether_it_rose():
    html = results_html(reranked("red", ["red", "red", "red", "blue"]))
    ranked, bm25 = html.split('class="other"')
    assert ["▲ BM25: no shared word" in ranked, "▲ BM25 3" in ranked, "▼ BM25 1" in ranked] == [True] * 3
    assert [bm25.count(f"TWOLAR {rank}</span>") for rank in (1, 2, 3, 4)] == [0, 1, 1, 1]


def test_bars_run_from_the_lowest_score_to_the_highest():
    html = results_html(reranked("red", ["red", "red", "red"]))
    assert [f"width:{percent}%" in html for percent in (0, 50, 100)] == [True] * 3


def test_a_second_checkpoint_stands_beside_over_the_same_candidates():
    reranking = reranked("red", ["red red", "red red red", "red"])
    both = reordered(reranking, "second", TextScorer(ShortestFirst(), reranking.collection.passages))
    assert [ranked.passage.docid for ranked in both.passages] == ["2", "0", "1"]
    html = results_html(reranking, ("second", both))
    assert "second’s order" in html and "BM25’s order" not in html and " · second " in html


def test_on_zero_gpu_each_ranking_borrows_the_gpu_and_nothing_ranks_before(checkpoint, monkeypatch):
    borrowed = []

    def gpu(rank):
        return lambda query, passages: borrowed.append(query) or rank(query, passages)

    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=gpu))
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    reranking = reranked("red", ["red", "blue"], model=load_checkpoint(str(checkpoint)))
    assert borrowed == ["red"]
    assert reranking.passages[0].passage.text == "red"
