"""What `score` and `rank` are given: refused by name, or scored whatever it is; and the model is as it was."""

import json

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from modeling_twolar import load_reranker
from modeling_twolar.prompt import t5_prompt
from modeling_twolar.scoring import shortened, shortened_queries
from retrieval.model_files import model_path
from tests.conftest import PLANETS
from tests.modeling.small_models import byte_level, save_classifier, save_language_model
from tests.modeling.test_bi_encoder import save


@pytest.fixture(scope="module")
def minilm():
    return load_reranker(model_path("all-MiniLM-L6-v2"))


REFUSED = [
    (lambda model: model.rank("q", "a string"), "passages are one text, 'a string'; give a list of texts"),
    (lambda model: model.rank("q", ["a", None]), "passage 1 is None, not a text"),
    (lambda model: model.rank("q", ["a", float("nan")]), "passage 1 is nan, not a text"),
    (lambda model: model.rank("q", ["a", b"b"]), "passage 1 is b'b', not a text"),
    (lambda model: model.rank(None, ["a"]), "the query of pair 0 is None, not a text"),
    (lambda model: model.rank("q", ["a"], top_k=0), "top_k 0 is below 1"),
    (lambda model: model.rank("q", ["a"], top_k=-1), "top_k -1 is below 1"),
    (lambda model: model.rank("q", ["\ud83d"]), r"passage 0 holds half a character, '\ud83d' at 0"),
    (lambda model: model.rank("q", ["a"], batch_tokens=0), "batch_tokens 0 is below 1"),
    (lambda model: model.score(["ab"]), "pair 0 is 'ab', not a query and a passage"),
    (lambda model: model.score("ab"), "pair 0 is 'a', not a query and a passage"),
    (lambda model: model.score([("q", "p"), None]), "pair 1 is None, not a query and a passage"),
    (lambda model: model.score([("q", "p", "p")]), "pair 0 is ('q', 'p', 'p'), not a query and a passage"),
    (lambda model: model.score([{"query": "q", "passage": "p"}]), "not a query and a passage"),
    (lambda model: model.score([("q", "p"), ("q", None)]), "the passage of pair 1 is None, not a text"),
    (
        lambda model: model.score([("q", "p")], max_length=0),
        "max_length 0 is below 5: the prompt alone has 4",
    ),
    (lambda model: model.score([("q", "p")], max_length=-1), "max_length -1 is below 5"),
    (lambda model: model.score([("q", "p")], max_length=4), "max_length 4 is below 5"),
    (lambda model: model.score([("q", "p")], max_length=513), "max_length 513 is above 512, the most that"),
    (lambda model: model.encode_passages("a string"), "passages are one text, 'a string'; give a list"),
    (lambda model: model.encode_passages([None]), "passage 0 is None, not a text"),
    (lambda model: model.encode_passages(["p"], max_length=2), "max_length 2 is below 5"),
    (lambda model: model.encode_query(None), "the query of pair 0 is None, not a text"),
    (lambda model: model.rank_encoded(None, []), "the query of pair 0 is None, not a text"),
    (lambda model: model.rank_encoded("q", [], top_k=0), "top_k 0 is below 1"),
]


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[message[:40] for _, message in REFUSED])
def test_what_cannot_be_scored_is_named(minilm, call, message):
    with pytest.raises(ValueError) as refused:
        call(minilm)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_least_and_the_greatest_length_are_scored(minilm, tmp_path):
    pairs = [("red planet " * 400, "Mars is red. " * 400), ("q", "p"), ("", "")]
    for max_length in (5, 6, 512):
        assert minilm.score(pairs, max_length=max_length).isfinite().all()
    roberta = load_reranker(save_classifier(tmp_path, "roberta"))  # 130 positions, numbered from 2
    assert roberta.score(pairs, max_length=128).isfinite().all()
    with pytest.raises(ValueError, match="max_length 129 is above 128"):
        roberta.score(pairs, max_length=129)


def test_a_t5_has_no_greatest_length_and_its_prompt_is_its_least(tiny_t5):
    model = load_reranker(tiny_t5(False, "gated-gelu"))
    own = len(model.tokenizer("", "")["input_ids"])
    assert model.score([("red " * 99, "Mars " * 999)], max_length=own + 1).isfinite().all()
    assert model.score([("red " * 99, "Mars " * 999)], max_length=2000).isfinite().all()
    with pytest.raises(
        ValueError, match=f"max_length {own} is below {own + 1}: the prompt alone has {own} tokens"
    ):
        model.score([("red", "Mars")], max_length=own)


def test_two_empty_texts_are_no_match(minilm):
    scores = minilm.score(
        [
            ("", ""),
            ("  ", "\n"),
            ("\u200b", ""),
            *[("which planet has rings of ice", text) for _, text in PLANETS],
        ]
    )
    assert scores[:3].tolist() == [0.0, 0.0, 0.0]
    assert scores[3:].max() > 15
    assert [row["score"] for row in minilm.rank_encoded("", minilm.encode_passages([""]))] == [0.0]
    batch = minilm.tokenizer(["", "moon"], ["", "moon"], padding=True, return_tensors="pt")
    assert minilm(**batch).logits[0].item() == 0.0


