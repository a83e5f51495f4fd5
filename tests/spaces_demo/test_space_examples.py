"""The questions that the page offers are the evaluation's first; the real MiniLM, untrained, answers some."""

from itertools import islice
from pathlib import Path

import pytest
from demo import EXAMPLES, WHAT_EXAMPLES_ARE
from passage_vectors import passage_vectors
from passages import Passage
from reranking import Collection, VectorScorer, rerank

from modeling_twolar import load_reranker
from packaged.docstrings import stdlib_docstrings
from retrieval.judgments import read_qrels
from retrieval.model_files import model_path
from retrieval.queries import read_queries

QUESTIONS = Path(__file__).parents[2] / "evaluation/python_questions"
QRELS = read_qrels(QUESTIONS / "qrels/test.tsv")
ANSWER = 3
ANSWERED = dict(zip(EXAMPLES, [False, True, True, False, True], strict=True))


def answers_found(passages, cache):
    """Question → whether a passage that answers it, by the judgments, is among the first three."""
    model = load_reranker(model_path("all-MiniLM-L6-v2"))
    contents = [passage.contents for passage in passages]
    scorer = VectorScorer(model, passage_vectors(model, contents, cache), passages)
    collection = Collection.of("docstrings", passages, is_bundled=True)
    found = {}
    for question, grades in zip(EXAMPLES, QRELS.values(), strict=False):
        best = rerank(question, collection, scorer).passages[:3]
        found[question] = any(grades.get(ranked.passage.docid) == ANSWER for ranked in best)
    return found


def test_the_examples_are_the_first_of_the_test_questions_as_the_page_says():
    texts = read_queries(QUESTIONS / "queries.jsonl")
    assert [texts[query_id] for query_id in islice(QRELS, len(EXAMPLES))] == EXAMPLES
    assert f"the first {len(EXAMPLES)} of the evaluation’s {len(QRELS)} test questions" in WHAT_EXAMPLES_ARE


@pytest.mark.slow
def test_in_the_whole_library_these_have_their_answer_in_the_first_three(tmp_path):
    passages = [Passage(*row) for row in stdlib_docstrings()]
    assert answers_found(passages, tmp_path) == ANSWERED
