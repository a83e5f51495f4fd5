"""A compact student first learns to see texts as its whole start does: the vectors of the layers that it lacks.

Source: of hidden states, Jiao et al., "TinyBERT", arXiv 1909.10351; of sentence encoders, Reimers and Gurevych, "Making
Monolingual Sentence Embeddings Multilingual using Knowledge Distillation", arXiv 2004.09813. It reads the texts of the
rankings, and none of their labels: those are for the stage that follows.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from datasets import Dataset
from torch import nn
from transformers import Trainer, TrainerCallback

from modeling_twolar import TwolarForReranking
from modeling_twolar.bi_encoder import BiEncoder, Texts, TextVectors
from modeling_twolar.scoring_apart import TokenIds, as_texts, split_pair
from retrieval.errors import InputError
from training.arguments import Stage
from training.collator import contents, pool_of
from training.flags import VECTORS, ModelArguments
from training.student import load_student, on_device
from training.trainer import PAIRS_PER_CPU_PRODUCT

FLAG = f"--loss {VECTORS}"


class VectorTrainer(Trainer):
    """`transformers.Trainer` over texts, (token ids) each: the student's vectors are to be those of `whole`."""

    def __init__(self, *args: object, whole: TwolarForReranking, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.whole = whole
        # The loss is a mean over texts, so gradient accumulation has to divide it.
        self.model_accepts_loss_kwargs = False

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, torch.Tensor | Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """The mean over tokens of the squared distance of their vectors, plus that of the texts' pooled vectors."""
        real = inputs["attention_mask"].bool()
        per_token, per_text = [], []
        # Texts of similar length share a product, as pairs do in `RankingTrainer`.
        for own in real.sum(dim=1).argsort(descending=True, stable=True).split(PAIRS_PER_CPU_PRODUCT):
            used = real[own].any(dim=0)
            texts = Texts(inputs["input_ids"][own][:, used], real[own][:, used])
            with torch.no_grad():
                wanted = vectors(self.whole, texts)
            found = vectors(cast(TwolarForReranking, model), texts)
            per_token.append(_squared_distances(found.tokens, wanted.tokens)[texts.real])
            per_text.append(_squared_distances(found.pooled, wanted.pooled))
        return torch.cat(per_token).mean() + torch.cat(per_text).mean()


def vector_trainer(
    model: TwolarForReranking,
    start: ModelArguments,
    stage: Stage,
    rankings: Dataset,
    callbacks: Sequence[TrainerCallback],
) -> VectorTrainer:
    """The trainer of a stage with `--loss vectors`.

    Args:
        start: what the recipe starts from: all of its layers are the teacher.

    Raises:
        InputError: for a start whose scores need query and passage at once, a student that lacks no layer, or several
            devices.
    """
    if not isinstance(model.readout, BiEncoder):
        raise InputError(
            f"{FLAG} needs a bi-encoder's student, which sees query and passage apart; {start.model_name_or_path} is a "
            f"{model.config.readout}"
        )
    if start.layers is None and start.num_layers is None:
        raise InputError(f"{FLAG} teaches a compact student what it lacks; give --layers or --num_layers")
    if stage.training.world_size > 1:
        raise InputError(f"{FLAG} trains on one device; start it without accelerate launch")
    whole = on_device(load_student(replace(start, layers=None, num_layers=None)), stage)
    return VectorTrainer(
        model=model,
        args=stage.training,
        train_dataset=TextTokens(model, rankings, stage.model.max_length),
        data_collator=collate,
        processing_class=model.tokenizer,
        callbacks=list(callbacks),
        whole=whole.requires_grad_(False),
    )


class TextTokens(torch.utils.data.Dataset[TokenIds]):
    """The distinct queries and passages of rankings, as a model reads each: token ids, at most `max_length`."""

    def __init__(self, model: TwolarForReranking, rankings: Dataset, max_length: int) -> None:
        queries = dict.fromkeys(str(row["query"]) for row in rankings)
        passages = dict.fromkeys(contents(passage) for row in rankings for passage in pool_of(row))
        pairs = [(query, "") for query in queries] + [("", passage) for passage in passages]
        self._texts = _own_tokens(model, pairs, max_length) if pairs else []

    def __len__(self) -> int:
        return len(self._texts)

    def __getitem__(self, index: int) -> TokenIds:
        return self._texts[index]


def _own_tokens(
    model: TwolarForReranking, pairs: Sequence[tuple[str, str]], max_length: int
) -> list[TokenIds]:
    """Of pairs with one empty text, the other's tokens."""
    firsts, seconds = zip(*pairs, strict=True)
    read = model.tokenizer(list(firsts), list(seconds), truncation="longest_first", max_length=max_length)
    split = (split_pair(read, index) for index in range(len(pairs)))
    return [query if pair[0] else passage for pair, (query, passage) in zip(pairs, split, strict=True)]


def collate(texts: Sequence[TokenIds]) -> dict[str, torch.Tensor]:
    """`input_ids` and `attention_mask`, (num_texts, length) int64, padded on the right."""
    input_ids, real = as_texts(texts)
    return {"input_ids": input_ids, "attention_mask": real.long()}


def vectors(model: TwolarForReranking, texts: Texts) -> TextVectors:
    """What a bi-encoder compares of texts, all of their tokens included."""
    readout = cast(BiEncoder, model.readout)
    return readout.encode(model.backbone, texts, is_query=False)


def _squared_distances(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    return (found - wanted).square().sum(dim=-1)
