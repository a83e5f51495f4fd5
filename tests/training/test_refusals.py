"""Wrong input to `train_hf.py`: one line that says what, where and how to mend it, and exit code 2."""

import re

import pytest
from datasets import Dataset

from modeling_twolar import load_reranker
from retrieval.errors import InputError
from tests.modeling.small_models import save_classifier
from tests.training.conftest import row, train
from training.arguments import parse_arguments
from training.flags import ModelArguments
from training.held_out import HeldOut
from training.student import load_student


def test_bad_input_gets_one_line_and_exit_code_2(rankings, tiny_t5, tmp_path):
    backbone = tiny_t5(False, "gated-gelu")
    without = tmp_path / "without"
    without.mkdir()
    Dataset.from_list([{"query": "q"}]).to_parquet(without / "train.parquet")
    single = tmp_path / "single"
    single.mkdir()
    Dataset.from_list([{**row(0), "retrieved_passages": row(0)["retrieved_passages"][:1]}]).to_parquet(
        single / "train.parquet"
    )
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "all_results.json").write_text("{}")
    for dataset, model, output, message in [
        (tmp_path / "nothing", backbone, "o1", "cannot be read"),
        (without, backbone, "o2", "lacks the column 'query_id'"),
        (single, backbone, "o3", "no query with two passages is left"),
        (rankings, tmp_path / "no-model", "o4", "cannot be loaded"),
        (rankings, backbone, "used", "holds a finished training"),
    ]:
        result = train(dataset, model, tmp_path / output)
        assert result.returncode == 2, result.stderr
        errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1 and message in errors[0], result.stderr
    assert (tmp_path / "used" / "all_results.json").read_text() == "{}"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--loss", "ranknet+0.1*mse"), "--loss ranknet+0.1*mse needs the teacher's scores"),
        (
            ("--merge_with_start", "True", "--eval_split", "none", "--held_out", "0"),
            "--merge_with_start chooses on held-out queries",
        ),
        (("--loss", "infonce"), "--loss infonce needs queries whose source_docid is among their passages"),
        (("--num_layers", "3"), "model "),
        (("--prompt_template", "{query} {passage}"), "model "),
        (("--use_peft", "True", "--lora_target_modules", "nothing"), "--lora_target_modules: "),
        (("--learning_rate", "1e30"), "the loss is nan"),
    ],
)
def test_a_training_that_cannot_work_says_why(rankings, tiny_t5, tmp_path, flags, message):
    result = train(rankings, tiny_t5(False, "gated-gelu"), tmp_path / "out", *flags)
    assert result.returncode == 2, result.stderr
    errors = re.findall("error: .*", result.stderr)  # behind a progress bar, once training has begun
    assert len(errors) == 1 and errors[0].startswith(f"error: {message}"), result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out" / "all_results.json").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--loss", "hinge"), "--loss 'hinge' is not one of ranknet, listnet"),
        (("--loss", "kl", "--temperature", "0"), "temperature"),
        (("--num_layers", "1", "--layers", "0"), "--num_layers and --layers both say which layers to keep"),
        (("--answer_words", "no"), "--answer_words takes two words"),
        (("--held_out", "1"), "--held_out 1.0 is not a share"),
        (("--dropout", "1.5"), "--dropout 1.5 is not a probability"),
        (("--num_passages", "1"), "--num_passages 1: a ranking has at least 2 passages"),
        (("--max_train_samples", "-1"), "--max_train_samples -1 is below 0"),
    ],
)
def test_a_value_that_cannot_be_is_one_line_before_anything_is_loaded(flags, message):
    with pytest.raises(InputError) as refused:
        parse_arguments(["--model_name_or_path", "m", "--dataset_name", "d", *flags])
    assert message in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layers": [1, 0]}, "layers [1, 0] are not ascending numbers below 2, the backbone's layers"),
        ({"layers": [2]}, "below 2, the backbone's layers"),
        ({"num_layers": 0}, "num_layers 0 is not from 1 to 2"),
        ({"answer_words": ["no", "yes"]}, "answer_words are for causal language models"),
        ({"score_strategy": "sum"}, "score_strategy 'sum' is not one of"),
        ({"max_length": 3}, "max_length 3 is below "),
    ],
)
def test_a_start_that_cannot_be_is_one_line(settings, message, tiny_t5):
    with pytest.raises(InputError, match="cannot be used") as refused:
        load_student(ModelArguments(str(tiny_t5(False, "gated-gelu")), **settings))
    assert message in str(refused.value) and "\n" not in str(refused.value)


def test_an_int8_start_is_one_line(tiny_t5, tmp_path):
    load_reranker(tiny_t5(False, "gated-gelu")).quantize().save_pretrained(tmp_path)
    with pytest.raises(InputError, match="its weights are int8, for scoring alone"):
        load_student(ModelArguments(str(tmp_path)))


def test_a_length_beyond_the_starts_positions_is_one_line(tmp_path):
    start = save_classifier(tmp_path, "roberta")
    with pytest.raises(InputError, match="max_length 500 is above 128, the most that this model reads"):
        load_student(ModelArguments(str(start)))


def test_evaluations_without_held_out_queries_are_one_line_before_a_model_is_loaded(tmp_path):
    (stage,) = parse_arguments(
        ["--model_name_or_path", "m", "--dataset_name", "d", "--eval_strategy", "epoch", "--held_out", "0"]
    )
    with pytest.raises(
        InputError, match="--eval_strategy evaluates on held-out queries, and of d none is held out"
    ):
        HeldOut.load(stage, None)


def test_an_unknown_flag_is_refused_with_exit_code_2(rankings, tiny_t5, tmp_path):
    result = train(rankings, tiny_t5(True, "relu"), tmp_path / "out", "--no_such_flag", "1")
    assert result.returncode == 2
    assert "error: unknown argument --no_such_flag" in result.stderr


def test_arguments_come_from_yaml_and_flags_override_them(tmp_path):
    (tmp_path / "a.yaml").write_text(
        "model_name_or_path: m\ndataset_name: d\nlearning_rate: 1.0e-4\nretrievers: [bm25]\n"
    )
    (stage,) = parse_arguments([str(tmp_path / "a.yaml"), "--dataset_name", "other", "--use_cpu", "True"])
    model, data, training = stage.model, stage.data, stage.training
    assert (model.model_name_or_path, data.dataset_name, data.retrievers) == ("m", "other", ["bm25"])
    assert training.learning_rate == 1e-4
    assert (training.gradient_accumulation_steps, training.max_grad_norm, training.num_train_epochs) == (
        32,
        1.0,
        1.0,
    )
    assert (data.num_passages, model.max_length, model.score_strategy) == (30, 500, "difference")
