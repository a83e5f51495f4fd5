"""A saved checkpoint works in a clean process in another folder, with nothing of ours on the path."""

import json
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForSequenceClassification

from model_cards.checks import WITHOUT_OURS
from modeling_twolar import TwolarForReranking, load_reranker
from retrieval.model_files import model_path
from tests.modeling.small_models import save_classifier, save_language_model

PAIRS = [("red planet", "Mars is called the red planet."), ("red planet", "The Sun is a star."), ("a", "")]

CLEAN_PROCESS = """
import json, sys
import torch
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer, pipeline
from sentence_transformers import CrossEncoder

def doors(path, pairs):
    found = {}
    model = AutoModel.from_pretrained(path, trust_remote_code=True)
    found["score"] = model.score(pairs).tolist()
    found["rank"] = [row["corpus_id"] for row in model.rank(pairs[0][0], [passage for _, passage in pairs])]
    tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=True)
    classifier = AutoModelForSequenceClassification.from_pretrained(path, trust_remote_code=True)
    batch = tokenizer(*map(list, zip(*pairs)), truncation="only_second", padding=True, return_tensors="pt")
    with torch.no_grad():
        found["classifier"] = classifier(**batch).logits[:, 0].tolist()
    text_classification = pipeline("text-classification", model=path, trust_remote_code=True)
    inputs = [{"text": query, "text_pair": passage} for query, passage in pairs]
    found["pipeline"] = [row["score"] for row in text_classification(inputs)]
    cross_encoder = CrossEncoder(path, trust_remote_code=True)
    found["cross_encoder"] = cross_encoder.predict(pairs).tolist()
    order = cross_encoder.rank(pairs[0][0], [passage for _, passage in pairs])
    found["cross_encoder_rank"] = [row["corpus_id"] for row in order]
    return found

folder, names, pairs = sys.argv[1], *map(json.loads, sys.argv[2:])
print(json.dumps({name: doors(f"{folder}/{name}", pairs) for name in names}))
"""
INT8 = "int8"
# The language model's tokenizer is byte-level, and begins each text.
STARTS = {
    "t5": lambda tiny_t5, folder: tiny_t5(False, "gated-gelu"),
    "minilm": lambda tiny_t5, folder: model_path("all-MiniLM-L6-v2"),
    "classifier": lambda tiny_t5, folder: save_classifier(folder, "bert"),
    "two labels": lambda tiny_t5, folder: save_classifier(folder, "modernbert", 2),
    "language model": lambda tiny_t5, folder: save_language_model(folder, "llama3"),
}


@pytest.fixture(scope="module")
def checkpoints(tiny_t5, tmp_path_factory):
    """A checkpoint of each kind of start, by its name, and what each door gives of it in one clean process."""
    folder = tmp_path_factory.mktemp("checkpoints")
    models = {
        name: TwolarForReranking.from_backbone(start(tiny_t5, folder / f"start of {name}"))
        for name, start in STARTS.items()
    }
    models[INT8] = TwolarForReranking.from_backbone(model_path("all-MiniLM-L6-v2")).quantize()
    for name, model in models.items():
        model.save_pretrained(folder / name)
    result = subprocess.run(
        [
            sys.executable, "-c", WITHOUT_OURS + CLEAN_PROCESS, str(folder), json.dumps(list(models)),
            json.dumps(PAIRS),
        ],
        cwd=folder, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return models, json.loads(result.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", [*STARTS, INT8])
def test_every_door_gives_the_same_scores(name, checkpoints):
    model, found = (each[name] for each in checkpoints)
    expected = model.score(PAIRS)
    for door in ("score", "classifier", "pipeline", "cross_encoder"):
        # Of an empty second text transformers makes a text alone, which a classifier's own tokenizer reads otherwise.
        count = 2 if door == "pipeline" and model.config.readout == "classifier" else 3
        torch.testing.assert_close(
            torch.tensor(found[door])[:count], expected[:count], atol=1e-4, rtol=0, msg=door
        )
    same_query = [(PAIRS[0][0], passage) for _, passage in PAIRS]
    order = model.score(same_query).argsort(descending=True).tolist()
    assert found["rank"] == order
    assert found["cross_encoder_rank"] == order


def test_a_checkpoint_carries_no_path_of_this_machine(tiny_t5, tmp_path):
    backbone = tiny_t5(True, "relu")
    TwolarForReranking.from_backbone(backbone).save_pretrained(tmp_path)
    for path in tmp_path.glob("*.json"):
        assert str(backbone.parent) not in path.read_text(), path.name


def test_a_checkpoint_trained_further_keeps_its_weights_through_saving(tiny_t5, tmp_path):
    model = TwolarForReranking.from_backbone(tiny_t5(False, "gated-gelu"), "softmax")
    model.save_pretrained(tmp_path)
    again = TwolarForReranking.from_pretrained(tmp_path)
    assert again.config.score_strategy == "softmax"
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], weight)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"score_strategy": "extra_id"}, "needs a T5 backbone"),
        ({"score_strategy": "sum"}, "score_strategy 'sum' is not one of"),
        ({"readout": "decoder_step"}, "readout 'decoder_step' does not fit bert"),
    ],
)
def test_what_does_not_fit_a_backbone_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        TwolarForReranking.from_backbone(model_path("all-MiniLM-L6-v2"), **settings)


