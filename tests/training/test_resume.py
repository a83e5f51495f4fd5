"""A training that was interrupted goes on, with what it began with."""

import torch
from datasets import Dataset
from safetensors.torch import load_file

from tests.training.conftest import errors_of, row, train


def test_a_resumed_run_ends_in_bit_identical_weights(rankings, tiny_t5, tmp_path):
    backbone = tiny_t5(False, "gated-gelu")
    flags = ("--num_train_epochs", "2", "--save_strategy", "steps", "--save_steps", "3")
    assert train(rankings, backbone, tmp_path / "whole", *flags).returncode == 0
    checkpoint = tmp_path / "whole" / "checkpoint-3"
    result = train(
        rankings, backbone, tmp_path / "resumed", *flags, "--resume_from_checkpoint", str(checkpoint)
    )
    assert result.returncode == 0, result.stderr
    whole, resumed = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "resumed"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    started = load_file(checkpoint / "model.safetensors")
    assert not all(torch.equal(whole[name], started[name]) for name in whole)


def test_an_interrupted_run_continues_by_itself_where_it_stopped(rankings, tiny_t5, tmp_path):
    backbone = tiny_t5(False, "gated-gelu")
    flags = ("--save_strategy", "steps", "--save_steps", "3")
    assert train(rankings, backbone, tmp_path / "out", *flags, "--num_train_epochs", "1").returncode == 0
    for name in ("all_results.json", "model.safetensors"):
        (tmp_path / "out" / name).unlink()
    result = train(rankings, backbone, tmp_path / "out", *flags, "--num_train_epochs", "1")
    assert result.returncode == 0, result.stderr
    assert "continuing from" in result.stdout
    assert (tmp_path / "out" / "model.safetensors").is_file()


def test_a_run_goes_on_only_with_the_settings_and_the_data_it_began_with(rankings, tiny_t5, tmp_path):
    backbone, out = tiny_t5(False, "gated-gelu"), tmp_path / "out"
    flags = ("--save_strategy", "steps", "--save_steps", "3", "--num_train_epochs", "1")
    assert train(rankings, backbone, out, *flags).returncode == 0
    for name in ("all_results.json", "model.safetensors"):
        (out / name).unlink()
    other = tmp_path / "other"
    Dataset.from_list([row(n) for n in range(11)]).to_parquet(other / "train.parquet")
    before = {path.name for path in out.rglob("*")}
    for changed, names in [
        (("--loss", "listnet"), "--loss ranknet, not listnet"),
        (("--learning_rate", "1e-4"), "--learning_rate 0.001, not 0.0001"),
        (("--num_passages", "4"), "--num_passages 30, not 4"),
        (("--dataset_name", str(other)), "--dataset_name "),
        (("--num_layers", "1"), "--num_layers None, not 1"),
        (("--resume_from_checkpoint", str(out / "checkpoint-3"), "--seed", "7"), "--seed 42, not 7"),
    ]:
        (error,) = errors_of(train(rankings, backbone, out, *flags, *changed))
        assert f"was trained with {names}" in error
    (out / "checkpoint-6" / "training_settings.json").unlink()
    (error,) = errors_of(
        train(rankings, backbone, out, *flags, "--resume_from_checkpoint", str(out / "checkpoint-6"))
    )
    assert "is no whole checkpoint" in error
    assert {path.name for path in out.rglob("*")} == before
    result = train(rankings, backbone, out, *flags)
    assert result.returncode == 0 and "continuing from" in result.stdout and "checkpoint-3" in result.stdout
    assert "measuring the start" not in result.stdout  # it was, and is kept
