#!/usr/bin/env python
"""Distils a teacher's rankings into a TWOLAR reranker with the Hugging Face Trainer.

    python train_hf.py --model_name_or_path google/flan-t5-large --dataset_name twolar/distill20k --output_dir out
    python train_hf.py training/quickstart.yaml

Flags and YAML or JSON keys are the same: those of training/arguments.py and of transformers.TrainingArguments.
"""

import sys
from pathlib import Path

from transformers import HfArgumentParser, set_seed
from transformers.trainer_utils import get_last_checkpoint

from dataset_builder.errors import InputError, run_cli
from training.arguments import DataArguments, DistillationArguments, ModelArguments
from training.data import RankingCollator, load_rankings
from training.losses import ranknet
from training.student import load_student
from training.trainer import RankingTrainer, ndcg_at_10


def parse_arguments() -> tuple[ModelArguments, DataArguments, DistillationArguments]:
    """Arguments from the command line, or from one YAML or JSON file and flags that override it."""
    parser = HfArgumentParser((ModelArguments, DataArguments, DistillationArguments))
    if len(sys.argv) > 1 and sys.argv[1].endswith((".yaml", ".yml", ".json")):
        return parser.parse_args_into_dataclasses(args=arguments_from_file(sys.argv[1]) + sys.argv[2:])
    return parser.parse_args_into_dataclasses()


def main() -> None:
    """Load the rankings and the student, train, evaluate, save."""
    model_args, data_args, training_args = parse_arguments()
    set_seed(training_args.seed)
    train_rankings, eval_rankings = load_rankings(data_args)
    model, tokenizer = load_student(model_args)
    trainer = RankingTrainer(
        model=model,
        args=training_args,
        data_collator=RankingCollator(
            tokenizer, data_args.num_passages, model_args.max_length, training_args.seed
        ),
        train_dataset=train_rankings,
        eval_dataset=eval_rankings,
        processing_class=tokenizer,
        compute_metrics=ndcg_at_10,
        ranking_loss=ranknet,
    )
    result = trainer.train(resume_from_checkpoint=training_args.resume_from_checkpoint)
    metrics = result.metrics
    if eval_rankings is not None:
        metrics |= trainer.evaluate()
    trainer.save_model()
    trainer.save_state()
    trainer.log_metrics("all", metrics)
    trainer.save_metrics("all", metrics)
    if training_args.push_to_hub:
        trainer.push_to_hub()


if __name__ == "__main__":
    run_cli(main)
