"""Arguments as files and flags have them: null, words, numbers, lists and mappings mean what they say."""

import json

import pytest
from transformers.integrations.deepspeed import unset_hf_deepspeed_config

from retrieval.errors import InputError
from training.arguments import parse_arguments

NAMED = ("--model_name_or_path", "m", "--dataset_name", "d")
BASE = "model_name_or_path: all-MiniLM-L6-v2\ndataset_name: twolar/python-stdlib-rank-fusion\nmax_steps: 1\n"


@pytest.fixture(autouse=True)
def no_deepspeed():
    """transformers remembers a configuration that failed, and then loads no model in this process."""
    yield
    unset_hf_deepspeed_config()


def parsed(folder, text, *flags, name="settings.yaml"):
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return parse_arguments([str(folder / name), *flags])


MEANT = [
    # null is the default, whatever the type
    ("max_train_samples: null", "data", "max_train_samples", None),
    ("eval_collection: null", "data", "eval_collection", None),
    ("eval_collection:", "data", "eval_collection", None),
    ("eval_collection: ~", "data", "eval_collection", None),
    ("retrievers: null", "data", "retrievers", None),
    ("num_passages: null", "data", "num_passages", 30),
    ("score_strategy: null", "model", "score_strategy", "difference"),
    ("use_peft: null", "model", "use_peft", False),
    ("learning_rate: null", "training", "learning_rate", 5e-5),
    ("lr_scheduler_kwargs: null", "training", "lr_scheduler_kwargs", None),
    ("report_to: null", "training", "report_to", []),
    ("stages: null", "data", "num_passages", 30),
    ("eval_collection: 'null'", "data", "eval_collection", "null"),
    # a mapping is a dictionary of TrainingArguments
    (
        "lr_scheduler_type: cosine_with_min_lr\nlr_scheduler_kwargs:\n  min_lr: 1.0e-6",
        "training",
        "lr_scheduler_kwargs",
        {"min_lr": 1e-6},
    ),
    (
        "lr_scheduler_type: cosine_with_min_lr\nlr_scheduler_kwargs: {min_lr: 1e-6}",
        "training",
        "lr_scheduler_kwargs",
        {"min_lr": 1e-6},
    ),
    (
        "gradient_checkpointing: true\ngradient_checkpointing_kwargs:\n  use_reentrant: false",
        "training",
        "gradient_checkpointing_kwargs",
        {"use_reentrant": False},
    ),
    (
        "fsdp_config: {a: {b: [1, no, null, -0.5]}}",
        "training",
        "fsdp_config",
        {"a": {"b": [1, "no", None, -0.5]}},
    ),
    # numbers and words as they are written
    ("learning_rate: 1e-4", "training", "learning_rate", 1e-4),
    ("learning_rate: '1e-4'", "training", "learning_rate", 1e-4),
    ("num_train_epochs: .5", "training", "num_train_epochs", 0.5),
    ("output_dir: 2024-01-01", "training", "output_dir", "2024-01-01"),
    ("output_dir: 010", "training", "output_dir", "010"),
    ("output_dir: -x", "training", "output_dir", "-x"),
    ("save_strategy: no", "training", "save_strategy", "no"),
    ("answer_words: [no, yes]", "model", "answer_words", ["no", "yes"]),
    ("use_peft: yes", "model", "use_peft", True),
    ("use_peft: 'false'", "model", "use_peft", False),
    ("use_peft: False", "model", "use_peft", False),
    ("layers: [0, 2]", "model", "layers", [0, 2]),
    ("layers: 2", "model", "layers", [2]),
    ("retrievers:\n- bm25\n- splade", "data", "retrievers", ["bm25", "splade"]),
    ("report_to: [tensorboard]", "training", "report_to", ["tensorboard"]),
    ("report_to: none", "training", "report_to", []),
    ("gradient-accumulation-steps: 4", "training", "gradient_accumulation_steps", 4),
    (
        "prompt_template: |\n  Q: {query}\n  P: {passage}",
        "model",
        "prompt_template",
        "Q: {query}\nP: {passage}\n",
    ),
]


@pytest.mark.parametrize(("text", "part", "name", "value"), MEANT, ids=[case[0] for case in MEANT])
def test_a_value_of_a_yaml_file_means_what_it_says(tmp_path, text, part, name, value):
    (stage,) = parsed(tmp_path, BASE + text + "\n")
    found = getattr(getattr(stage, part), name)
    assert found == value
    assert type(found) is type(value) or name == "save_strategy"


@pytest.mark.parametrize("encode", [lambda t: b"\xef\xbb\xbf" + t.encode(), lambda t: t.encode("utf-16")])
def test_byte_order_marks_and_windows_line_ends_are_read(tmp_path, encode):
    (stage,) = parsed(tmp_path, encode((BASE + "output_dir: é\n").replace("\n", "\r\n")))
    assert stage.training.output_dir == "é"


