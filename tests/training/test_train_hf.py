"""`train_hf.py` as a user runs it: a small student on a small dataset, saved, merged, judged, in stages."""

import json
import subprocess
import sys

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModel

from modeling_twolar import TwolarForReranking
from retrieval.errors import InputError
from tests.command_line import ROOT, run_module
from tests.conftest import PLANETS
from tests.training.conftest import errors_of, ndcg_of, train
from training.arguments import parse_arguments


def test_training_writes_a_checkpoint_that_loads_and_has_learnt(rankings, tiny_t5, tmp_path):
    folder = tmp_path / "judged"
    (folder / "qrels").mkdir(parents=True)
    (folder / "qrels" / "dev.tsv").write_text("query-id\tcorpus-id\tscore\n1\tmars\t2\n")
    (folder / "queries.jsonl").write_text('{"_id": "1", "text": "red planet"}\n')
    (folder / "corpus.jsonl").write_text(
        "".join(json.dumps({"_id": d, "text": t}) + "\n" for d, t in PLANETS)
    )
    (folder / "run.txt").write_text("1 Q0 sun 1 3 x\n1 Q0 mars 2 2 x\n1 Q0 moon 3 1 x\n")
    flags = ("--num_train_epochs", "6", "--logging_steps", "6", "--eval_collection", str(folder),
             "--eval_first_stage", str(folder / "run.txt"), "--report_to", "tensorboard")  # fmt: skip
    backbone = tiny_t5(False, "gated-gelu")
    result = train(rankings, backbone, tmp_path / "out", *flags)
    assert result.returncode == 0, result.stderr
    metrics = json.loads((tmp_path / "out" / "all_results.json").read_text())
    history = json.loads((tmp_path / "out" / "trainer_state.json").read_text())["log_history"]
    losses = [entry["loss"] for entry in history if "loss" in entry]
    assert list((tmp_path / "out").rglob("events.out.tfevents.*"))
    assert metrics["train_rankings"] == 12
    verdict = json.loads((tmp_path / "out" / "training_run.json").read_text())["verdict"]
    judged, teachers_order = verdict["changes"]
    start = TwolarForReranking.from_backbone(
        json.loads((tmp_path / "out" / "training_run.json").read_text())["base_model"]
    )
    assert judged["start"] == pytest.approx(ndcg_of(start))
    assert judged["end"] == pytest.approx(ndcg_of(TwolarForReranking.from_pretrained(tmp_path / "out")))
    assert 0 < teachers_order["end"] <= 1 and teachers_order["num_queries"] == 1
    last = result.stdout.strip().splitlines()[-1]
    assert last.startswith(
        f"{verdict['word']}: the student against its start: nDCG@10 {judged['start']:.4f} → "
    )
    model = TwolarForReranking.from_pretrained(tmp_path / "out")
    assert model.score([("Mars", "Mars is red.")]).isfinite().all()
    assert len(losses) == 6
    assert losses[-1] < losses[0]


def test_adapters_are_saved_and_merged_into_a_checkpoint_that_automodel_loads(rankings, tiny_t5, tmp_path):
    backbone = tiny_t5(False, "gated-gelu")
    flags = ("--use_peft", "True", "--num_train_epochs", "2", "--loss", "listmle", "--passages_per_chunk", "2",
             "--gradient_checkpointing", "True")  # fmt: skip
    result = train(rankings, backbone, tmp_path / "out", *flags)
    assert result.returncode == 0, result.stderr
    pairs = [("red planet", text) for _, text in PLANETS]
    merged = AutoModel.from_pretrained(tmp_path / "out", trust_remote_code=True).score(pairs)
    start = TwolarForReranking.from_backbone(backbone)
    untrained = start.score(pairs)
    adapted = PeftModel.from_pretrained(start, tmp_path / "out" / "adapter").eval()
    batch = start.tokenizer(*map(list, zip(*pairs, strict=True)), padding=True, return_tensors="pt")
    with torch.no_grad():
        torch.testing.assert_close(adapted(**batch).logits[:, 0], merged, atol=1e-4, rtol=0)
    assert not torch.allclose(merged, untrained, atol=1e-3)
    assert (tmp_path / "out" / "training.png").stat().st_size > 1000


