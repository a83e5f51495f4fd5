"""The authors' training step, written out, and ours, on the same T5 and data: `python -m benchmarks.authors_recipe`.

Theirs (section 3.3 of the paper and its code): one query a step; its passages through the whole model, LM head
included; the mean over all ordered pairs of the cross-entropy of their two scores; 32 steps a weight update; clip 1.0;
AdamW. Dropout is off, so that both can be compared (`tests/training/test_authors_recipe.py`).
"""

import argparse
import random
import tempfile
import time
from itertools import combinations
from pathlib import Path
from statistics import median

import torch
from datasets import Dataset
from transformers import (
    AutoTokenizer,
    T5ForConditionalGeneration,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from benchmarks.random_t5 import SHAPES, save_random_t5
from modeling_twolar import TwolarForReranking
from retrieval.errors import run_cli
from training.arguments import DistillationArguments
from training.collator import RankingCollator
from training.losses import ranknet
from training.trainer import RankingTrainer

MAX_LENGTH = 500
CLIP = 1.0


def main() -> None:
    """Time both, taking turns."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.authors_recipe", description=__doc__)
    parser.add_argument("--shape", choices=sorted(SHAPES), default="flan-t5-small")
    parser.add_argument("--num_queries", type=int, default=4)
    parser.add_argument("--num_passages", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    rankings = seeded_rankings(arguments.num_queries, arguments.num_passages, words=80)
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        save_random_t5(Path(folder) / "t5", arguments.shape)
        for _ in range(arguments.rounds):
            seconds = []
            for train in (authors_training, our_training):
                start = time.perf_counter()
                if train is authors_training:
                    authors_training(Path(folder) / "t5", rankings)
                else:
                    our_training(Path(folder) / "t5", rankings, Path(folder) / "out")
                seconds.append(time.perf_counter() - start)
            ratios.append(seconds[0] / seconds[1])
            print(
                f"authors {seconds[0]:.1f} s, ours {seconds[1]:.1f} s: {ratios[-1]:.2f} times as fast",
                flush=True,
            )
    print(f"median: {median(ratios):.2f} times as fast ({min(ratios):.2f} to {max(ratios):.2f})")


def seeded_rankings(num_queries: int, num_passages: int, words: int = 12) -> Dataset:
    """Rankings of random words, in random orders; lengths spread as MS MARCO's."""
    rng = random.Random(0)

    def text(count: int) -> str:
        return " ".join(f"w{rng.randrange(30000)}" for _ in range(count))

    def passages() -> list[dict[str, object]]:
        counts = [max(3, round(words * rng.lognormvariate(0, 0.4))) for _ in range(num_passages)]
        return [
            {"docid": str(rank), "text": text(count), "rank": rank}
            for rank, count in enumerate(counts, start=1)
        ]

    return Dataset.from_list(
        [
            {"query_id": str(number), "query": text(5), "retrieved_passages": passages()}
            for number in range(num_queries)
        ]
    )


def authors_training(
    backbone: Path, rankings: Dataset, accumulation: int = 32, learning_rate: float = 5e-5
) -> tuple[T5ForConditionalGeneration, list[float]]:
    """Their recipe; the model, and the mean loss of each weight update."""
    model, tokenizer = (
        T5ForConditionalGeneration.from_pretrained(backbone),
        AutoTokenizer.from_pretrained(backbone),
    )
    model.train()
    _without_dropout(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.0)
    losses: list[float] = []
    for first in range(0, len(rankings), accumulation):
        rows = [rankings[index] for index in range(first, min(first + accumulation, len(rankings)))]
        own = []
        for row in rows:
            loss = _authors_loss(_authors_scores(model, tokenizer, row))
            (loss / len(rows)).backward()
            own.append(loss.item())
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(sum(own) / len(own))
    return model, losses


def _authors_scores(model: T5ForConditionalGeneration, tokenizer: object, row: dict) -> torch.Tensor:
    """One passage at a time through the whole model; passages are in the teacher's order."""
    true, false = tokenizer.convert_tokens_to_ids(["▁true", "▁false"])  # type: ignore[attr-defined]
    scores = []
    for passage in sorted(row["retrieved_passages"], key=lambda passage: passage["rank"]):
        text = f"Query: {row['query']} Document: {passage['text']} Relevant: "
        batch = tokenizer(text, truncation=True, max_length=MAX_LENGTH, return_tensors="pt")  # type: ignore[operator]
        start = torch.full((1, 1), model.config.decoder_start_token_id)
        logits = model(**batch, decoder_input_ids=start).logits[0, 0]
        scores.append(logits[true] - logits[false])
    return torch.stack(scores)


def _authors_loss(scores: torch.Tensor) -> torch.Tensor:
    pairs = [torch.stack([scores[i], scores[j]]) for i, j in combinations(range(len(scores)), 2)]
    first_wins = torch.zeros(len(pairs), dtype=torch.long)
    return torch.nn.functional.cross_entropy(torch.stack(pairs), first_wins)


def our_training(
    backbone: Path, rankings: Dataset, output: Path, accumulation: int = 32, learning_rate: float = 5e-5
) -> tuple[TwolarForReranking, list[float]]:
    """Our Trainer over the same rows in the same order; the model, and the loss of each weight update."""
    model = TwolarForReranking.from_backbone(backbone)
    _without_dropout(model)
    losses = _Losses()
    arguments = DistillationArguments(
        output_dir=str(output),
        learning_rate=learning_rate,
        gradient_accumulation_steps=accumulation,
        max_grad_norm=CLIP,
        logging_steps=1,
        save_strategy="no",
        report_to=["none"],
        use_cpu=True,
        disable_tqdm=True,
        train_sampling_strategy="sequential",
    )
    RankingTrainer(
        model=model,
        args=arguments,
        data_collator=RankingCollator(model.tokenizer, MAX_LENGTH),
        train_dataset=rankings,
        processing_class=model.tokenizer,
        ranking_loss=ranknet,
        callbacks=[losses],
    ).train()
    return model, losses.values


class _Losses(TrainerCallback):
    def __init__(self) -> None:
        self.values: list[float] = []

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """Keep the loss that was just added to the log."""
        if "loss" in state.log_history[-1]:
            self.values.append(float(state.log_history[-1]["loss"]))


def _without_dropout(model: torch.nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if hasattr(module, "dropout") and isinstance(module.dropout, float):
            module.dropout = 0.0  # type: ignore[assignment]


if __name__ == "__main__":
    run_cli(main)
