"""The paper's own methods, on small seeded models of their architectures: right scores, meaningless ones."""

import json
import re

import numpy as np
import pytest
import torch
from transformers import BertForMaskedLM, BertModel

from dataset_builder.queries.decontamination import ExcludedQueries
from dataset_builder.queries.doc2query import DocT5Query
from dataset_builder.queries.sampler import QuerySampler
from modeling_twolar import TwolarForReranking
from retrieval.errors import InputError
from retrieval.retrievers import splade
from retrieval.retrievers.dense import CosineEncoder, DenseRetriever, DragonEncoder, build_faiss_index
from retrieval.retrievers.lucene import BM25, build_lucene_index
from retrieval.retrievers.reranked import BM25Reranked, MonoT5
from retrieval.retrievers.splade import Splade, SpladeEncoder, build_impact_index
from tests.command_line import run_module
from tests.conftest import PLANETS, bert_tokenizer

QUERIES = ["red planet with iron dust", "rings of ice", "moon"]


def test_splade_weights_are_the_largest_log_saturated_logits_of_real_tokens(paper_models):
    encoder = SpladeEncoder(paper_models["splade"])
    model, tokenizer = BertForMaskedLM.from_pretrained(paper_models["splade"]).eval(), bert_tokenizer()
    together = encoder.weights(["Mars is red", "Saturn has wide rings of ice and rock"])
    with torch.no_grad():
        logits = model(**tokenizer("Mars is red", return_tensors="pt")).logits[0]
    torch.testing.assert_close(together[0], torch.log1p(logits.relu()).amax(dim=0), atol=1e-4, rtol=0)


def test_splade_holds_the_logits_of_a_few_tokens_at_a_time(paper_models, monkeypatch):
    encoder, texts = SpladeEncoder(paper_models["splade"]), [text for _, text in PLANETS]
    expected, held = encoder.weights(texts), []
    encoder._to_vocabulary.register_forward_hook(lambda module, inputs, logits: held.append(logits))
    monkeypatch.setattr(splade, "TOKENS_AT_ONCE", 30)
    assert torch.equal(encoder.weights(texts), expected)
    assert len(held) > 5
    assert max(logits.shape[0] * logits.shape[1] for logits in held) == 30


def test_splade_scores_are_inner_products_of_the_impacts(store, paper_models, tmp_path):
    encoder = SpladeEncoder(paper_models["splade"])
    build_impact_index(store, encoder, tmp_path / "splade")
    passages = dict(zip((p.docid for p in store), encoder.encode([p.contents for p in store]), strict=True))
    for query, hits in zip(QUERIES, Splade(tmp_path / "splade", encoder).search(QUERIES, 5), strict=True):
        vector = encoder.encode_query(query)
        products = {
            docid: sum(impact * vector.get(term, 0) for term, impact in impacts.items())
            for docid, impacts in passages.items()
        }
        assert [hit.score for hit in hits] == sorted(products.values(), reverse=True)[:5]
        assert all(hit.score == products[hit.docid] for hit in hits)


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
def test_rounded_encoders_give_nearly_the_vectors_of_fp32(paper_models, dtype):
    texts = [text for _, text in PLANETS]
    dragon = paper_models["dragon_context"], paper_models["dragon_query"]
    for encoder in (
        lambda dtype: SpladeEncoder(paper_models["splade"], dtype).weights(texts).numpy(),
        lambda dtype: DragonEncoder(*dragon, dtype).passages(texts),
        lambda dtype: CosineEncoder("all-MiniLM-L6-v2", dtype).passages(texts),
    ):
        exact, rounded = encoder("float32"), encoder(dtype)
        assert rounded.dtype == np.float32
        lengths = np.linalg.norm(rounded, axis=1) * np.linalg.norm(exact, axis=1)
        assert (np.einsum("nd,nd->n", rounded, exact) / lengths).min() > 0.99
        assert not np.array_equal(rounded, exact)


def test_int8_where_there_are_no_such_products_is_refused_in_one_line(monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"^--encoder_dtype int8: int8 needs a PyTorch with oneDNN"):
        CosineEncoder("all-MiniLM-L6-v2", "int8")


def brute_force(store, paper_models, query):
    vectors = []
    for name, texts in (("dragon_context", [p.contents for p in store]), ("dragon_query", [query])):
        model = BertModel.from_pretrained(paper_models[name]).eval()
        with torch.no_grad():
            encoded = [
                model(**bert_tokenizer()(text, return_tensors="pt")).last_hidden_state[0, 0] for text in texts
            ]
        vectors.append(torch.stack(encoded).numpy())
    return vectors[0] @ vectors[1][0]


def test_dragon_finds_what_brute_force_over_two_encoders_finds(store, paper_models, tmp_path):
    encoder = DragonEncoder(paper_models["dragon_context"], paper_models["dragon_query"])
    build_faiss_index(store, encoder, tmp_path / "dragon.faiss")
    retriever = DenseRetriever("dragon", tmp_path / "dragon.faiss", encoder, store)
    docids = [passage.docid for passage in store]
    for query, hits in zip(QUERIES, retriever.search(QUERIES, 4), strict=True):
        products = brute_force(store, paper_models, query)
        best = np.argsort(-products)[:4]
        assert [hit.docid for hit in hits] == [docids[index] for index in best]
        np.testing.assert_allclose([hit.score for hit in hits], products[best], atol=1e-3)