def test_a_checkpoint_of_the_first_release_loads_without_its_pooler(tmp_path):
    model = TwolarForReranking.from_backbone(model_path("all-MiniLM-L6-v2"))
    assert not [name for name, _ in model.named_parameters() if "pooler" in name]
    model.save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    size = model.config.backbone_config.hidden_size
    weights |= {
        "backbone.pooler.dense.weight": torch.ones(size, size),
        "backbone.pooler.dense.bias": torch.ones(size),
    }
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    again, found = TwolarForReranking.from_pretrained(tmp_path, output_loading_info=True)
    assert not found["unexpected_keys"] and not found["missing_keys"]
    torch.testing.assert_close(again.score(PAIRS), model.score(PAIRS))


def test_a_start_makes_no_backbone_of_random_weights(tiny_t5, tmp_path, monkeypatch):
    folders = [
        tiny_t5(True, "relu"),
        save_language_model(tmp_path / "lm", "qwen3"),
        save_classifier(tmp_path, "bert"),
    ]
    made_on = []
    for kind in (AutoModel, AutoModelForSequenceClassification):
        make = kind.from_config

        def record(config, make=make):
            made_on.append(torch.empty(0).device.type)
            return make(config)

        monkeypatch.setattr(kind, "from_config", record)
    models = [TwolarForReranking.from_backbone(folder) for folder in folders]
    assert made_on == ["meta"]  # the T5's, whose weights are then put in
    for model in models:
        TwolarForReranking(model.config)
    assert made_on == ["meta", "cpu", "cpu", "cpu"]


def test_the_tokenizer_comes_from_the_weights_subfolder(tiny_t5, tmp_path):
    model = TwolarForReranking.from_backbone(tiny_t5(False, "gated-gelu"))
    model.save_pretrained(tmp_path / "inner")
    loaded = TwolarForReranking.from_pretrained(tmp_path, subfolder="inner")
    assert loaded.tokenizer.get_vocab() == model.tokenizer.get_vocab()
    assert loaded.score([("red", "Mars")]) == model.score([("red", "Mars")])


def test_logits_stay_float32_under_autocast(tiny_t5):
    model = TwolarForReranking.from_backbone(tiny_t5(False, "gated-gelu"))
    batch = model.tokenizer(["red"], ["Mars"], return_tensors="pt")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(**batch).logits
    assert logits.dtype == torch.float32


@pytest.mark.parametrize("path", ["/no/such/model", "./no-such-model", "../no-such-model"])
def test_a_path_that_does_not_exist_is_called_so_and_no_name_of_the_hub(path):
    with pytest.raises(OSError, match=f"^{path} does not exist$"):
        load_reranker(path)
