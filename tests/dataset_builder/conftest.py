"""What tests of builds share: a passage store, and small seeded models of the paper's methods."""

import pytest
from transformers import BertForMaskedLM, BertModel

from retrieval.passage_store import PassageStore
from retrieval.records import Passage
from tests.conftest import PLANETS, save_bert


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    passages = [Passage(docid, "", text) for docid, text in PLANETS]
    return PassageStore.build(tmp_path_factory.mktemp("store") / "passages.sqlite", passages)


@pytest.fixture(scope="module")
def paper_models(tmp_path_factory, tiny_t5):
    folder = tmp_path_factory.mktemp("models")
    return {
        "splade": save_bert(folder / "splade", BertForMaskedLM, 1),
        "dragon_context": save_bert(folder / "context", BertModel, 2),
        "dragon_query": save_bert(folder / "query", BertModel, 3),
        "monot5": str(tiny_t5(True, "relu")),
        "doct5query": str(tiny_t5(True, "relu")),
    }
