"""The score equals what the paper's formulas give over the plain transformers model."""

import math
import random

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, AutoTokenizer, T5ForConditionalGeneration

from modeling_twolar import TwolarForReranking
from modeling_twolar.packed_bert import last_hidden_state
from modeling_twolar.scoring import shortened
from modeling_twolar.windows import windows
from retrieval.model_files import model_path
from tests.conftest import PLANETS

STRATEGIES = ("difference", "softmax", "extra_id")


def mixed_pairs(count):
    rng = random.Random(0)
    words = " ".join(text for _, text in PLANETS).split()
    return [
        (
            " ".join(rng.choices(words, k=rng.randint(1, 12))),
            " ".join(rng.choices(words, k=rng.randint(0, 90))),
        )
        for _ in range(count)
    ]


def reference_scores(folder, strategy, pairs):
    """One pair a time through the whole LM head, as the authors' code does it."""
    tokenizer, model = (
        AutoTokenizer.from_pretrained(folder),
        T5ForConditionalGeneration.from_pretrained(folder),
    )
    true, false = (tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in ("true", "false"))
    extra = tokenizer.convert_tokens_to_ids("<extra_id_10>")
    scores = []
    for query, passage in pairs:
        batch = tokenizer(f"Query: {query} Document: {passage} Relevant: ", return_tensors="pt")
        start = torch.tensor([[model.config.decoder_start_token_id]])
        with torch.no_grad():
            logits = model(**batch, decoder_input_ids=start).logits[0, 0]
        scores.append(
            {
                "difference": logits[true] - logits[false],
                "softmax": torch.log_softmax(logits[[true, false]], dim=0)[0],
                "extra_id": logits[extra],
            }[strategy]
        )
    return torch.stack(scores)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(("tied", "feed_forward"), [(True, "relu"), (False, "gated-gelu")])
def test_t5_scores_equal_those_of_the_full_lm_head(tiny_t5, tied, feed_forward, strategy):
    folder, pairs = tiny_t5(tied, feed_forward), mixed_pairs(200)
    scores = TwolarForReranking.from_backbone(folder, strategy).score(pairs)
    expected = reference_scores(folder, strategy, pairs)
    assert scores.std() > 1e-3
    torch.testing.assert_close(scores, expected, atol=1e-4, rtol=0)


def test_scores_do_not_depend_on_batch_order_or_padding(tiny_t5):
    model, pairs = TwolarForReranking.from_backbone(tiny_t5(False, "gated-gelu")), mixed_pairs(40)
    alone = torch.cat([model.score([pair]) for pair in pairs])
    torch.testing.assert_close(model.score(pairs, batch_tokens=4096), alone, atol=1e-4, rtol=0)
    torch.testing.assert_close(model.score(pairs[::-1], batch_tokens=200).flip(0), alone, atol=1e-4, rtol=0)


def test_the_tokenizer_holds_the_prompt_and_cuts_the_passage_alone(tiny_t5):
    folder = tiny_t5(True, "relu")
    plain, tokenizer = (
        AutoTokenizer.from_pretrained(folder),
        TwolarForReranking.from_backbone(folder).tokenizer,
    )
    query, passage = "red planet", "Iron in its dust gives the surface a red colour."
    whole = tokenizer(query, passage)["input_ids"]
    assert whole == plain(f"Query: {query} Document: {passage} Relevant: ")["input_ids"]
    cut = tokenizer(query, passage * 99, truncation="only_second", max_length=30)["input_ids"]
    end = plain("Relevant: ")["input_ids"]
    assert len(cut) == 30
    assert cut[-len(end) :] == end
    assert (
        cut[: len(cut) - len(end)]
        == plain(f"Query: {query} Document: {passage * 99}")["input_ids"][: 30 - len(end)]
    )


@pytest.fixture(scope="module")
def minilm():
    return TwolarForReranking.from_backbone(model_path("all-MiniLM-L6-v2"))


def cosine_plus_maxsim(query, passage):
    """By sentence-transformers: one token of the query at a time, without its [CLS] and [SEP]."""
    encoder = SentenceTransformer(model_path("all-MiniLM-L6-v2"))
    query_vector, passage_vector = encoder.encode([query, passage], normalize_embeddings=True)
    query_tokens, passage_tokens = (
        torch.nn.functional.normalize(tokens.cpu(), dim=1)
        for tokens in encoder.encode([query, passage], output_value="token_embeddings")
    )
    best = [max(float(token @ other) for other in passage_tokens) for token in query_tokens[1:-1]]
    return float(query_vector @ passage_vector) + sum(best) / max(len(best), 1)


def test_a_bi_encoder_starts_as_its_own_cosine_and_late_interaction(minilm):
    pairs = [("which planet has rings", text) for _, text in PLANETS] + [("", "Mars"), ("moon", "")]
    expected = torch.tensor([cosine_plus_maxsim(*pair) for pair in pairs])
    torch.testing.assert_close(minilm.score(pairs) / 20, expected, atol=1e-5, rtol=0)


