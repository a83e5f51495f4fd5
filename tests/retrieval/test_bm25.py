"""BM25 over a real Lucene index: queries that Lucene by itself would refuse."""

import pytest

from retrieval.records import Passage
from retrieval.retrievers.lucene import BM25, BM25RM3, build_lucene_index
from tests.conftest import PLANETS


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bm25") / "lucene"
    build_lucene_index([Passage(docid, "", text) for docid, text in PLANETS], folder)
    return folder


@pytest.mark.parametrize("method", [BM25, BM25RM3])
def test_a_query_of_thousands_of_terms_is_ranked_and_the_others_too(index, method):
    long = "rings of ice " + " ".join(f"word{number}" for number in range(3000))
    found = method(index).search([long, "which planet is red", "", "\ud83d rings of ice"], 2)
    assert [hits[0].docid if hits else None for hits in found] == ["saturn", "mars", None, "saturn"]
