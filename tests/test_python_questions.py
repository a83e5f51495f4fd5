import csv
import json
import re
from collections import defaultdict
from pathlib import Path

import pytest

from retrieval.corpus import PYTHON_STDLIB, read_corpus

QUESTIONS = Path(__file__).parents[1] / "evaluation" / "python_questions"


def read_qrels(split):
    """{query id: {docid: grade}}"""
    grades = defaultdict(dict)
    with open(QUESTIONS / "qrels" / f"{split}.tsv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            assert row["corpus-id"] not in grades[row["query-id"]]
            grades[row["query-id"]][row["corpus-id"]] = int(row["score"])
    return grades


@pytest.fixture(scope="module")
def questions():
    lines = (QUESTIONS / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    queries = [json.loads(line) for line in lines]
    assert (
        len({query["_id"] for query in queries}) == len({query["text"] for query in queries}) == len(queries)
    )
    return {query["_id"]: query["text"] for query in queries}


@pytest.fixture(scope="module")
def splits():
    return {"dev": read_qrels("dev"), "test": read_qrels("test")}


@pytest.fixture(scope="module")
def docstrings():
    return {passage.docid: passage.text for passage in read_corpus(PYTHON_STDLIB)}


def test_dev_and_test_share_no_question_and_cover_all_of_them(questions, splits):
    assert not splits["dev"].keys() & splits["test"].keys()
    assert splits["dev"].keys() | splits["test"].keys() == questions.keys()
    assert (len(splits["dev"]), len(splits["test"])) == (53, 159)


def test_every_question_has_an_answer(splits):
    for grades in (splits["dev"] | splits["test"]).values():
        assert set(grades.values()) <= {0, 1, 2, 3}
        assert max(grades.values()) >= 2


def test_every_relevant_passage_is_in_the_corpus_of_this_python(splits, docstrings):
    relevant = {
        docid
        for grades in (splits["dev"] | splits["test"]).values()
        for docid, grade in grades.items()
        if grade > 0
    }
    assert relevant - docstrings.keys() == set()


def test_the_answers_spread_over_many_modules(splits):
    for split, at_least in (("dev", 30), ("test", 60)):
        answers = [
            docid for grades in splits[split].values() for docid, grade in grades.items() if grade == 3
        ]
        assert len({docid.split(".")[0] for docid in answers}) >= at_least


def test_no_question_copies_five_words_in_a_row_from_a_passage_that_solves_it(questions, splits, docstrings):
    copied = [
        (questions[query_id], docid)
        for query_id, grades in (splits["dev"] | splits["test"]).items()
        for docid, grade in grades.items()
        if grade >= 2 and five_word_sequences(questions[query_id]) & five_word_sequences(docstrings[docid])
    ]
    assert copied == []


def five_word_sequences(text):
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[start : start + 5]) for start in range(len(words) - 4)}
