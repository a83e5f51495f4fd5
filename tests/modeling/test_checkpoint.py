"""A saved checkpoint works in a clean process in another folder, with nothing of ours on the path."""

import json
import subprocess
import sys

import pytest
import torch

from dataset_builder.packaged_model import model_path
from modeling_twolar import TwolarForReranking

PAIRS = [("red planet", "Mars is called the red planet."), ("red planet", "The Sun is a star."), ("a", "")]

CLEAN_PROCESS = """
import json, sys
import torch
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer, pipeline
from sentence_transformers import CrossEncoder

path, pairs = sys.argv[1], json.loads(sys.argv[2])
assert not any(name.startswith("modeling_twolar") for name in sys.modules)
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
found["pipeline"] = [row["score"] for row in text_classification(inputs, function_to_apply="none")]
cross_encoder = CrossEncoder(path, trust_remote_code=True)
found["cross_encoder"] = cross_encoder.predict(pairs).tolist()
found["cross_encoder_rank"] = [row["corpus_id"] for row in cross_encoder.rank(pairs[0][0], [p for _, p in pairs])]
print(json.dumps(found))
"""


@pytest.mark.parametrize("backbone", ["t5", "minilm"])
def test_every_door_gives_the_same_scores(tiny_t5, tmp_path, backbone):
    start = tiny_t5(False, "gated-gelu") if backbone == "t5" else model_path("all-MiniLM-L6-v2")
    model = TwolarForReranking.from_backbone(start)
    model.save_pretrained(tmp_path / "checkpoint")
    result = subprocess.run(
        [sys.executable, "-c", CLEAN_PROCESS, str(tmp_path / "checkpoint"), json.dumps(PAIRS)],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout.splitlines()[-1])
    expected = model.score(PAIRS)
    for door in ("score", "classifier", "pipeline", "cross_encoder"):
        torch.testing.assert_close(torch.tensor(found[door]), expected, atol=1e-4, rtol=0, msg=door)
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