def test_a_json_file_is_read_as_yaml_is(tmp_path):
    settings = {"model_name_or_path": "m", "dataset_name": "d", "max_train_samples": None, "learning_rate": 1e-4,
                "use_peft": True, "layers": [0, 1], "gradient_checkpointing": True,
                "gradient_checkpointing_kwargs": {"use_reentrant": False}}  # fmt: skip
    (stage,) = parsed(tmp_path, json.dumps(settings), name="settings.json")
    assert (stage.data.max_train_samples, stage.training.learning_rate) == (None, 1e-4)
    assert (stage.model.use_peft, stage.model.layers) == (True, [0, 1])
    assert stage.training.gradient_checkpointing_kwargs == {"use_reentrant": False}


def test_flags_behind_a_file_override_it_and_a_stage_goes_back_to_a_default_by_null(tmp_path):
    text = (
        BASE + "report_to: [tensorboard]\nnum_passages: 8\nstages:\n- loss: infonce\n- num_passages: null\n"
    )
    first, second = parsed(tmp_path, text, "--report_to", "none", "--num_train_epochs", "2")
    assert (first.data.num_passages, second.data.num_passages) == (8, 30)
    assert (first.training.loss, second.training.loss) == ("infonce", "ranknet")
    assert (first.training.report_to, second.training.num_train_epochs) == ([], 2.0)


WRONG_FILES = [
    ("learning_rat: 1e-4", "unknown argument learning_rat; did you mean learning_rate?"),
    ("learning_r: 1e-4", "unknown argument learning_r; did you mean learning_rate?"),
    (
        "epochs_of_the_moon: 1",
        "unknown argument epochs_of_the_moon; python train_hf.py --help_all lists them",
    ),
    ("1: x", "unknown argument 1;"),
    ("learning_rate: {max: 1}", "learning_rate takes one value, not names and values"),
    ("retrievers: {bm25: true}", "retrievers takes one value, not names and values"),
    ("learning_rate: [1e-4, 1e-5]", "learning_rate takes one value, not a list"),
    ("layers: [0, null]", "layers: each entry of its list must be a text or a number"),
    ("layers: [[0], [1]]", "layers: each entry of its list must be a text or a number"),
    ("layers: []", "argument --layers: expected at least one argument"),
    ("layers: [a]", "argument --layers: invalid int value: 'a'"),
    ("learning_rate: fast", "invalid float value: 'fast'"),
    ("num_passages: 1.5", "invalid int value: '1.5'"),
    ("num_passages: ''", "invalid int value: ''"),
    ("use_peft: maybe", "Truthy value expected: got maybe"),
    ("model_name_or_path: null", "the following arguments are required: --model_name_or_path"),
    ("seed: 1\nseed: 2", "seed stands twice"),
    ("stages: 3", "stages must be a list of names and values"),
    ("stages: []", "stages must be a list of names and values"),
    ("stages: [null]", "stages must be a list of names and values"),
    ("stages: [{los: kl}]", "unknown argument los; did you mean loss?"),
    ("seed: [1", "is not YAML: "),
    ("seed: !!python/object:os.system x", "is not YAML: "),
    (
        "gradient_checkpointing: true\ngradient_checkpointing_kwargs: {use_re: false}",
        "--gradient_checkpointing_kwargs: ",
    ),
    ("lr_scheduler_type: linear\nlr_scheduler_kwargs: {slope: 2}", "unexpected keyword argument 'slope'"),
    ("accelerator_config: {slope: 2}", "unexpected keyword argument 'slope'"),
]


@pytest.mark.parametrize(("text", "message"), WRONG_FILES, ids=[text for text, _ in WRONG_FILES])
def test_a_file_that_cannot_be_is_one_line_that_names_it(tmp_path, text, message):
    base = BASE.partition("\n")[2] if text.startswith("model_name") else BASE
    with pytest.raises(InputError) as refused:
        parsed(tmp_path, base + text + "\n")
    found = str(refused.value)
    assert message in found
    assert found.startswith(f"arguments file {tmp_path / 'settings.yaml'}")
    assert "\n" not in found


@pytest.mark.parametrize(
    "content",
    [b"seed: \xe9\n", b"\x00\x01", b"[" * 100_000, b"- a\n", b"", b"seed"],
    ids=["latin-1", "binary", "deep", "list", "empty", "word"],
)
def test_a_damaged_file_is_one_line(tmp_path, content):
    with pytest.raises(
        InputError, match=r"arguments file .*settings\.yaml (is not YAML|must hold names)"
    ) as refused:
        parsed(tmp_path, content)
    assert "\n" not in str(refused.value)
    with pytest.raises(InputError, match="does not exist"):
        parse_arguments([str(tmp_path / "other.yaml")])
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(InputError, match="does not exist"):
        parse_arguments([str(tmp_path / "folder.yaml")])


