"""Encoders and causal language models serve as backbones too, and every backbone can be trained."""

import pytest
import torch
from transformers import (
    BertConfig,
    BertModel,
    ModernBertConfig,
    ModernBertModel,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from modeling_twolar import TwolarForReranking
from retrieval.model_files import model_path
from tests.conftest import PLANETS, t5_tokenizer

PAIRS = [("red planet", text) for _, text in PLANETS]
SIZE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}


def save(folder, model):
    tokenizer = t5_tokenizer()
    tokenizer.add_special_tokens({"cls_token": "[CLS]", "sep_token": "[SEP]"})
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(params=["bert", "modernbert", "qwen3", "t5", "bi-encoder"])
def backbone(request, tmp_path, tiny_t5):
    torch.manual_seed(0)
    if request.param == "t5":
        return tiny_t5(False, "gated-gelu")
    if request.param == "bi-encoder":
        return model_path("all-MiniLM-L6-v2")
    if request.param == "bert":
        return save(tmp_path, BertModel(BertConfig(vocab_size=500, **SIZE)))
    if request.param == "modernbert":
        return save(tmp_path, ModernBertModel(ModernBertConfig(vocab_size=500, pad_token_id=0, **SIZE)))
    config = Qwen3Config(vocab_size=500, num_key_value_heads=2, head_dim=8, **SIZE)
    return save(tmp_path, Qwen3ForCausalLM(config))


def test_every_backbone_trains_and_survives_saving(backbone, tmp_path):
    model = TwolarForReranking.from_backbone(backbone)
    model.train()
    batch = model.tokenizer(
        *map(list, zip(*PAIRS, strict=True)), truncation="only_second", padding=True, return_tensors="pt"
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    before = model.score(PAIRS)
    for _ in range(3):
        model(**batch).logits[:, 0].matmul(torch.linspace(-1, 1, len(PAIRS))).neg().backward()
        optimizer.step()
        optimizer.zero_grad()
    after = model.score(PAIRS)
    assert not torch.allclose(before, after)
    model.save_pretrained(tmp_path / "saved")
    again = TwolarForReranking.from_pretrained(tmp_path / "saved")
    torch.testing.assert_close(again.score(PAIRS), after, atol=1e-4, rtol=0)
    alone = torch.cat([again.score([pair]) for pair in PAIRS])
    torch.testing.assert_close(alone, after, atol=1e-4, rtol=0)


def test_a_causal_language_model_is_read_at_its_last_token(tmp_path):
    torch.manual_seed(0)
    config = Qwen3Config(vocab_size=500, num_key_value_heads=2, head_dim=8, **SIZE)
    folder = save(tmp_path, Qwen3ForCausalLM(config))
    model = TwolarForReranking.from_backbone(folder)
    whole = Qwen3ForCausalLM.from_pretrained(folder)
    true, false = (
        model.tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in ("true", "false")
    )
    ids = model.tokenizer(*PAIRS[0], return_tensors="pt")["input_ids"]
    with torch.no_grad():
        logits = whole(input_ids=ids).logits[0, -1]
    torch.testing.assert_close(model.score(PAIRS[:1])[0], logits[true] - logits[false], atol=1e-4, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("backbone", ["bi-encoder", "t5", "qwen3"], indirect=True)
def test_a_model_compiles_as_one_graph(backbone):
    model = TwolarForReranking.from_backbone(backbone).eval()
    columns = map(list, zip(*PAIRS, strict=True))
    batch = model.tokenizer(*columns, truncation="only_second", padding=True, return_tensors="pt")
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(**batch).logits, model(**batch).logits, atol=1e-4, rtol=0)
