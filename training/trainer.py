"""The Trainer: one forward pass over all pairs of a batch, a ranking loss over each query's scores."""

from typing import Any, cast

import torch
from torch import nn
from transformers import EvalPrediction, Trainer
from transformers.modeling_outputs import ModelOutput
from transformers.trainer_utils import EvalLoopOutput

from evaluation.measures import mean
from retrieval.errors import InputError
from training.arguments import DistillationArguments
from training.judged import JudgedRanking
from training.losses import RankingLoss
from training.parameter_groups import head_parameters, set_rate

TARGETS = ("ranks", "teacher_scores", "is_source")
# On a CPU padding costs its full price, and larger products gain nothing (benchmarks/LOG.md).
PAIRS_PER_CPU_PRODUCT = 8

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
        pairs = {name: tensor for name, tensor in inputs.items() if name not in TARGETS}
        ranks = inputs["ranks"]
        scores = padded_scores(model(**pairs, **self._chunks()).logits, ranks)
        loss = self.ranking_loss(scores, ranks, inputs.get("teacher_scores"), inputs.get("is_source"))
        if not torch.isfinite(loss):
            raise InputError(
                f"the loss is {loss.item()} at step {self.state.global_step}; lower --learning_rate, or train "
                "in fp32 or bf16 rather than fp16"
            )
        return (loss, ModelOutput(scores=scores)) if return_outputs else loss

    def _chunks(self) -> dict[str, int | bool]:
        """How many pairs the model scores at once: what `--passages_per_chunk` asks for, or what a CPU gains by."""
        if self.args.passages_per_chunk is not None:
            return {"pairs_per_chunk": self.args.passages_per_chunk, "keep_activations": False}
        return {"pairs_per_chunk": PAIRS_PER_CPU_PRODUCT} if self.args.device.type == "cpu" else {}

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

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> EvalLoopOutput:
        """Loss and nDCG@10 of the held-out queries; with a judged collection `eval_collection_ndcg@10` too."""
        output = super().evaluation_loop(*args, **kwargs)
        if self.judged is not None and output.metrics is not None:
            values = self.judged.ndcg_at_10(self.accelerator.unwrap_model(self.model))
            # Here, and not after `evaluate`: callbacks, early stopping among them, see what is returned here.
            output.metrics["eval_collection_ndcg@10"] = mean(values)
        return output

    def create_optimizer(self, *args: Any, **kwargs: Any) -> torch.optim.Optimizer:
        """The Trainer's optimizer; what is not the backbone gets `head_learning_rate` where that is given."""
        is_new = self.optimizer is None
        optimizer = super().create_optimizer(*args, **kwargs)
        if is_new and self.args.head_learning_rate is not None:
            set_rate(optimizer, head_parameters(cast(nn.Module, self.model)), self.args.head_learning_rate)
        return optimizer


def padded_scores(logits: torch.Tensor, ranks: torch.Tensor) -> torch.Tensor:
    """Scores of all pairs, (num_pairs, 1), in the shape of `ranks`; 0 where `ranks` is padding."""
    scores = logits.new_zeros(ranks.shape)
    return scores.masked_scatter(ranks > 0, logits.squeeze(-1))


def ndcg_at_10(prediction: EvalPrediction) -> dict[str, float]:
    """Mean nDCG@10 against the teacher's order, whose gain falls from 1 for its first to 0 for its last passage.

    Gains are linear, (n - rank) / (n - 1) of n passages; tied scores keep the order of the batch reversed,
    so that a model that scores all alike gains nothing from it.
    """
    scores, ranks = (torch.as_tensor(array) for array in (prediction.predictions, prediction.label_ids))
    values = [
        teacher_ndcg(row[real], rank[real])
        for row, rank in zip(scores, ranks, strict=True)
        if (real := rank > 0).any()
    ]
    return {"ndcg@10": torch.stack(values).mean().item()}


def teacher_ndcg(scores: torch.Tensor, ranks: torch.Tensor, depth: int = 10) -> torch.Tensor:
    """nDCG of one query's scores, (num_passages,), against the teacher's ranks, of which none is padding."""
    count = len(ranks)
    position = ranks.argsort().argsort()
    gains = (count - 1 - position) / max(count - 1, 1)
    discounts = 1 / torch.log2(torch.arange(2, min(count, depth) + 2))
    found = gains.flip(0)[scores.flip(0).argsort(descending=True, stable=True)][:depth]
    ideal = gains.sort(descending=True).values[:depth]
    return (found * discounts).sum() / (ideal * discounts).sum().clamp(min=1e-9)
