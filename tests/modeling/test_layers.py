"""A start with fewer layers computes what the layers that are kept compute, one after the other."""

import pytest
import torch
from transformers import (
    AlbertConfig,
    AlbertModel,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    BertModel,
    MPNetConfig,
    MPNetModel,
    Qwen3ForCausalLM,
    SmolLM3Config,
    SmolLM3ForCausalLM,
    T5ForConditionalGeneration,
)

from modeling_twolar import TwolarForReranking, load_reranker
from modeling_twolar.layers import evenly_spaced, keep_layers
from retrieval.model_files import model_path
from tests.modeling.small_models import (
    CLASSIFIERS,
    DECODER_SIZE,
    PAIRS,
    SIZE,
    byte_level,
    save_classifier,
    save_language_model,
    save_model,
    word_piece,
)

# What a layer adds to the hidden states goes through one of these.
LAST_PROJECTIONS = (".o", ".wo", ".o_proj", ".down_proj", ".Wo")


def silence(layers, kept):
    """Have all other layers add nothing: what is left is the kept ones', where hidden states are sums."""
    for number, layer in enumerate(layers):
        for name, part in layer.named_modules():
            if number not in kept and name.endswith(LAST_PROJECTIONS):
                torch.nn.init.zeros_(part.weight)


@pytest.fixture
def deep_t5(tiny_t5):
    """A T5 of four layers in each stack."""
    folder = tiny_t5(False, "gated-gelu")
    config = T5ForConditionalGeneration.from_pretrained(folder).config
    config.num_layers = config.num_decoder_layers = 4
    torch.manual_seed(2)
    model = T5ForConditionalGeneration(config)
    for name, weight in model.named_parameters():
        if "relative_attention_bias" in name:
            torch.nn.init.normal_(weight, std=2.0)
    model.save_pretrained(folder)
    return folder


def test_evenly_spaced_layers_begin_with_the_first_and_end_with_the_last():
    assert evenly_spaced(1, 6) == [0]
    assert evenly_spaced(3, 6) == [0, 2, 5]
    assert evenly_spaced(4, 6) == [0, 1, 3, 5]
    assert evenly_spaced(6, 12) == [0, 2, 4, 6, 8, 11]
    assert evenly_spaced(6, 6) == [0, 1, 2, 3, 4, 5]
    for wrong in (0, -1, 7):
        with pytest.raises(ValueError, match=f"num_layers {wrong} is not from 1 to 6, the backbone's layers"):
            evenly_spaced(wrong, 6)


@pytest.mark.parametrize("layers", [[0, 2, 4], [1, 5]])
def test_bert_runs_its_kept_layers_one_after_the_other(layers):
    whole = BertModel.from_pretrained(model_path("all-MiniLM-L6-v2"))
    ids = torch.arange(1000, 1020).view(2, 10)
    with torch.no_grad():
        hidden = whole.embeddings(input_ids=ids)
        for layer in layers:
            hidden = whole.encoder.layer[layer](hidden)
        small = keep_layers(whole, layers)
        torch.testing.assert_close(small(input_ids=ids).last_hidden_state, hidden, atol=1e-5, rtol=0)
    assert small.config.num_hidden_layers == len(layers)


@pytest.mark.parametrize("layers", [[0, 2], [1, 3]])
def test_t5_keeps_layers_of_both_stacks_and_the_position_biases_of_the_first(deep_t5, layers):
    silenced = AutoModelForSeq2SeqLM.from_pretrained(deep_t5)
    silence(silenced.encoder.block, layers)
    silence(silenced.decoder.block, layers)
    expected = TwolarForReranking.from_backbone(deep_t5)
    expected.backbone.load_state_dict(
        {name: weight for name, weight in silenced.state_dict().items() if not name.startswith("lm_head")}
    )
    model = load_reranker(deep_t5, layers=layers)
    assert len(model.backbone.encoder.block) == len(model.backbone.decoder.block) == 2
    torch.testing.assert_close(model.score(PAIRS), expected.score(PAIRS), atol=1e-5, rtol=0)
    assert not torch.allclose(model.score(PAIRS), load_reranker(deep_t5).score(PAIRS), atol=1e-3)


@pytest.mark.parametrize("layers", [[0, 2], [1, 2], [2]])
@pytest.mark.parametrize("name", ["qwen3", "llama3"])
def test_a_language_model_keeps_layers(tmp_path, name, layers):
    folder = save_language_model(tmp_path / "start", name)
    small = load_reranker(folder, layers=layers).score(PAIRS)
    silenced = AutoModelForCausalLM.from_pretrained(folder)
    silence(silenced.model.layers, layers)
    silenced.save_pretrained(folder)
    torch.testing.assert_close(small, load_reranker(folder).score(PAIRS), atol=1e-4, rtol=0)


@pytest.mark.parametrize("layers", [[0, 2], [0, 1]])
@pytest.mark.parametrize("name", ["modernbert", "qwen3"])
def test_a_classifier_keeps_layers_of_the_model_inside(tmp_path, name, layers):
    folder = save_classifier(tmp_path, name)
    small = load_reranker(folder, layers=layers).score(PAIRS)
    silenced = AutoModelForSequenceClassification.from_pretrained(folder)
    silence(silenced.base_model.layers, layers)
    silenced.save_pretrained(folder)
    torch.testing.assert_close(small, load_reranker(folder).score(PAIRS), atol=1e-4, rtol=0)


