import hashlib
import random

import pytest

from dataset_builder.queries.cropped import cropped_sentence
from dataset_builder.queries.keywords import Keywords
from dataset_builder.queries.sampler import QuerySampler, one_by_one
from retrieval.corpus import read_corpus
from retrieval.errors import InputError
from retrieval.passage_store import PassageStore
from retrieval.records import Passage


@pytest.fixture
def store(tmp_path, planets):
    return PassageStore.build(tmp_path / "p.sqlite", read_corpus(planets))


def test_a_cropped_sentence_is_a_sentence_of_its_passage(store):
    for passage in store:
        sentence = cropped_sentence(passage, random.Random(0))
        assert sentence in passage.text
        assert sentence.endswith(".")


def test_a_cropped_sentence_has_4_to_32_words():
    assert cropped_sentence(Passage("a", "", "Too short here."), random.Random(0)) is None
    assert len(cropped_sentence(Passage("a", "", "word " * 90), random.Random(0)).split()) == 32


def test_keywords_are_words_of_the_passage_that_another_passage_has_too(store):
    keywords = Keywords.from_corpus(store, seed=0)
    words = keywords(store.get(["moon"])[0], random.Random(1)).split()
    assert 2 <= len(words) <= 5
    assert all(keywords.document_frequency[word] > 1 for word in words)
    assert keywords(Passage("x", "", "nothing shared"), random.Random(1)) is None


def test_the_same_seed_draws_the_same_queries_and_another_seed_others(store):
    def draw(seed):
        return list(QuerySampler(store, "cropped", one_by_one(cropped_sentence), seed).sample(8))

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)
    assert len({query.text for query in draw(1)}) == 8


def test_duplicates_and_near_empty_queries_are_counted(store):
    sampler = QuerySampler(store, "cropped", one_by_one(cropped_sentence), 0)
    list(sampler.sample(15))
    assert sampler.counts.kept == 15
    assert sampler.counts.duplicate > 0


def test_a_batch_s_writer_is_asked_for_what_is_missing_as_the_yield_so_far_tells(store):
    asked = []

    def write(passages, rng):
        asked.append(len(passages))
        return [f"query {rng.random()}" if number % 2 else None for number in range(len(passages))]

    sampler = QuerySampler(store, "llm_query", write, 0, batch_size=None)
    assert len(list(sampler.sample(8))) == 8
    assert asked == [8, 8]


def test_a_corpus_too_small_for_the_queries_asked_for_says_so(store):
    with pytest.raises(InputError, match=r"yields only .* lower --num_queries"):
        list(QuerySampler(store, "cropped", one_by_one(cropped_sentence), 0).sample(500))


def test_english_queries_are_those_of_the_first_release(store):
    cropped = QuerySampler(store, "cropped", one_by_one(cropped_sentence), 42).sample(10)
    keywords = QuerySampler(store, "keywords", one_by_one(Keywords.from_corpus(store, 42)), 42).sample(10)
    texts = [query.text for query in (*cropped, *keywords)]
    assert (texts[0], texts[10]) == ("Iron in its dust gives the surface a red colour.", "planet its craters")
    assert hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16] == "ac7bc18d0ea01548"
