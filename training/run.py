"""Trains the stages of a recipe: what `train_hf.py` does once its flags are read."""

from transformers import Trainer, set_seed

from training.arguments import Stage, parse_arguments
from training.collator import RankingCollator
from training.data import load_rankings, refuse_unreadable
from training.flags import VECTORS
from training.held_out import HeldOut, measure_start
from training.losses import parse_loss
from training.merging import load_saved
from training.plot import plot_training
from training.pools import DrawAnew, RankingPools
from training.resume import (
    MarkWholeCheckpoints,
    checkpoint_to_resume,
    early_stopping,
    mark_finished,
    refuse_finished,
    was_finished,
)
from training.settings import settings_of
from training.student import add_adapters, load_student, save_start, save_student, set_dropout
from training.trainer import RankingTrainer, ndcg_at_10
from training.training_run import write_training_run
from training.vectors import vector_trainer
from training.verdict import give_verdict


def train_recipe() -> None:
    """Train the stages of the recipe, one after the other; those that are finished are kept."""
    recipe = parse_arguments()
    refuse_finished(recipe[-1])
    save_start(recipe[0])
    for stage in recipe:
        train(stage, recipe)


def train(stage: Stage, recipe: list[Stage]) -> None:
    """Load the rankings, measure the start, train, save, measure the student, and say what the training brought."""
    arguments = stage.training
    loss = None if arguments.loss == VECTORS else parse_loss(arguments.loss, arguments.temperature)
    rankings, held_out_rankings = load_rankings(stage.data, arguments.seed)
    if loss is not None:
        refuse_unreadable(rankings, loss, stage)
    settings = settings_of(stage, rankings, held_out_rankings)
    if was_finished(stage, settings):
        return
    checkpoint = checkpoint_to_resume(stage, settings)
    # Without rankings (--max_train_samples 0) the start is saved as it is: there is nothing to compare.
    held_out = HeldOut.load(stage, held_out_rankings) if len(rankings) else HeldOut.nothing(stage)
    start = measure_start(recipe[0].model, held_out, stage, settings)

    set_seed(arguments.seed)
    model = load_student(stage.model)
    set_dropout(model, stage.model.dropout)
    callbacks = [MarkWholeCheckpoints(settings), *early_stopping(arguments)]
    if loss is None:
        trainer: Trainer = vector_trainer(model, recipe[0].model, stage, rankings, callbacks)
    else:
        pools = RankingPools(rankings, stage.data.num_passages, arguments.seed, keep_source=loss.reads_source)
        trainer = RankingTrainer(
            model=add_adapters(model, stage.model) if stage.model.use_peft else model,
            args=arguments,
            data_collator=RankingCollator(model.tokenizer, stage.model.max_length),
            train_dataset=pools,
            eval_dataset=held_out_rankings,
            processing_class=model.tokenizer,
            compute_metrics=ndcg_at_10,
            judged=held_out.judged,
            ranking_loss=loss,
            callbacks=[DrawAnew(pools), *callbacks],
        )
    metrics = {"train_rankings": float(len(rankings))}
    if len(rankings):
        metrics |= trainer.train(resume_from_checkpoint=checkpoint).metrics
    save_student(trainer)
    trainer.save_state()
    if trainer.is_world_process_zero():
        student, weight = load_saved(stage, recipe[0].model, held_out)
        verdict = give_verdict(start, held_out.measure(student), arguments.seed, weight)
        write_training_run(recipe, stage, rankings, held_out_rankings, verdict)
        plot_training(trainer.state.log_history, verdict, stage.folder)
        mark_finished(stage, settings)
    trainer.log_metrics("all", metrics)
    trainer.save_metrics("all", metrics)
    if trainer.is_world_process_zero():
        print(verdict if len(rankings) else f"saved the start, untrained, in {stage.folder}", flush=True)
    if arguments.push_to_hub:
        trainer.push_to_hub()
