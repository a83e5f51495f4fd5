"""A bi-encoder starts at the similarity that it has in its own library, and keeps passages' vectors."""

import json

import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling
from transformers import BertConfig, BertModel, Qwen3Config, Qwen3Model, XLMRobertaConfig, XLMRobertaModel

from modeling_twolar import TwolarForReranking
from modeling_twolar.start import COSINE_SCALE
from retrieval.model_files import model_path
from tests.conftest import PLANETS
from tests.modeling.small_models import DECODER_SIZE, SIZE, byte_level, roberta_bytes, word_piece

QUERIES = ("which planet is red?", "rings of ice", "moon")
PAIRS = [(query, text) for query in QUERIES for _, text in PLANETS] + [
    ("red planet", ""),
    ("", "Mars is red."),
]


def save(folder, kind, pooling, prompts=None):
    """A small seeded bi-encoder as sentence-transformers saves it."""
    torch.manual_seed(0)
    spread = {"initializer_range": 0.3}
    if kind == "bert":
        tokenizer = word_piece()
        model = BertModel(BertConfig(vocab_size=len(tokenizer), **SIZE, **spread))
    elif kind == "xlm-roberta":
        tokenizer = roberta_bytes()
        model = XLMRobertaModel(XLMRobertaConfig(vocab_size=len(tokenizer), pad_token_id=1, **SIZE, **spread))
    else:
        tokenizer = byte_level()
        model = Qwen3Model(Qwen3Config(vocab_size=len(tokenizer), **DECODER_SIZE, **spread))
    model.save_pretrained(folder / "plain")
    tokenizer.save_pretrained(folder / "plain")
    encoder = SentenceTransformer(str(folder / "plain"), prompts=prompts, device="cpu")
    body = encoder[0]
    modules = [body, Pooling(SIZE["hidden_size"], pooling_mode=pooling), Normalize()]
    SentenceTransformer(modules=modules, prompts=prompts, device="cpu").save(str(folder / "saved"))
    return str(folder / "saved")


def cosines(library, pairs):
    queries, passages = map(list, zip(*pairs, strict=True))
    products = library.encode_query(queries) * library.encode_document(passages)
    return COSINE_SCALE * torch.tensor(products.sum(axis=1))


@pytest.mark.parametrize(
    ("kind", "pooling"),
    [
        ("bert", "cls"),
        ("bert", "lasttoken"),
        ("xlm-roberta", "cls"),
        ("xlm-roberta", "lasttoken"),
        ("qwen3", "lasttoken"),
    ],
)
def test_the_start_is_the_librarys_cosine(kind, pooling, tmp_path):
    path = save(tmp_path, kind, pooling)
    scores = TwolarForReranking.from_backbone(path).score(PAIRS)
    expected = cosines(SentenceTransformer(path, device="cpu"), PAIRS)
    torch.testing.assert_close(scores, expected, atol=1e-4, rtol=0)
    assert scores.std() > 0.01


@pytest.mark.parametrize(
    ("kind", "prompts"),
    [
        ("bert", {"query": "planet : ", "document": "surface : "}),
        ("xlm-roberta", {"query": "planet:", "passage": "surface:"}),
        ("qwen3", {"query": "Instruct: rank\nQuery:"}),
    ],
)
def test_a_declared_prompt_stands_before_the_texts(kind, prompts, tmp_path):
    path = save(tmp_path, kind, "lasttoken", prompts)
    library = SentenceTransformer(path, device="cpu")
    scores = TwolarForReranking.from_backbone(path).score(PAIRS)
    torch.testing.assert_close(scores, cosines(library, PAIRS), atol=1e-4, rtol=0)
    library.prompts.clear()
    assert not torch.allclose(scores, cosines(library, PAIRS), atol=1e-2)


def test_a_prompt_whose_last_token_depends_on_the_text_is_refused(tmp_path):
    path = save(tmp_path, "xlm-roberta", "cls", {"query": "planet: "})  # the blank belongs to the next word
    with pytest.raises(ValueError, match="'planet: ' joins with the text behind it"):
        TwolarForReranking.from_backbone(path)


@pytest.fixture(scope="module")
def minilm():
    return TwolarForReranking.from_backbone(model_path("all-MiniLM-L6-v2"))


def test_scores_do_not_depend_on_which_pairs_share_a_text_or_a_batch(minilm):
    together = minilm.score(PAIRS)
    alone = torch.cat([minilm.score([pair]) for pair in PAIRS])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=0)
    queries, passages = map(list, zip(*PAIRS, strict=True))
    for side in ("right", "left"):
        batch = minilm.tokenizer(queries, passages, padding=True, padding_side=side, return_tensors="pt")
        with torch.no_grad():
            torch.testing.assert_close(minilm(**batch).logits[:, 0], together, atol=1e-4, rtol=0)


def test_each_text_is_encoded_once(minilm):
    seen = []
    hook = minilm.backbone.embeddings.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append(int((kwargs["position_ids"] == 0).sum())), with_kwargs=True
    )
    try:
        minilm.score([(query, text) for query in QUERIES for _, text in PLANETS])
        assert sum(seen) == len(QUERIES) + len(PLANETS)
        seen.clear()
        batch = minilm.tokenizer(
            ["red"] * 10, [text for _, text in PLANETS], padding=True, return_tensors="pt"
        )
        with torch.no_grad():
            minilm(**batch)
        assert sum(seen) == 1 + len(PLANETS)
    finally:
        hook.remove()


def test_kept_vectors_rank_as_the_passages_themselves(minilm):
    texts = [text for _, text in PLANETS] + [""]
    vectors = minilm.encode_passages(texts)
    for query in QUERIES:
        expected, found = minilm.rank(query, texts), minilm.rank_encoded(query, vectors)
        assert [row["corpus_id"] for row in found] == [row["corpus_id"] for row in expected]
        assert [row["score"] for row in found] == pytest.approx([row["score"] for row in expected], abs=1e-4)
    assert len(minilm.rank_encoded("red", vectors, top_k=2)) == 2
    assert minilm.rank_encoded("red", []) == []
    assert sum(len(own.tokens) for own in vectors) < 400  # no padding is kept


def test_a_model_that_reads_both_texts_at_once_keeps_no_vectors(tiny_t5):
    model = TwolarForReranking.from_backbone(tiny_t5(False, "gated-gelu"))
    with pytest.raises(ValueError, match="only a bi_encoder encodes passages by themselves"):
        model.encode_passages(["Mars"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pooling_mode": "max"}, "pools by max; a start takes mean, cls, lasttoken"),
        ({"pooling_mode": ["cls", "mean"]}, "pools by cls and mean"),
    ],
)
def test_a_pooling_that_a_start_does_not_have_is_refused(change, message, tmp_path):
    path = save(tmp_path, "bert", "cls")
    (config,) = (tmp_path / "saved").glob("*Pooling/config.json")
    config.write_text(json.dumps(json.loads(config.read_text()) | change))
    with pytest.raises(ValueError, match=message):
        TwolarForReranking.from_backbone(path)
