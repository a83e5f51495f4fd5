#!/usr/bin/env python
"""Distils a teacher's rankings into a TWOLAR reranker with the Hugging Face Trainer.

    python train_hf.py --model_name_or_path google/flan-t5-large --dataset_name twolar/distill20k
    python train_hf.py training/quickstart.yaml

Flags and the keys of a YAML or JSON file are the same: those of training/arguments.py and of
transformers.TrainingArguments.
"""

from pathlib import Path

from transformers import set_seed

from dataset_builder.errors import run_cli
from model_cards.training_run import write_training_run
from training.arguments import parse_arguments
from training.chunks import arrange_scoring
from training.data import RankingCollator, load_rankings
from training.judged import JudgedRanking
from training.losses import LOSSES
from training.plot import plot_training
from training.resume import LOGS, callbacks, checkpoint_to_resume, refuse_finished
from training.student import add_adapters, load_student, save_student
from training.trainer import RankingTrainer, ndcg_at_10


def main() -> None:
    """Load the rankings and the student, train, evaluate, save."""
    model_args, data_args, training_args = parse_arguments()
    refuse_finished(training_args)
    output = Path(str(training_args.output_dir))
    set_seed(training_args.seed)
    train_rankings, eval_rankings = load_rankings(data_args)
    model = load_student(model_args)
    tokenizer = model.tokenizer
    arrange_scoring(model, training_args)
    trainer = RankingTrainer(
        model=add_adapters(model, model_args) if model_args.use_peft else model,
        args=training_args,
        data_collator=RankingCollator(
            tokenizer, data_args.num_passages, model_args.max_length, training_args.seed
        ),
        train_dataset=train_rankings,
        eval_dataset=eval_rankings,
        processing_class=tokenizer,
        compute_metrics=ndcg_at_10,
        judged=JudgedRanking.load(data_args, output / LOGS) if data_args.eval_collection else None,
        ranking_loss=LOSSES[training_args.loss],
        callbacks=callbacks(training_args),
    )
    metrics = trainer.train(resume_from_checkpoint=checkpoint_to_resume(training_args)).metrics
    if eval_rankings is not None:
        metrics |= trainer.evaluate()
    save_student(trainer)
    trainer.save_state()
    if trainer.is_world_process_zero():
        write_training_run(model_args, data_args, training_args, train_rankings, eval_rankings)
        plot_training(trainer.state.log_history, output)
    trainer.log_metrics("all", metrics)
    trainer.save_metrics("all", metrics)
    if training_args.push_to_hub:
        trainer.push_to_hub()


if __name__ == "__main__":
    run_cli(main)
