"""The Trainer: one forward pass over all pairs of a batch, a ranking loss over each query's scores."""

from typing import Any

import torch
from torch import nn
from transformers import EvalPrediction, Trainer
from transformers.modeling_outputs import ModelOutput

from dataset_builder.errors import InputError
from training.arguments import DistillationArguments
from training.judged import JudgedRanking
from training.losses import RankingLoss

TARGETS = ("ranks", "teacher_scores")

Inputs = dict[str, torch.Tensor | Any]


class RankingTrainer(Trainer):
    """`transformers.Trainer` for rankings: `RankingCollator`'s batches in, the loss of `ranking_loss` out."""

    args: DistillationArguments

    def __init__(
        self,
        *args: object,
        ranking_loss: RankingLoss,
        judged: JudgedRanking | None = None,
        **kwargs: object,
    ) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.ranking_loss = ranking_loss
        self.judged = judged
        # The loss is a mean over queries, so gradient accumulation has to divide it.
        self.model_accepts_loss_kwargs = False

    def compute_loss(
        self,
        model: nn.Module,
        inputs: Inputs,
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor | tuple[torch.Tensor, ModelOutput]:
        """The ranking loss of a batch; as output, `scores` in the shape of `ranks`.

        Raises:
            InputError: where the loss is not finite.
        """
        ranks, teacher_scores = inputs["ranks"], inputs.get("teacher_scores")
        output = model(**{name: tensor for name, tensor in inputs.items() if name not in TARGETS})
        scores = padded_scores(output.logits, ranks)
        try:
            loss = self.ranking_loss(scores, ranks, teacher_scores)
        except ValueError as error:
            raise InputError(f"--loss {self.args.loss}: {error}") from error
        if not torch.isfinite(loss):
            raise InputError(
                f"the loss is {loss.item()} at step {self.state.global_step}; lower --learning_rate, or train "
                "in fp32 or bf16 rather than fp16"
            )
        return (loss, ModelOutput(scores=scores)) if return_outputs else loss

    def prediction_step(
        self,
        model: nn.Module,
        inputs: Inputs,
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """Loss, scores and ranks of an evaluation batch."""
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad():
            loss, output = self.compute_loss(model, inputs, return_outputs=True)
        return loss.detach(), output["scores"], inputs["ranks"]

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Loss and nDCG@10 on the test split; with a judged collection, `eval_collection_ndcg@10` too."""
        metrics = super().evaluate(*args, **kwargs)
        if self.judged is not None:
            value = self.judged.ndcg_at_10(self.accelerator.unwrap_model(self.model))
            metrics["eval_collection_ndcg@10"] = value
            self.log({"eval_collection_ndcg@10": value})
        return metrics

    def create_optimizer(self, *args: object, **kwargs: object) -> torch.optim.Optimizer:
        """AdamW; what is not the backbone gets `head_learning_rate` where that is given."""
        if self.args.head_learning_rate is None or self.optimizer is not None:
            return super().create_optimizer(*args, **kwargs)  # type: ignore[arg-type]
        assert self.model is not None
        parameters = [
            (name, weight) for name, weight in self.model.named_parameters() if weight.requires_grad
        ]
        groups = [
            {"params": [weight for name, weight in parameters if name.startswith("backbone.")]},
            {
                "params": [weight for name, weight in parameters if not name.startswith("backbone.")],
                "lr": self.args.head_learning_rate,
            },
        ]
        optimizer_class, options = self.get_optimizer_cls_and_kwargs(self.args)
        self.optimizer = optimizer_class(groups, **options)
        return self.optimizer


def padded_scores(logits: torch.Tensor, ranks: torch.Tensor) -> torch.Tensor:
    """Scores of all pairs, (num_pairs, 1), in the shape of `ranks`; 0 where `ranks` is padding."""
    scores = logits.new_zeros(ranks.shape)
    return scores.masked_scatter(ranks > 0, logits.squeeze(-1))


def ndcg_at_10(prediction: EvalPrediction) -> dict[str, float]:
    """nDCG@10 against the teacher's order, whose gain falls from 1 for its first to 0 for its last passage.

    Gains are linear, (n - rank) / (n - 1) of n passages; tied scores keep the order of the batch reversed,
    so that a model that scores all alike gains nothing from it.
    """
    scores, ranks = (torch.as_tensor(array) for array in (prediction.predictions, prediction.label_ids))
    values = [
        _ndcg(row[real], rank[real])
        for row, rank in zip(scores, ranks, strict=True)
        if (real := rank > 0).any()
    ]
    return {"ndcg@10": torch.stack(values).mean().item()}


def _ndcg(scores: torch.Tensor, ranks: torch.Tensor, depth: int = 10) -> torch.Tensor:
    count = len(ranks)
    position = ranks.argsort().argsort()
    gains = (count - 1 - position) / max(count - 1, 1)
    discounts = 1 / torch.log2(torch.arange(2, min(count, depth) + 2))
    found = gains.flip(0)[scores.flip(0).argsort(descending=True, stable=True)][:depth]
    ideal = gains.sort(descending=True).values[:depth]
    return (found * discounts).sum() / (ideal * discounts).sum().clamp(min=1e-9)