def test_monot5_puts_bm25s_passages_in_the_order_of_its_softmax(store, paper_models, tmp_path):
    build_lucene_index(store, tmp_path / "lucene")
    bm25 = BM25(tmp_path / "lucene")
    hits = BM25Reranked("bm25_monot5", bm25, MonoT5(paper_models["monot5"]), store).search(QUERIES, 3)
    model = TwolarForReranking.from_backbone(paper_models["monot5"], "softmax")
    for query, own in zip(QUERIES, hits, strict=True):
        texts = [p.text for p in store.get([hit.docid for hit in bm25.search([query], 100)[0]])]
        expected = sorted(model.score([(query, text) for text in texts]).tolist(), reverse=True)[:3]
        assert [hit.score for hit in own] == pytest.approx(expected, abs=1e-4)
        assert max(hit.score for hit in own) < 0


def test_doct5query_writes_the_same_queries_for_the_same_seed(store, paper_models):
    def draw(seed):
        sampler = QuerySampler(
            store, "doct5query", DocT5Query(paper_models["doct5query"]), seed, batch_size=4
        )
        return [query.text for query in sampler.sample(6)]

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)
    assert len(set(draw(1))) == 6


def test_queries_of_an_evaluation_set_are_kept_out(store, tmp_path):
    eight = "one two three four five six seven eight"
    (tmp_path / "queries.jsonl").write_text(json.dumps({"_id": "1", "text": f"Zero {eight}"}) + "\n")
    (tmp_path / "topics.tsv").write_text("7\tWhat is a red planet?\n")
    excluded = ExcludedQueries.read([str(tmp_path / "queries.jsonl"), str(tmp_path / "topics.tsv")])
    assert "a RED planet, what is" in excluded
    assert f"and {eight} nine" in excluded
    assert "what is a planet" not in excluded
    assert "two three four five six seven eight" not in excluded
    asked = iter(["what is a red planet", "a dusty red planet", "rings of ice"])
    sampler = QuerySampler(store, "cropped", lambda passages, rng: [next(asked)], 0, excluded)
    assert [query.text for query in sampler.sample(2)] == ["a dusty red planet", "rings of ice"]
    assert sampler.counts.excluded == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [("no tab here", "line 1: 1 columns"), ('{"id": 1}', "line 1: the query has no text")],
)
def test_a_file_of_queries_that_cannot_be_read_is_refused(tmp_path, line, message):
    (tmp_path / "bad").write_text(line)
    with pytest.raises(InputError, match=message):
        ExcludedQueries.read([str(tmp_path / "bad")])


def test_the_paper_profile_builds_with_all_its_methods(planets, paper_models, tmp_path):
    from datasets import load_dataset

    (tmp_path / "topics.tsv").write_text("7\tWhat is a red planet?\n")
    flags = [flag for name, path in paper_models.items() for flag in (f"--{name}", path)]
    result = run_module(
        "dataset_builder", "build", "--profile", "paper", "--corpus", planets, "--num_queries", "16",
        "--num_passages", "4", "--teacher", "rank-fusion", "--test_fraction", "0.2",
        "--exclude_queries", tmp_path / "topics.tsv", "--output_dir", tmp_path / "out", *flags,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    rows = [row for split in load_dataset(str(tmp_path / "out")).values() for row in split]
    # What a random T5 writes may have no word that BM25 knows: such a query has no pool.
    card = (tmp_path / "out" / "README.md").read_text()
    poolless = re.search(r"(\d+) queries found fewer than two passages", card)
    assert len(rows) == 16 - int(poolless[1] if poolless else 0) >= 12
    assert {row["retriever"] for row in rows} == {0, 1, 2, 3}
    assert "| bm25, splade |" in card
    assert {row["query_type"] for row in rows} == {0, 1}
    assert "dropped: in an evaluation set" in card


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--retrievers", "splade"), "'splade' needs --splade"),
        (("--query_types", "doct5query"), "'doct5query' needs --doct5query"),
        (("--retrievers", "bm26"), "retrieval method 'bm26' is not known"),
        (("--query_types", "hand"), "query type 'hand' is not known"),
        (("--exclude_queries", "missing.tsv"), "missing.tsv does not exist"),
        (("--faiss_index", "pq"), "--faiss_index is 'pq'"),
        (("--encoder_dtype", "int4"), "--encoder_dtype is 'int4'; give float32, bfloat16 or int8"),
    ],
)
def test_methods_that_cannot_work_are_refused_before_the_build(planets, tmp_path, flags, message):
    result = run_module(
        "dataset_builder", "build", "--corpus", planets, "--output_dir", tmp_path / "out", *flags
    )
    assert result.returncode == 2
    assert message in result.stderr
    assert not (tmp_path / "out").exists()