def test_a_compact_student_has_the_layers_it_was_asked_for(rankings, tiny_t5, tmp_path):
    result = train(rankings, tiny_t5(False, "gated-gelu"), tmp_path / "out", "--num_layers", "1")
    assert result.returncode == 0, result.stderr
    model = AutoModel.from_pretrained(tmp_path / "out", trust_remote_code=True)
    assert len(model.backbone.encoder.block) == len(model.backbone.decoder.block) == 1


def test_a_recipe_of_two_stages_goes_on_from_the_first_and_is_judged_against_its_start(
    rankings, tiny_t5, tmp_path
):
    backbone, out = tiny_t5(False, "gated-gelu"), tmp_path / "out"
    settings = tmp_path / "recipe.yaml"
    settings.write_text(
        "report_to: none\nuse_cpu: true\ngradient_accumulation_steps: 2\nlearning_rate: 1.0e-3\n"
        "stages:\n  - {loss: listnet, num_train_epochs: 2}\n  - {loss: ranknet}\n"
    )
    flags = ("--model_name_or_path", str(backbone), "--dataset_name", str(rankings), "--output_dir", str(out))

    def run(*more):
        return run_module("train_hf", settings, *flags, *more)

    result = run()
    assert result.returncode == 0, result.stderr
    record = json.loads((out / "training_run.json").read_text())
    assert (record["base_model"], record["arguments"]["loss"]) == (str(backbone), "ranknet")
    assert [stage["loss"] for stage in record["earlier_stages"]] == ["listnet"]
    measures = [
        json.loads((folder / "start.json").read_text())["measures"] for folder in (out, out / "stage-1")
    ]
    assert measures[0] == measures[1]
    first, last = (load_file(folder / "model.safetensors") for folder in (out / "stage-1", out))
    start = TwolarForReranking.from_backbone(backbone).state_dict()
    assert not torch.equal(first["head.weight"], last["head.weight"])
    # The second stage's first step is a small one: it began at the first stage's weights, not at the start's.
    assert (first["head.weight"] - last["head.weight"]).abs().max() < 6.1e-3
    assert (first["head.weight"] - start["head.weight"]).abs().max() > 6.1e-3

    # The last stage is trained again from the first one's student; another first stage is refused.
    (out / "all_results.json").unlink()
    again = run()
    assert again.returncode == 0 and "is trained already" in again.stdout, again.stderr
    (out / "all_results.json").unlink()
    settings.write_text(settings.read_text().replace("listnet", "listmle"))
    (error,) = errors_of(run())
    assert "was trained with --loss listnet, not listmle" in error


def test_what_shapes_a_start_is_not_asked_of_the_stages_after_it(tmp_path):
    settings = tmp_path / "recipe.yaml"
    settings.write_text(
        f"model_name_or_path: m\ndataset_name: d\nlayers: [0, 5]\noutput_dir: {tmp_path}\n"
        "stages: [{loss: infonce}, {learning_rate: 1.0e-6, dataset_name: e}]\n"
    )
    first, second = parse_arguments([str(settings), "--seed", "7"])
    assert (first.model.model_name_or_path, first.model.layers) == ("m", [0, 5])
    assert (second.model.model_name_or_path, second.model.layers) == (str(tmp_path / "stage-1"), None)
    assert (first.folder, second.folder) == (tmp_path / "stage-1", tmp_path)
    assert (first.training.loss, second.training.loss) == ("infonce", "ranknet")
    assert (first.data.dataset_name, second.data.dataset_name) == ("d", "e")
    assert (first.training.seed, second.training.learning_rate) == (7, 1e-6)
    settings.write_text("model_name_or_path: m\ndataset_name: d\nstages: ranknet\n")
    with pytest.raises(InputError, match="stages must be a list"):
        parse_arguments([str(settings)])


