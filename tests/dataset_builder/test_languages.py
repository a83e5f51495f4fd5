"""Corpora in languages of other scripts: their language is found, and queries and BM25 follow it."""

import json
import random
from itertools import product
from pathlib import Path

import pytest
import yaml

from dataset_builder.build.claim import read_settings
from dataset_builder.build.execution import Execution
from dataset_builder.build.folder import BuildFolder, all_rankings, read_queries
from dataset_builder.build.settings import load_profile
from dataset_builder.language_models.access import TeacherAccess
from dataset_builder.pipeline.run import build
from dataset_builder.queries.cropped import cropped_sentence
from dataset_builder.queries.decontamination import ExcludedQueries
from dataset_builder.queries.keywords import Keywords
from dataset_builder.queries.llm_query import written_query
from evaluation.run import evaluate
from evaluation.settings import EvaluationSettings
from retrieval.errors import InputError
from retrieval.language import check_language, language_of
from retrieval.passage_store import PassageStore
from retrieval.records import Passage
from retrieval.retrievers.lucene import BM25RM3, build_lucene_index
from retrieval.segmentation import first_words, sentences, words
from tests.conftest import PLANETS

TEXTS = yaml.safe_load(Path(__file__).with_name("languages.yaml").read_text(encoding="utf-8"))
WITHOUT_SPACES = ("zh", "ja", "th", "km")


def passages(language):
    return [Passage(docid, "", TEXTS[language][docid]) for docid in ("summer", "night")]


@pytest.mark.parametrize("language", TEXTS)
def test_the_language_is_found_from_the_text(language):
    assert language_of(passages(language)) == language


def test_english_numbers_and_code_read_as_english():
    assert language_of(Passage(docid, "", text) for docid, text in PLANETS) == "en"
    assert language_of([Passage("n", "", "12 345 678")]) == "en"
    assert language_of([Passage("c", "", "def f(x): return x")]) == "en"
    german = "Der Hund schläft im Garten, und die Katze sieht ihm zu. " * 4
    assert language_of([Passage(str(number), "", german) for number in range(4)]) == "de"


def test_a_language_is_given_by_its_code():
    with pytest.raises(InputError, match="--language is 'German'; give an ISO 639 code such as en"):
        check_language("German")


@pytest.mark.parametrize("language", TEXTS)
def test_a_cropped_sentence_is_one_of_the_passage_s_two(language):
    passage = passages(language)[0]
    parts = sentences(passage.text, language)
    drawn = {cropped_sentence(passage, random.Random(seed), language) for seed in range(20)}
    assert len(parts) == 2 and drawn == set(parts)


def test_words_and_sentences_end_where_the_language_ends_them():
    assert words("港口每天早上需要十个工人一起操作。", "zh") == [
        "港口", "每天", "早上", "需要", "十", "个", "工人", "一起", "操作",
    ]  # fmt: skip
    assert words("घर में पानी", "hi") == ["घर", "में", "पानी"]
    assert first_words("港口每天早上需要😀十个 工人。", 3, "zh") == ("港口每天早上", 3)
    assert sentences("आज मौसम अच्छा है। हम पार्क गए।", "hi") == ["आज मौसम अच्छा है।", "हम पार्क गए।"]


@pytest.mark.parametrize("language", TEXTS)
def test_keywords_are_words_that_another_passage_has_too(tmp_path, language):
    shared = [Passage(f"{each.docid}{n}", "", each.text) for n in range(2) for each in passages(language)]
    store = PassageStore.build(tmp_path / "p.sqlite", shared)
    keywords = Keywords.from_corpus(store, 0, language)
    query = keywords(shared[0], random.Random(0))
    assert 2 <= len(query.split()) <= 5
    assert all(word in words(shared[0].text, language) for word in query.split())


@pytest.mark.parametrize("language", WITHOUT_SPACES)
def test_eight_words_in_a_row_are_found_also_where_no_blank_parts_them(language):
    text = TEXTS[language]
    excluded = ExcludedQueries([text["summer"]], language)
    assert first_words(text["summer"], 8, language)[0] in excluded
    assert text["night"] not in excluded and text["question"] not in excluded


def test_a_written_chinese_query_has_its_words_counted():
    assert written_query("夏天的游客从哪里来？", "zh") == "夏天的游客从哪里来？"
    assert written_query("港口", "zh") is None


@pytest.mark.parametrize("language", TEXTS)
def test_bm25_of_an_evaluation_follows_the_language(tmp_path, language):
    rows = [{"_id": passage.docid, "text": passage.text} for passage in passages(language)]
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "queries.jsonl").write_text(
        json.dumps({"_id": "q", "text": TEXTS[language]["question"]}) + "\n"
    )
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text("q\tsummer\t1\n")
    (report,) = evaluate(EvaluationSettings([str(tmp_path)], output_dir=tmp_path / "runs")).reports
    assert report.results[0].main == 1.0
    assert len(list((tmp_path / "runs" / "indexes").glob(f"*/lucene-{language}"))) == 1


@pytest.mark.parametrize("language", ["zh", "th"])
def test_expansion_follows_the_language_too(tmp_path, language):
    build_lucene_index(passages(language), tmp_path / "lucene", language)
    (hits,) = BM25RM3(tmp_path / "lucene", language).search([TEXTS[language]["question"]], 2)
    assert hits[0].docid == "summer"


def test_a_chinese_corpus_becomes_a_dataset_and_continues_in_its_language(tmp_path):
    rows = [
        {"_id": f"z{number}", "text": f"{place}{time}需要十个工人一起操作。{place}也停在岸边等待天气变好。"}
        for number, (place, time) in enumerate(
            product(("港口", "渡轮", "灯塔"), ("每天早上", "在夏天", "到了晚上"))
        )
    ]
    (tmp_path / "zh.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    flags = {
        "corpus": str(tmp_path / "zh.jsonl"), "output_dir": str(tmp_path / "out"), "num_queries": 10,
        "query_types": ["cropped", "keywords"], "retrievers": ["bm25", "minilm"], "teacher": "rank-fusion",
        "num_passages": 3, "test_fraction": 0.2,
    }  # fmt: skip
    folder = BuildFolder(tmp_path / "out")
    for _ in range(2):
        build(folder, load_profile("offline", dict(flags)), TeacherAccess(), Execution())
    assert read_settings(folder).language == "zh"
    queries = list(read_queries(folder.queries))
    assert [query.query_type for query in queries] == ["cropped"] * 5 + ["keywords"] * 5
    assert all(query.text.endswith("。") for query in queries[:5])
    assert all(len(found.passages) > 1 for found in all_rankings(folder) if found.retriever == "bm25")
    with pytest.raises(InputError, match="language 'zh' → 'ja'"):
        build(folder, load_profile("offline", flags | {"language": "ja"}), TeacherAccess(), Execution())