def test_bi_encoder_scores_do_not_depend_on_padding(minilm):
    pairs = [("red planet", text * count) for count, (_, text) in enumerate(PLANETS, start=1)]
    alone = torch.cat([minilm.score([pair]) for pair in pairs])
    torch.testing.assert_close(minilm.score(pairs, batch_tokens=9999), alone, atol=1e-4, rtol=0)


def test_rank_gives_the_fields_usual_rows(minilm):
    passages = [text for _, text in PLANETS]
    ranking = minilm.rank("which planet has rings of ice", passages, top_k=3, return_documents=True)
    assert [set(row) for row in ranking] == [{"corpus_id", "score", "text"}] * 3
    assert ranking[0]["corpus_id"] == 5
    assert ranking[0]["text"] == passages[5]
    assert ranking[0]["score"] > ranking[1]["score"] > ranking[2]["score"]
    assert "text" not in minilm.rank("moon", passages)[0]
    assert minilm.rank("moon", []) == []
    assert minilm.score([]).shape == (0,)


def test_a_score_that_is_not_finite_names_the_passage(tiny_t5):
    model = TwolarForReranking.from_backbone(tiny_t5(True, "relu"))
    with torch.no_grad():
        model.head.weight.fill_(float("inf"))
    with pytest.raises(ValueError, match=r"pair 0 has the score .*passage 'dusty Mars'"):
        model.score([("red", "dusty Mars")])


@pytest.mark.parametrize(
    ("query", "passage"), [("é🚀" * 20, "第二" * 50), ("word " * 1000, "x"), ("q", "a" * 100_000)]
)
def test_odd_and_huge_texts_are_scored(minilm, query, passage):
    assert minilm.score([(query, passage)]).isfinite().all()


@pytest.mark.parametrize(("tied", "feed_forward"), [(True, "relu"), (False, "gated-gelu")])
def test_the_packed_decoder_step_equals_transformers_own(tiny_t5, tied, feed_forward):
    model = TwolarForReranking.from_backbone(tiny_t5(tied, feed_forward))
    queries, passages = map(list, zip(*mixed_pairs(30), strict=True))
    batch = model.tokenizer(queries, passages, padding=True, return_tensors="pt")
    with torch.no_grad():
        packed = model(**batch).logits
    padded = model(**batch).logits
    assert padded.requires_grad
    torch.testing.assert_close(packed, padded.detach(), atol=1e-5, rtol=0)


def test_bf16_over_real_tokens_is_nearer_to_fp32_than_the_librarys_own():
    folder = model_path("all-MiniLM-L6-v2")
    exact, rounded = (
        AutoModel.from_pretrained(folder),
        AutoModel.from_pretrained(folder, dtype=torch.bfloat16),
    )
    texts = [*(text for _, text in PLANETS), "planet"]
    batch = AutoTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="pt")
    real = batch["attention_mask"].bool()
    with torch.no_grad():
        wanted = exact(**batch).last_hidden_state[real]
        packed = last_hidden_state(rounded, **batch)
        padded = rounded(**batch).last_hidden_state
    assert packed.dtype == torch.bfloat16
    assert not packed[~real].any()
    assert (packed[real] - wanted).norm() < 0.9 * (padded[real] - wanted).norm() < 0.02 * wanted.norm()


def test_an_empty_passage_means_the_same_alone_and_in_a_batch(tiny_t5, minilm):
    for tokenizer in (TwolarForReranking.from_backbone(tiny_t5(True, "relu")).tokenizer, minilm.tokenizer):
        assert tokenizer("red planet", "")["input_ids"] == tokenizer(["red planet"], [""])["input_ids"][0]


@given(query=st.text(max_size=60), passage=st.text(max_size=400), max_length=st.integers(24, 60))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_truncation_never_loses_the_prompts_end(tiny_t5, query, passage, max_length):
    tokenizer = TwolarForReranking.from_backbone(tiny_t5(False, "gated-gelu")).tokenizer
    query = shortened(query, tokenizer, max_length // 2)
    ids = tokenizer(query, passage, truncation="only_second", max_length=max_length)["input_ids"]
    whole = tokenizer(query, passage)["input_ids"]
    end = tokenizer("", "")["input_ids"][-2:]
    assert len(ids) == min(max_length, len(whole))
    assert ids[-2:] == end == whole[-2:]


def test_a_long_passage_has_the_score_of_its_best_window(tiny_t5):
    model = TwolarForReranking.from_backbone(tiny_t5(False, "gated-gelu"))
    long = " ".join(text for _, text in PLANETS)
    cut = windows(long, model.tokenizer, 12)
    count = len(model.tokenizer(long, add_special_tokens=False)["input_ids"])
    assert len(cut) == math.ceil((count - 12) / 6) + 1 and long.endswith(cut[-1]) and long.startswith(cut[0])
    assert all(len(model.tokenizer(own, add_special_tokens=False)["input_ids"]) <= 13 for own in cut)
    found = model.rank("red planet", ["Mars", long, ""], max_passage_tokens=12)
    scores = {row["corpus_id"]: row["score"] for row in found}
    best = model.score([("red planet", own) for own in cut]).max().item()
    assert scores[1] == pytest.approx(best, abs=1e-4)
    assert model.rank("red planet", [], max_passage_tokens=12) == []
