"""Scoring and ranking: length-sorted batches of about equal token counts, order restored."""

from collections.abc import Iterator, Sequence
from typing import TypedDict

import torch
from tqdm.auto import tqdm
from transformers import BatchEncoding, PreTrainedModel, PreTrainedTokenizerBase

from .prompt_tokenizer import load_tokenizer

TOKENIZER_BATCH = 1024
LONG_WORK = 2000
PADDED_BATCH_TOKENS = 4096
FULL_BATCH_TOKENS = 16384

Pair = tuple[str, str]


class RankedPassage(TypedDict, total=False):
    """A passage's place in a ranking. `corpus_id`: its index in the list given; `text` where asked for."""

    corpus_id: int
    score: float
    text: str


class RerankingModel(PreTrainedModel):
    """`score` and `rank` for a model whose `forward` gives `logits` (batch, 1)."""

    _tokenizer: PreTrainedTokenizerBase | None = None

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer that holds the prompt; read from the checkpoint's folder at first use."""
        if self._tokenizer is None:
            self._tokenizer = load_tokenizer(self.config._name_or_path)
        return self._tokenizer

    @tokenizer.setter
    def tokenizer(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer

    @property
    def _batch_tokens(self) -> int:
        """Large where a batch is packed without padding (T5 on a CPU) or has a GPU to fill."""
        is_packed = self.config.readout == "decoder_step"
        return FULL_BATCH_TOKENS if is_packed or self.device.type != "cpu" else PADDED_BATCH_TOKENS

    @torch.inference_mode()
    def score(
        self,
        pairs: Sequence[Pair],
        batch_tokens: int | None = None,
        max_length: int | None = None,
        show_progress_bar: bool | None = None,
    ) -> torch.Tensor:
        """Scores of (query, passage) pairs, in the order given.

        Args:
            pairs: queries and passages; either may be empty.
            batch_tokens: padded tokens in a batch. Default: what was fastest here for such a model.
            max_length: tokens of a pair, its prompt included; the passage is cut. Default: the tokenizer's.
            show_progress_bar: by default from 2,000 pairs on.

        Returns:
            (num_pairs,) float32, higher is more relevant.

        Raises:
            ValueError: where a score is not finite; it names the pair.
        """
        scores = torch.empty(len(pairs), dtype=torch.float32)
        show = len(pairs) >= LONG_WORK if show_progress_bar is None else show_progress_bar
        was_training = self.training
        self.eval()
        with tqdm(total=len(pairs), desc="scoring", unit="pair", disable=not show) as progress:
            for start in range(0, len(pairs), TOKENIZER_BATCH):
                chunk = pairs[start : start + TOKENIZER_BATCH]
                encoded = self._tokenized(chunk, max_length)
                for indices, found in self._scored(encoded, batch_tokens or self._batch_tokens):
                    scores[[start + index for index in indices]] = found.float().cpu()
                    progress.update(len(indices))
        self.train(was_training)
        _require_finite(scores, pairs)
        return scores

    def rank(
        self,
        query: str,
        passages: Sequence[str],
        top_k: int | None = None,
        return_documents: bool = False,
        batch_tokens: int | None = None,
        show_progress_bar: bool | None = None,
    ) -> list[RankedPassage]:
        """The passages from most to least relevant; ties keep the order given.

        Args:
            top_k: only the best so many.
            return_documents: add each passage's `text`.
        """
        scores = self.score(
            [(query, passage) for passage in passages], batch_tokens, show_progress_bar=show_progress_bar
        )
        found = ranking(scores, top_k)
        if return_documents:
            for ranked in found:
                ranked["text"] = passages[ranked["corpus_id"]]
        return found

    def _tokenized(self, pairs: Sequence[Pair], max_length: int | None) -> BatchEncoding:
        limit = max_length or self.tokenizer.model_max_length
        queries = [shortened(query, self.tokenizer, limit // 2) for query, _ in pairs]
        passages = [passage for _, passage in pairs]
        return self.tokenizer(queries, passages, truncation="only_second", max_length=limit)

    def _scored(
        self, encoded: BatchEncoding, batch_tokens: int
    ) -> Iterator[tuple[Sequence[int], torch.Tensor]]:
        """Pairs' indices and scores, of a tokenizer's unpadded columns, a batch at a time."""
        lengths = [len(ids) for ids in encoded["input_ids"]]
        for indices in token_budget_batches(lengths, batch_tokens):
            rows = [{name: encoded[name][index] for name in encoded} for index in indices]
            batch = self.tokenizer.pad(rows, return_tensors="pt").to(self.device)
            yield indices, self(**batch).logits[:, 0]


def ranking(scores: torch.Tensor, top_k: int | None) -> list[RankedPassage]:
    """Passages by their scores, (num_passages,), from most to least relevant; ties keep the order given."""
    order = scores.argsort(descending=True, stable=True)[:top_k].tolist()
    return [RankedPassage(corpus_id=index, score=scores[index].item()) for index in order]


def shortened(query: str, tokenizer: PreTrainedTokenizerBase, max_tokens: int) -> str:
    """`query`, cut to `max_tokens` tokens, so that there is room for a passage beside it."""
    if len(query) <= max_tokens:
        return query
    tokens = tokenizer(
        query, add_special_tokens=False, truncation=True, max_length=max_tokens, return_offsets_mapping=True
    )
    return query[: tokens["offset_mapping"][-1][1]] if tokens["offset_mapping"] else query


def token_budget_batches(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Indices in batches of similar length, each of at most `batch_tokens` padded tokens, longest first."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        if batch and (len(batch) + 1) * lengths[batch[0]] > batch_tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _require_finite(scores: torch.Tensor, pairs: Sequence[Pair]) -> None:
    wrong = (~scores.isfinite()).nonzero()
    if len(wrong):
        index = int(wrong[0])
        query, passage = pairs[index]
        raise ValueError(
            f"pair {index} has the score {scores[index].item()}: query {query[:60]!r}, "
            f"passage {passage[:60]!r}; check the weights, or load them in fp32"
        )
