"""A calibration finds the sigmoid that the labels were drawn from, and is kept with the checkpoint."""

import json

import pytest
import torch

from modeling_twolar import TwolarForReranking
from retrieval.errors import InputError
from retrieval.model_files import model_path
from tests.command_line import run_module
from tests.conftest import PLANETS
from training.calibration import fit, table


def drawn(temperature, shift):
    generator = torch.Generator().manual_seed(0)
    scores = shift + 3 * temperature * torch.randn(20_000, generator=generator)
    return scores, torch.rand(20_000, generator=generator) < ((scores - shift) / temperature).sigmoid()


def test_the_sigmoid_that_labels_were_drawn_from_is_found():
    scores, relevant = drawn(4.0, 17.0)
    found = fit(scores, relevant)
    assert found.temperature == pytest.approx(4.0, rel=0.05)
    assert found.shift == pytest.approx(17.0, abs=0.2)
    relevance = found.relevance(scores)
    assert relevance.mean().item() == pytest.approx(relevant.double().mean().item(), abs=0.01)
    assert (relevance.argsort(stable=True) == scores.argsort(stable=True)).all()
    assert "| 0.5 | " in table(relevance, relevant)


def test_scores_that_separate_the_two_get_a_finite_temperature():
    found = fit(torch.tensor([5.0, 6.0, 28.0, 29.0]), torch.tensor([False, False, True, True]))
    assert 0.5 < found.temperature < 50
    assert found.relevance(torch.tensor([5.0, 29.0]))[1] < 1 - 1e-6


@pytest.mark.parametrize(
    ("relevant", "message"), [([True, True], "there is none"), ([True, False], "a higher score means less")]
)
def test_labels_that_scores_cannot_follow_are_refused(relevant, message):
    with pytest.raises(InputError, match=message):
        fit(torch.tensor([1.0, 2.0]), torch.tensor(relevant))


def test_a_checkpoint_keeps_its_calibration(tiny_t5, tmp_path):
    model = TwolarForReranking.from_backbone(tiny_t5(False, "gated-gelu"))
    model.config.score_temperature, model.config.score_shift = 4.0, 17.0
    model.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["score_shift"] == 17.0
    loaded = TwolarForReranking.from_pretrained(tmp_path)
    assert loaded.relevance(torch.tensor([17.0, 21.0])).tolist() == pytest.approx([0.5, 0.7310586])
    assert loaded.relevance([17, 21.0]).tolist() == pytest.approx([0.5, 0.7310586])


def test_a_checkpoint_is_calibrated_on_a_dataset(rankings, tmp_path):
    TwolarForReranking.from_backbone(model_path("all-MiniLM-L6-v2"), num_layers=1).save_pretrained(tmp_path)
    done = run_module("training.calibrate", tmp_path, "--dataset_name", rankings, "--split", "train")
    assert done.returncode == 0, done.stderr
    model = TwolarForReranking.from_pretrained(tmp_path)
    scores = model.score([("Mars is called the red planet", text) for _, text in PLANETS])
    relevance = model.relevance(scores)
    assert relevance.argmax() == scores.argmax() and relevance.max() > 0.5 > relevance.median()
    refused = run_module("training.calibrate", tmp_path, "--dataset_name", rankings, "--split", "dev")
    assert refused.returncode == 2 and "has no split 'dev', only" in refused.stderr


def test_a_checkpoint_is_calibrated_on_judged_queries(collection, tmp_path):
    checkpoint = tmp_path / "checkpoint"
    TwolarForReranking.from_backbone(model_path("all-MiniLM-L6-v2"), num_layers=1).save_pretrained(checkpoint)
    done = run_module(
        "training.calibrate", checkpoint, "--judged", collection, "--split", "test", "--top_k", "4"
    )
    assert done.returncode == 0, done.stderr
    # BM25's best four for "which planet is red" and "rings made of ice": Mars, Jupiter and Saturn are relevant.
    assert " 3 of them judged relevant" in done.stdout
    model = TwolarForReranking.from_pretrained(checkpoint)
    texts = dict(PLANETS)
    mars, sun = model.relevance(
        model.score([("which planet is red", texts[name]) for name in ("mars", "sun")])
    )
    assert mars > 0.5 > sun


def test_a_folder_without_a_checkpoint_is_refused(tmp_path):
    done = run_module("training.calibrate", tmp_path, "--dataset_name", "none")
    assert done.returncode == 2 and "does not exist" in done.stderr