IMPOSSIBLE = [
    ("--bf16 True", "--bf16 needs a GPU"),
    ("--fp16 True", "--fp16 needs a GPU"),
    ("--bf16_full_eval True", "--bf16_full_eval needs a GPU"),
    ("--tf32 True", "--tf32 requires Ampere"),
    (
        "--remove_unused_columns True",
        "--remove_unused_columns True cannot work: the collator reads the raw rows",
    ),
    ("--label_smoothing_factor 0.1", "--label_smoothing_factor 0.1 cannot work"),
    ("--use_liger_kernel True", "--use_liger_kernel True cannot work"),
    ("--batch_eval_metrics True", "--batch_eval_metrics True cannot work"),
    ("--train_sampling_strategy group_by_length", "--train_sampling_strategy group_by_length cannot work"),
    ("--deepspeed zero.json", "deepspeed"),
    ("--fsdp full_shard", "--fsdp needs several processes"),
    ("--report_to wandb", "--report_to wandb is not installed"),
    ("--report_to tensorboard sheet", "--report_to sheet is not one of none, all, "),
    ("--optim nope", "argument --optim: invalid choice: 'nope'"),
    (
        "--optim adamw_bnb_8bit",
        "--optim adamw_bnb_8bit with --lr_scheduler_type constant: You need to install",
    ),
    ("--optim galore_adamw --optim_target_modules query", "You need to install `galore_torch`"),
    ("--optim_args x", "--optim adamw_torch_fused with"),
    ("--learning_rate -1", "Invalid learning rate: -1.0"),
    ("--learning_rate nan", "Invalid learning rate: nan"),
    ("--adam_beta1 2", "Invalid beta parameter"),
    ("--lr_scheduler_type nope", "nope is not a valid SchedulerType"),
    ("--lr_scheduler_type cosine_with_min_lr", "One of min_lr or min_lr_rate should be set"),
    ("--lr_scheduler_type reduce_lr_on_plateau", "requires an eval strategy"),
    ("--lr_scheduler_kwargs {min", "'{min' is not JSON"),
    ("--lr_scheduler_kwargs min", "--lr_scheduler_kwargs min is no JSON object"),
    (
        "--load_best_model_at_end True",
        "--load_best_model_at_end requires the save and eval strategy to match",
    ),
    ("--metric_for_best_model ndcg", "--metric_for_best_model ndcg is not one of loss, ndcg@10"),
    (
        "--metric_for_best_model eval_collection_ndcg@10",
        "eval_collection_ndcg@10 is not one of loss, ndcg@10",
    ),
    ("--early_stopping_patience 2", "--early_stopping_patience needs --load_best_model_at_end"),
    ("--per_device_train_batch_size 0", "--per_device_train_batch_size 0 is below 1"),
    ("--gradient_accumulation_steps 0", "--gradient_accumulation_steps 0 is below 1"),
    ("--max_length 0", "--max_length 0 is below 1"),
    ("--passages_per_chunk 0", "--passages_per_chunk 0 is below 1"),
    ("--seed -1", "--seed -1 is not from 0 to 4294967295"),
    ("--accelerator_config none.json", "none.json"),
    ("--learning_rate fast", "invalid float value: 'fast'"),
    ("--learning_r 1", "unknown argument --learning_r; did you mean --learning_rate?"),
    ("--no_such=1", "unknown argument --no_such=1; python train_hf.py --help_all lists them"),
    ("stray", "unknown argument stray;"),
]


@pytest.mark.parametrize(("flags", "message"), IMPOSSIBLE, ids=[flags for flags, _ in IMPOSSIBLE])
def test_an_option_that_cannot_work_here_is_one_line_before_anything_is_loaded(monkeypatch, flags, message):
    monkeypatch.setattr("torch.accelerator.is_available", lambda: False)
    with pytest.raises(InputError) as refused:
        parse_arguments([*NAMED, *flags.split()])
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "flags",
    [
        "--bf16 True --use_cpu True",
        "--report_to tensorboard",
        "--report_to all",
        "--optim adafactor --lr_scheduler_type cosine",
        '--lr_scheduler_type warmup_stable_decay --lr_scheduler_kwargs {"num_decay_steps":2}',
        "--lr_scheduler_type reduce_lr_on_plateau --eval_strategy steps",
        "--gradient_checkpointing True",
        "--load_best_model_at_end True --eval_strategy steps --metric_for_best_model eval_ndcg@10",
        "--metric_for_best_model collection_ndcg@10 --eval_collection c",
    ],
)
def test_an_option_that_works_is_taken(flags):
    (stage,) = parse_arguments([*NAMED, *flags.split()])
    assert stage.data.dataset_name == "d"


def test_a_push_without_a_key_or_a_hub_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    for flags in ([], ["--hub_token", "hf_none"]):
        with pytest.raises(
            InputError, match=r"--push_to_hub needs the Hub and a key \(hf auth login"
        ) as refused:
            parse_arguments([*NAMED, "--push_to_hub", "True", *flags])
        assert "\n" not in str(refused.value)
