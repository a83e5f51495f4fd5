"""Exports score as the model does: the graph under onnxruntime, and the twin under plain transformers."""

import json
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
import torch
from transformers import AutoTokenizer

from modeling_twolar import load_reranker
from retrieval.errors import InputError
from serving.export import export
from tests.command_line import run_module
from tests.modeling.small_models import PAIRS, save_classifier, save_language_model
from tests.modeling.test_bi_encoder import save as save_bi_encoder

PLAIN = """
import sys
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

folder, texts = sys.argv[1], __TEXTS__
model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
tokenizer = AutoTokenizer.from_pretrained(folder)
with torch.no_grad():
    logits = model(**tokenizer(*texts, padding=True, return_tensors="pt")).logits
assert "modeling_twolar" not in " ".join(sys.modules)
assert model.config.problem_type == "regression"  # so that a pipeline gives these scores
print(logits[:, 0].tolist())
"""
PAIRS_OF_TEXT = [(query.strip(), passage.strip() or "Mars") for query, passage in PAIRS]


def texts_for(folder):
    """What a tokenizer without our code takes: two lists of texts, or one of filled prompts."""
    prompt = json.loads((folder / "export.json").read_text())["prompt_template"]
    if prompt is None:
        return [list(column) for column in zip(*PAIRS_OF_TEXT, strict=True)]
    return [[prompt.replace("{query}", query).replace("{passage}", text) for query, text in PAIRS_OF_TEXT]]


def graph_scores(folder, file="model.onnx"):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    session = onnxruntime.InferenceSession(folder / "onnx" / file)
    columns = tokenizer(*texts_for(folder), padding=True, return_tensors="np")
    (logits,) = session.run(None, {each.name: columns[each.name] for each in session.get_inputs()})
    assert [each.shape for each in session.get_outputs()] == [["batch_size", 1]]
    assert all(each.shape == ["batch_size", "sequence_length"] for each in session.get_inputs())
    return logits[:, 0]


@pytest.mark.parametrize("kind", ["t5", "bi-encoder", "bert", "qwen3"])
def test_a_graph_scores_as_the_model_does(kind, tiny_t5, tmp_path):
    source = {
        "t5": lambda: tiny_t5(False, "gated-gelu"),
        "bi-encoder": lambda: save_bi_encoder(tmp_path, "bert", "mean"),
        "bert": lambda: save_classifier(tmp_path / "bert", "bert"),
        "qwen3": lambda: save_language_model(tmp_path / "qwen3", "qwen3"),
    }[kind]()
    figures = export(str(source), tmp_path / "out", int8=kind == "bi-encoder")
    expected = load_reranker(source).score(PAIRS_OF_TEXT).numpy()
    found = graph_scores(tmp_path / "out")
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert found.std() > 1e-3
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["architectures"][0].endswith("ForSequenceClassification")
    # The one class that each version of transformers has.
    settings = json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())
    assert settings["tokenizer_class"] == "PreTrainedTokenizerFast" and "auto_map" not in settings
    assert config["id2label"] == {"0": "LABEL_0"} and config["max_position_embeddings"] > 0
    assert json.loads((tmp_path / "out" / "export.json").read_text())["scores"].keys() == figures.keys()
    if kind == "bi-encoder":
        rounded = graph_scores(tmp_path / "out", "model_quantized.onnx")
        assert 0 < abs(rounded - expected).max() < expected.std()


@pytest.mark.parametrize("kind", ["qwen3", "bert"])
def test_a_twin_scores_alike_in_a_process_without_our_code(kind, tmp_path):
    save = {"qwen3": save_language_model, "bert": save_classifier}[kind]
    source = save(tmp_path / kind, kind)
    export(str(source), tmp_path / "out")
    script = tmp_path / "plain.py"
    script.write_text(PLAIN.replace("__TEXTS__", repr(texts_for(tmp_path / "out"))))
    found = run_script(script, tmp_path / "out")
    expected = load_reranker(source).score(PAIRS_OF_TEXT)
    torch.testing.assert_close(torch.tensor(found), expected, atol=1e-4, rtol=0)
    assert not (tmp_path / "out" / "modeling_twolar.py").exists()


def run_script(script, folder):
    done = subprocess.run(
        [sys.executable, script, folder], cwd=script.parent, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_an_export_of_an_int8_checkpoint_is_refused(tiny_t5, tmp_path):
    load_reranker(tiny_t5(False, "gated-gelu")).quantize().save_pretrained(tmp_path / "int8")
    with pytest.raises(InputError, match="its weights are int8, for scoring alone"):
        export(str(tmp_path / "int8"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_export_over_something_is_refused(tmp_path):
    (tmp_path / "out").mkdir()
    done = run_module("serving.export", "nothing", tmp_path / "out")
    assert done.returncode == 2 and "is there already" in done.stderr