def test_a_merged_student_lies_between_start_and_end_and_is_not_below_the_start(rankings, tiny_t5, tmp_path):
    """With a rate that destroys the student, the start is what is left."""
    backbone = tiny_t5(False, "gated-gelu")
    start = TwolarForReranking.from_backbone(backbone).state_dict()
    for rate in ("1e-3", "1"):
        out = tmp_path / rate
        flags = (
            "--merge_with_start",
            "True",
            "--learning_rate",
            rate,
            "--held_out",
            "0.3",
            "--eval_split",
            "none",
        )
        result = train(rankings, backbone, out, *flags)
        assert result.returncode == 0, result.stderr
        verdict = json.loads((out / "training_run.json").read_text())["verdict"]
        (change,) = verdict["changes"]
        assert change["end"] >= change["start"] and verdict["word"] != "WORSE"
        if rate == "1":
            saved = load_file(out / "model.safetensors")
            share = verdict["merge_weight"]
            assert share < 1
            trained = load_file(next(out.glob("checkpoint-*/model.safetensors")))
            expected = torch.lerp(start["head.weight"], trained["head.weight"], share)
            torch.testing.assert_close(saved["head.weight"], expected)


def test_a_training_that_destroys_the_student_is_called_worse(rankings, tiny_t5, tmp_path):
    """Taught an order that is right, at a rate that leaves nothing of the start."""
    good = tmp_path / "good"
    assert train(rankings, tiny_t5(False, "gated-gelu"), good, "--num_train_epochs", "30").returncode == 0
    result = train(rankings, good, tmp_path / "bad", "--learning_rate", "3", "--num_train_epochs", "3")
    assert result.returncode == 0, result.stderr
    change = json.loads((tmp_path / "bad" / "training_run.json").read_text())["verdict"]["changes"][0]
    assert change["end"] < change["start"] - 0.005
    assert result.stdout.strip().splitlines()[-1].startswith("WORSE: ")


def test_no_query_to_train_on_saves_the_start(rankings, tiny_t5, tmp_path):
    backbone = tiny_t5(False, "gated-gelu")
    folders = tmp_path / "out", tmp_path / "start"
    result = train(
        rankings, backbone, folders[0], "--max_train_samples", "0", "--save_start", str(folders[1])
    )
    assert result.returncode == 0, result.stderr
    pairs = [("red planet", text) for _, text in PLANETS]
    expected = TwolarForReranking.from_backbone(backbone).score(pairs)
    for folder in folders:
        assert torch.equal(TwolarForReranking.from_pretrained(folder).score(pairs), expected)
    assert result.stdout.strip().splitlines()[-1] == f"saved the start, untrained, in {tmp_path / 'out'}"


@pytest.mark.slow
def test_a_collections_measure_that_stays_the_same_ends_the_training_early(rankings, tiny_t5, tmp_path):
    folder = tmp_path / "judged"
    (folder / "qrels").mkdir(parents=True)
    (folder / "qrels" / "dev.tsv").write_text("query-id\tcorpus-id\tscore\n1\tmars\t2\n")
    (folder / "queries.jsonl").write_text('{"_id": "1", "text": "red planet"}\n')
    (folder / "corpus.jsonl").write_text('{"_id": "mars", "text": "Mars is red."}\n')
    (folder / "run.txt").write_text("1 Q0 mars 1 3 x\n")  # a single candidate: always 1.0
    flags = ("--num_train_epochs", "8", "--eval_strategy", "epoch", "--save_strategy", "epoch",
             "--load_best_model_at_end", "True", "--metric_for_best_model", "collection_ndcg@10",
             "--early_stopping_patience", "1", "--eval_collection", str(folder),
             "--eval_first_stage", str(folder / "run.txt"))  # fmt: skip
    result = train(rankings, tiny_t5(False, "gated-gelu"), tmp_path / "out", *flags)
    assert result.returncode == 0, result.stderr
    state = json.loads((tmp_path / "out" / "trainer_state.json").read_text())
    evaluations = [entry for entry in state["log_history"] if "eval_collection_ndcg@10" in entry]
    assert state["best_metric"] == 1.0
    # The first is the best one, the second no better: the end.
    assert len(evaluations) == 2