def save_any(folder, name, tiny_t5):
    if name == "t5":
        return tiny_t5(True, "relu")
    if name == "sliding qwen3":  # only the last layer attends to a few tokens
        size = {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 2}
        return save_language_model(folder, "qwen3", **size)
    if name == "smollm3":
        size = {**DECODER_SIZE, "no_rope_layers": [1, 1, 0], "pad_token_id": 0}
        return save_model(folder, byte_level(), SmolLM3ForCausalLM, SmolLM3Config, **size)
    if name == "mpnet":
        return save_model(folder, word_piece(), MPNetModel, MPNetConfig, **SIZE)
    return save_classifier(folder, name)


EVERY_KIND = [*CLASSIFIERS, "t5", "mpnet", "sliding qwen3", "smollm3"]


@pytest.mark.parametrize("name", EVERY_KIND)
def test_a_start_that_keeps_all_layers_is_the_start(tmp_path, tiny_t5, name):
    folder = save_any(tmp_path, name, tiny_t5)
    total = 2 if name == "t5" else 3
    model, kept = load_reranker(folder), load_reranker(folder, layers=range(total))
    torch.testing.assert_close(kept.score(PAIRS), model.score(PAIRS), atol=0, rtol=0)


@pytest.mark.parametrize("name", EVERY_KIND)
def test_a_start_with_fewer_layers_survives_saving(tmp_path, tiny_t5, name):
    folder = save_any(tmp_path / "start", name, tiny_t5)
    layers = [0] if name == "t5" else [0, 2]
    model = load_reranker(folder, layers=layers)
    if model.config.readout == "first_token":
        torch.nn.init.normal_(model.head.weight)
    model.save_pretrained(tmp_path / "saved")
    again = load_reranker(tmp_path / "saved")
    assert again.config.backbone_config.num_hidden_layers == len(layers)
    torch.testing.assert_close(again.score(PAIRS), model.score(PAIRS), atol=1e-6, rtol=0)
    assert again.score(PAIRS).std() > 1e-4


def test_a_twolar_checkpoint_gives_up_layers_too(tmp_path):
    start = model_path("all-MiniLM-L6-v2")
    load_reranker(start).save_pretrained(tmp_path / "whole")
    model = load_reranker(tmp_path / "whole", num_layers=3)
    torch.testing.assert_close(model.score(PAIRS), load_reranker(start, layers=[0, 2, 5]).score(PAIRS))
    model.save_pretrained(tmp_path / "small")
    again = load_reranker(tmp_path / "small")
    torch.testing.assert_close(again.score(PAIRS), model.score(PAIRS))
    assert len(again.backbone.encoder.layer) == 3


def test_a_start_with_fewer_layers_trains_all_its_weights(tmp_path):
    model = load_reranker(save_classifier(tmp_path, "modernbert"), num_layers=2).train()
    batch = model.tokenizer(*map(list, zip(*PAIRS, strict=True)), padding=True, return_tensors="pt")
    model(**batch).logits.pow(2).sum().backward()
    assert [name for name, weight in model.named_parameters() if weight.grad is None] == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layers": [0, 3]}, r"layers \[0, 3\] are not ascending numbers below 3, the backbone's layers"),
        ({"layers": [1, 0]}, r"layers \[1, 0\] are not ascending"),
        ({"layers": [0, 0]}, r"layers \[0, 0\] are not ascending"),
        ({"layers": [-1, 0]}, r"layers \[-1, 0\] are not ascending"),
        ({"layers": []}, r"layers \[\] are not ascending"),
        ({"layers": [1, 2]}, "layer 0 has to be kept of the backbone's 3 layers"),
        ({"num_layers": 4}, "num_layers 4 is not from 1 to 3, the backbone's layers"),
        ({"num_layers": 0}, "num_layers 0 is not from 1 to 3"),
        ({"num_layers": 1, "layers": [0]}, "layers and num_layers exclude each other"),
    ],
)
def test_layers_that_are_not_there_are_refused_in_one_line(tmp_path, settings, message):
    folder = save_classifier(tmp_path, "modernbert")
    with pytest.raises(ValueError, match=message) as caught:
        load_reranker(folder, **settings)
    assert "\n" not in str(caught.value)


def test_a_backbone_with_one_layer_for_all_is_refused(tmp_path):
    size = {**SIZE, "embedding_size": 16}
    folder = save_model(tmp_path, word_piece(), AlbertModel, AlbertConfig, **size)
    with pytest.raises(ValueError, match="layers of albert cannot be left out"):
        load_reranker(folder, num_layers=1)


def test_layers_are_numbered_anew_for_a_language_models_cache(tmp_path):
    model = Qwen3ForCausalLM.from_pretrained(save_language_model(tmp_path, "qwen3"))
    keep_layers(model, [0, 2])
    assert [layer.self_attn.layer_idx for layer in model.model.layers] == [0, 1]
    ids = torch.arange(10, 20)[None]
    with torch.no_grad():
        whole = model(input_ids=ids).logits[:, -1]
        cache = model(input_ids=ids[:, :-1], use_cache=True).past_key_values
        step = model(input_ids=ids[:, -1:], past_key_values=cache).logits[:, -1]
    torch.testing.assert_close(step, whole, atol=1e-4, rtol=0)