def test_two_empty_texts_between_prompts_are_no_match_in_a_saved_model_too(tmp_path):
    folder = tmp_path / "saved"
    prompts = {"query": "planet : ", "document": "surface of a planet : "}
    start = load_reranker(save(tmp_path, "bert", "mean", prompts))
    start.save_pretrained(folder)
    assert json.loads((folder / "config.json").read_text())["passage_frame"] == [6, 1]
    for model in (start, load_reranker(folder)):
        assert model.score([("", "")]).tolist() == [0.0]
        assert model.score([("", "moon"), ("moon", "")]).abs().min() > 0.1


THAI = "ดาวอังคารสีแดง" * 30


@pytest.mark.parametrize("kind", ["qwen3", "llama3"])
@pytest.mark.parametrize(
    "query", [THAI, "㎯" * 200, "🚀" * 300, "a" * 5000], ids=["thai", "square", "emoji", "a"]
)
def test_a_query_of_more_tokens_than_characters_is_cut(tmp_path, kind, query):
    model = load_reranker(save_language_model(tmp_path, kind))
    for max_length in (40, 100, 500):
        cut = shortened(query, model.tokenizer, max_length // 2)
        assert query.startswith(cut)
        tokens = model.tokenizer(cut, add_special_tokens=False)["input_ids"]
        assert max_length // 2 - 6 < len(tokens) <= max_length // 2  # a whole character is at most 6 tokens
        assert model.score([(query, "Mars " * 300)], max_length=max_length).isfinite().all()


@pytest.mark.parametrize("query", [THAI, "㎯" * 200, "🚀" * 300], ids=["thai", "square", "emoji"])
def test_a_cross_encoder_of_bytes_cuts_such_a_query_too(tmp_path, query):
    model = load_reranker(save_classifier(tmp_path, "roberta"))
    assert model.score([(query, "Mars " * 300), (query, "")]).isfinite().all()


def normalising_unigram():
    """As T5's: characters are taken apart before they are counted, `㎯` into `rad∕s2`."""
    characters = sorted(set("rad∕s2▁ QueryDocmntRelva:" + "abcdefghijklmnopqrstuvwxyz"))
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((c, -10.0) for c in characters)]
    backend = Tokenizer(models.Unigram(vocabulary, unk_id=2))
    backend.normalizer = normalizers.NFKC()
    backend.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=500
    )


def test_a_query_that_normalisation_makes_longer_is_cut_at_a_whole_character():
    tokenizer = t5_prompt(normalising_unigram(), 500)
    (cut,) = shortened_queries(["㎯" * 200], tokenizer, 500)
    assert cut == "㎯" * 41  # 1 for the blank before, and 6 each
    batch = tokenizer([cut], ["a" * 900], truncation="only_second", max_length=500)
    assert len(batch["input_ids"][0]) == 500


def test_a_query_whose_tokens_fit_stays_as_it_is():
    tokenizer = byte_level()
    query = "  which planet has rings of ice?  " * 4
    assert len(tokenizer(query)["input_ids"]) < len(query) - 10
    assert shortened(query, tokenizer, len(query) - 10) == query
    assert shortened(query, tokenizer, 0) == ""


def partly_frozen(tiny_t5):
    """In training, but for its encoder's first block and one dropout."""
    model = load_reranker(tiny_t5(False, "gated-gelu")).train()
    model.backbone.encoder.block[0].eval()
    model.backbone.decoder.dropout.eval()
    return model


def modes(model):
    return {name: part.training for name, part in model.named_modules()}


def test_a_models_mode_frozen_parts_included_is_after_scoring_as_before(tiny_t5, minilm):
    model = partly_frozen(tiny_t5)
    before = modes(model)
    assert set(before.values()) == {True, False}
    model.score([("red", "Mars")])
    model.rank("red", ["Mars", "Moon"])
    assert modes(model) == before
    minilm.train()
    minilm.backbone.embeddings.eval()
    before = modes(minilm)
    first = minilm.rank_encoded("red planet", minilm.encode_passages(["Mars is red.", "The moon."]))
    assert modes(minilm) == before
    assert first == minilm.eval().rank_encoded(
        "red planet", minilm.encode_passages(["Mars is red.", "The moon."])
    )


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_models_mode_is_as_before_after_an_error(tiny_t5, error):
    model = partly_frozen(tiny_t5)
    before = modes(model)

    def fail(*_):
        assert not any(modes(model).values())
        raise error

    hook = model.head.register_forward_pre_hook(fail)
    with pytest.raises(error):
        model.score([("red", "Mars")])
    assert modes(model) == before
    hook.remove()
    with torch.no_grad():
        model.head.weight.fill_(float("inf"))
    with pytest.raises(ValueError, match="pair 0 has the score"):
        model.score([("red", "Mars")])
    assert modes(model) == before