@pytest.mark.slow
def test_two_processes_train_minilm_with_gradient_checkpointing_and_mark_what_they_saved(rankings, tmp_path):
    flags = ["--model_name_or_path", "all-MiniLM-L6-v2", "--dataset_name", str(rankings), "--report_to", "none",
             "--use_cpu", "1", "--max_length", "32", "--num_layers", "2", "--gradient_checkpointing", "True",
             "--gradient_accumulation_steps", "2", "--save_steps", "1", "--ddp_backend", "gloo",
             "--output_dir", str(tmp_path / "out")]  # fmt: skip
    result = subprocess.run(
        [sys.executable, "-m", "accelerate.commands.launch", "--config_file", "training/accelerate/cpu.yaml",
         "train_hf.py", *flags], cwd=ROOT, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    checkpoints = list((tmp_path / "out").glob("checkpoint-*"))
    assert checkpoints and all((path / "training_settings.json").is_file() for path in checkpoints)


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one(rankings, tiny_t5, tmp_path):
    backbone = tiny_t5(False, "gated-gelu")
    common = ["--model_name_or_path", str(backbone), "--dataset_name", str(rankings), "--logging_steps", "1",
              "--learning_rate", "1e-3", "--num_train_epochs", "2", "--report_to", "none",
              "--use_cpu", "1"]  # fmt: skip
    launch = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--config_file",
        "training/accelerate/cpu.yaml",
    ]
    losses = []
    runs = [([sys.executable], ["4"]), (launch, ["2", "--ddp_backend", "gloo"])]
    for number, (command, accumulation) in enumerate(runs):
        output = tmp_path / str(number)
        flags = ["--output_dir", str(output), "--gradient_accumulation_steps", *accumulation]
        result = subprocess.run(
            [*command, "train_hf.py", *common, *flags], cwd=ROOT, capture_output=True, text=True, timeout=600
        )
        assert result.returncode == 0, result.stderr
        history = json.loads((output / "trainer_state.json").read_text())["log_history"]
        losses.append([entry["loss"] for entry in history if "loss" in entry])
    assert len(losses[0]) == 6
    assert losses[1] == pytest.approx(losses[0], abs=1e-5)


@pytest.mark.slow
def test_the_best_checkpoint_is_kept_and_training_stops_early(rankings, tiny_t5, tmp_path):
    flags = ("--num_train_epochs", "30", "--eval_strategy", "epoch", "--save_strategy", "epoch",
             "--load_best_model_at_end", "True", "--metric_for_best_model", "ndcg@10", "--learning_rate", "0.1",
             "--early_stopping_patience", "2", "--save_total_limit", "2")  # fmt: skip
    result = train(rankings, tiny_t5(False, "gated-gelu"), tmp_path / "out", *flags)
    assert result.returncode == 0, result.stderr
    state = json.loads((tmp_path / "out" / "trainer_state.json").read_text())
    evaluations = [entry["eval_ndcg@10"] for entry in state["log_history"] if "eval_ndcg@10" in entry]
    assert len(evaluations) < 30
    assert state["best_metric"] == max(evaluations)
    verdict = json.loads((tmp_path / "out" / "training_run.json").read_text())["verdict"]
    # What was saved is the best checkpoint, not the last one.
    assert verdict["changes"][0]["end"] == pytest.approx(state["best_metric"], abs=1e-4)
