"""The two stages over scripted scores, and the HTML that shows them."""

import sys
from types import SimpleNamespace

import app
import pytest
from passages import InputError, Passage
from reranking import FirstStage, beside, rerank
from results_html import marked, results_html

HOSTILE = '<img src=x onerror="alert(1)"> red & planet'


class LastFirst:
    """A reranker that turns the candidates around."""

    def rank(self, query, passages):
        return [{"corpus_id": i, "score": float(i)} for i in reversed(range(len(passages)))]


def collection(*texts):
    return FirstStage([Passage(str(number), "", text) for number, text in enumerate(texts)])


def test_both_ranks_and_scores_of_a_passage_are_kept():
    reranking = rerank("red planet", collection("blue sea", "a red planet", "red"), LastFirst())
    ranks = [(entry.passage.docid, entry.other_rank, entry.rank) for entry in reranking.passages]
    assert ranks == [("0", 3, 1), ("2", 2, 2), ("1", 1, 3)]
    assert [entry.score for entry in reranking.passages] == [2.0, 1.0, 0.0]


def test_of_a_large_collection_at_most_fifty_passages_that_share_a_word_are_reranked():
    texts = ["red"] * 60 + ["blue"] * 60
    assert len(rerank("red", collection(*texts), LastFirst()).passages) == 50
    assert len(rerank("red", collection("red", *texts[60:]), LastFirst()).passages) == 1
    with pytest.raises(InputError, match="No passage shares a word"):
        rerank("green", collection(*texts), LastFirst())


@pytest.mark.parametrize("query", ["?", "the", "green"])
@pytest.mark.parametrize("texts", [("red", "blue"), ("the", "?"), ("x",)])
def test_a_small_collection_is_reranked_even_where_no_word_matches(query, texts):
    reranking = rerank(query, collection(*texts), LastFirst())
    assert [entry.other_score for entry in reranking.passages] == [0.0] * len(texts)


@pytest.mark.parametrize(
    ("query", "message"),
    [(" ", "is empty"), ("q" * 501, "shorten it to 500"), ("\ud800", "not valid text")],
)
def test_a_query_that_is_empty_too_long_or_no_text_is_refused(query, message):
    with pytest.raises(InputError, match=message):
        rerank(query, collection("red"), LastFirst())


def test_matched_words_are_marked_and_everything_else_is_escaped():
    assert marked(HOSTILE, frozenset({"red", "img"})) == (
        "&lt;<mark>img</mark> src=x onerror=&quot;alert(1)&quot;&gt; <mark>red</mark> &amp; planet"
    )


def test_markup_in_passages_and_query_is_shown_as_text():
    long = HOSTILE + " planet" * 100
    passages = [Passage(HOSTILE, "", "red"), Passage("2", HOSTILE, HOSTILE), Passage("3", "", long)]
    html = results_html(HOSTILE, rerank(HOSTILE, FirstStage(passages), LastFirst()), linkable=True)
    assert "<img" not in html
    assert 'href="?q=%3Cimg' in html


def test_each_passage_shows_how_far_it_moved():
    html = results_html("red", rerank("red", collection("red", "red", "red"), LastFirst()), linkable=False)
    first_stage, reranked = html.split('class="reranked"')
    assert [first_stage.count(f"→ {rank}</span>") for rank in (1, 2, 3)] == [1, 1, 1]
    assert ["▲2" in reranked, ">=</span>" in reranked, "▼2" in reranked] == [True, True, True]


def test_bars_run_from_the_lowest_score_to_the_highest():
    html = results_html("red", rerank("red", collection("red", "red", "red"), LastFirst()), linkable=False)
    reranked = html.split('class="reranked"')[1]
    widths = [part.split("%")[0] for part in reranked.split("width:")[1:]]
    assert widths == ["100", "50", "0"]


def test_a_second_checkpoint_stands_beside_over_the_same_candidates():
    class ShortestFirst:
        def rank(self, query, passages):
            order = sorted(range(len(passages)), key=lambda index: len(passages[index]))
            return [{"corpus_id": index, "score": -float(len(passages[index]))} for index in order]

    reranking = rerank("red", collection("red red", "red red red", "red"), LastFirst())
    both = beside(reranking, "red", ShortestFirst())
    ranks = {
        entry.passage.docid: (entry.other_rank, entry.other_score, entry.rank) for entry in both.passages
    }
    before = {entry.passage.docid: entry.rank for entry in reranking.passages}
    assert ranks == {"2": (1, -3.0, before["2"]), "0": (2, -7.0, before["0"]), "1": (3, -11.0, before["1"])}
    html = results_html("red", both, linkable=False, other="<b>second</b>")
    assert "<h2>&lt;b&gt;second&lt;/b&gt;</h2>" in html and "<b>second" not in html


def test_on_zero_gpu_each_ranking_borrows_the_gpu_and_nothing_ranks_before(checkpoint, monkeypatch):
    borrowed = []

    def gpu(rank):
        return lambda query, passages: borrowed.append(query) or rank(query, passages)

    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=gpu))
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    reranking = rerank("red", collection("red", "blue"), app._load_checkpoint(str(checkpoint)))
    assert borrowed == ["red"]
    assert reranking.passages[0].passage.text == "red"
