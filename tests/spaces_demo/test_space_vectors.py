"""Vectors of the bundled passages: kept, found again, and as good as reading the passages anew."""

import pytest
import torch
from loading import Checkpoint
from passage_vectors import NUM_KEPT, passage_vectors
from passages import Passage
from reranking import Collection, TextScorer, VectorScorer, rerank

from modeling_twolar import load_reranker
from retrieval.model_files import model_path
from tests.conftest import PLANETS

TEXTS = [text for _, text in PLANETS]
PASSAGES = [Passage(docid, "", text) for docid, text in PLANETS]


@pytest.fixture(scope="module")
def minilm():
    return load_reranker(model_path("all-MiniLM-L6-v2"))


def test_kept_vectors_give_the_ranking_that_reading_the_passages_gives(minilm, tmp_path):
    kept = VectorScorer(minilm, passage_vectors(minilm, TEXTS, tmp_path), PASSAGES)
    places = [9, 3, 0, 7]
    read = TextScorer(minilm, PASSAGES).rank("which planet is red", places)
    ranked = kept.rank("which planet is red", places)
    assert [entry["corpus_id"] for entry in ranked] == [entry["corpus_id"] for entry in read]
    assert [entry["score"] for entry in ranked] == pytest.approx([entry["score"] for entry in read], rel=1e-3)
    assert kept.cosines("which planet is red").argmax() == 3


def test_the_nearest_words_are_those_that_the_vectors_say(minilm, tmp_path, monkeypatch):
    passages = [
        Passage("1", "Titled", "Saturn has rings. " * 100),
        Passage("2", "", "Removing a directory tree."),
    ]
    contents = [passage.contents for passage in passages]
    kept = VectorScorer(minilm, passage_vectors(minilm, contents, tmp_path), passages)
    (rings,) = {found[:2] for found in kept.nearest("the ring", 0)}
    assert rings == ("ring", "rings")
    found = kept.nearest("how do I delete a folder, the?", 1)
    assert [pair[:2] for pair in found] == [("delete", "Removing"), ("folder", "directory")]
    assert [contents[1][start:].startswith(word) for _, word, start in found] == [True, True]
    assert kept.nearest("ring " * 400, 0) == []
    monkeypatch.setattr(minilm.config, "late_interaction", False)
    assert kept.nearest("the ring", 0) == ()


def test_a_question_is_encoded_once_for_all_steps(minilm, tmp_path, monkeypatch):
    calls = []
    encode = minilm.encode_query
    monkeypatch.setattr(minilm, "encode_query", lambda query: calls.append(query) or encode(query))
    monkeypatch.setattr("loading.CACHE", tmp_path)
    over = Collection.of("planets", PASSAGES, is_bundled=True)
    scorer = Checkpoint("minilm", minilm, over).over(over)
    reranking = rerank("which planet is red", over, scorer)
    assert scorer.nearest("which planet is red", reranking.passages[0].index)
    assert calls == ["which planet is red"]


def test_passages_are_encoded_once_for_the_same_weights_and_texts(minilm, tmp_path, monkeypatch):
    calls = []
    encode = minilm.encode_passages
    monkeypatch.setattr(minilm, "encode_passages", lambda texts: calls.append(len(texts)) or encode(texts))
    for texts in (TEXTS[:2], TEXTS[:2], TEXTS[:3]):
        passage_vectors(minilm, texts, tmp_path)
    with torch.no_grad():
        minilm.head.weight.mul_(2.0)
        passage_vectors(minilm, TEXTS[:2], tmp_path)
        minilm.head.weight.div_(2.0)
    assert calls == [2, 3, 2]


def test_an_encoding_that_ends_early_leaves_nothing_and_old_ones_go(minilm, tmp_path, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(minilm, "encode_passages", lambda texts: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            passage_vectors(minilm, TEXTS[:1], tmp_path)
    assert list(tmp_path.iterdir()) == []
    for count in range(1, NUM_KEPT + 3):
        passage_vectors(minilm, TEXTS[:count], tmp_path)
    assert len(list(tmp_path.iterdir())) == NUM_KEPT
