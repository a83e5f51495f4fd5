"""Scoring and ranking: length-sorted batches of about equal token counts, order restored."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, TypedDict, cast

import torch
from torch import nn
from tqdm.auto import tqdm
from transformers import BatchEncoding, PreTrainedModel, PreTrainedTokenizerBase

from .inputs import require_pairs, require_passages, require_positive
from .lengths import own_tokens, position_limit
from .packed_bert import can_be_packed
from .prompt_tokenizer import load_tokenizer
from .windows import best_of_each, windows

TOKENIZER_BATCH = 1024
LONG_WORK = 2000
PADDED_BATCH_TOKENS = 1024
PACKED_BATCH_TOKENS = 4096
FULL_BATCH_TOKENS = 16384

TOKENIZER_PLACE = ("revision", "subfolder", "token")

Pair = tuple[str, str]


class RankedPassage(TypedDict, total=False):
    """A passage's place in a ranking. `corpus_id`: its index in the list given; `text` where asked for."""

    corpus_id: int
    score: float
    text: str


class RerankingModel(PreTrainedModel):
    """`score` and `rank` for a model whose `forward` gives `logits` (batch, 1)."""

    _tokenizer: PreTrainedTokenizerBase | None = None
    # How the weights were loaded, from the Hub or a folder in one: the tokenizer is there too.
    _place: Mapping[str, Any] = MappingProxyType({})

    @classmethod
    def from_pretrained(cls, *args: Any, **kwargs: Any) -> Any:
        """As in transformers; the tokenizer then comes from the same `revision` and `subfolder`, by this `token`."""
        loaded = super().from_pretrained(*args, **kwargs)
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        model._place = {name: kwargs[name] for name in TOKENIZER_PLACE if kwargs.get(name)}
        return loaded

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer that holds the prompt; read from the checkpoint's folder at first use."""
        if self._tokenizer is None:
            self._tokenizer = load_tokenizer(self.config._name_or_path, **self._place)
        return self._tokenizer

    @tokenizer.setter
    def tokenizer(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer

    @property
    def _batch_tokens(self) -> int:
        """Large where a batch is packed without padding or has a GPU to fill; a padded one fits the cache."""
        if self.config.readout == "decoder_step" or self.device.type != "cpu":
            return FULL_BATCH_TOKENS
        backbone = cast(PreTrainedModel, self.backbone)
        return PACKED_BATCH_TOKENS if can_be_packed(backbone.base_model) else PADDED_BATCH_TOKENS

    @torch.inference_mode()
    def score(
        self,
        pairs: Sequence[Pair],
        batch_tokens: int | None = None,
        max_length: int | None = None,
        show_progress_bar: bool | None = None,
    ) -> torch.Tensor:
        """Scores of (query, passage) pairs, in the order given; the model's mode stays as it is.

        Args:
            pairs: queries and passages; either may be empty.
            batch_tokens: padded tokens in a batch. Default: what was fastest here for such a model.
            max_length: tokens of a pair, its prompt included; the passage is cut. Default: the tokenizer's.
            show_progress_bar: by default from 2,000 pairs on.

        Returns:
            (num_pairs,) float32, higher is more relevant.

        Raises:
            ValueError: for a pair that is not two texts, and where a score is not finite; it names the pair. For a
                `max_length` that the model cannot have.
        """
        require_pairs(pairs)
        require_positive("batch_tokens", batch_tokens)
        scores = torch.empty(len(pairs), dtype=torch.float32)
        show = len(pairs) >= LONG_WORK if show_progress_bar is None else show_progress_bar
        bar = tqdm(total=len(pairs), desc="scoring", unit="pair", disable=not show)
        with evaluation_mode(self), bar as progress:
            for start in range(0, len(pairs), TOKENIZER_BATCH):
                chunk = pairs[start : start + TOKENIZER_BATCH]
                encoded = self._tokenized(chunk, max_length)
                for indices, found in self._scored(encoded, batch_tokens or self._batch_tokens):
                    scores[[start + index for index in indices]] = found.float().cpu()
                    progress.update(len(indices))
        _require_finite(scores, pairs)
        return scores

    def relevance(self, scores: torch.Tensor | Sequence[float]) -> torch.Tensor:
        """Scores as numbers from 0 to 1, float64: how likely relevant, where `training.calibrate` has seen to that.

        None is higher than that of a higher score; very high scores all have 1.
        """
        scores = torch.as_tensor(scores, dtype=torch.float64)
        return ((scores - self.config.score_shift) / self.config.score_temperature).sigmoid()

    def rank(
        self,
        query: str,
        passages: Sequence[str],
        top_k: int | None = None,
        return_documents: bool = False,
        batch_tokens: int | None = None,
        show_progress_bar: bool | None = None,
        max_passage_tokens: int | None = None,
    ) -> list[RankedPassage]:
        """The passages from most to least relevant; ties keep the order given.

        Args:
            top_k: only the best so many.
            return_documents: add each passage's `text`.
            max_passage_tokens: a longer passage is scored in windows of so many tokens, and has the score of the
                best; see `windows.py`. Default: it is cut at the tokenizer's length.

        Raises:
            ValueError: as for `score`; for a `top_k` below 1, and for one text in place of a list.
        """
        require_passages(passages)
        require_positive("top_k", top_k)
        require_positive("max_passage_tokens", max_passage_tokens)
        parts = [
            windows(passage, self.tokenizer, max_passage_tokens) if max_passage_tokens else [passage]
            for passage in passages
        ]
        pairs = [(query, part) for own in parts for part in own]
        scores = self.score(pairs, batch_tokens, show_progress_bar=show_progress_bar)
        found = ranking(best_of_each(scores, [len(own) for own in parts]), top_k)
        if return_documents:
            for ranked in found:
                ranked["text"] = passages[ranked["corpus_id"]]
        return found

    def require_max_length(self, max_length: int) -> None:
        """Check that so many tokens hold the prompt and a text, and are not more than the backbone has positions.

        Raises:
            ValueError: it says from what to what.
        """
        least, most = own_tokens(self.tokenizer) + 1, position_limit(self)
        if max_length < least:
            raise ValueError(
                f"max_length {max_length} is below {least}: the prompt alone has {least - 1} tokens"
            )
        if most is not None and max_length > most:
            raise ValueError(f"max_length {max_length} is above {most}, the most that this model reads")

    def _tokenized(self, pairs: Sequence[Pair], max_length: int | None) -> BatchEncoding:
        if max_length is not None:
            self.require_max_length(max_length)
        limit = max_length or self.tokenizer.model_max_length
        queries = shortened_queries([query for query, _ in pairs], self.tokenizer, limit)
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


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """`model` without dropout; afterwards each of its parts is as it was, frozen ones too."""
    in_training = [part for part in model.modules() if part.training]
    if in_training:
        model.eval()
    try:
        yield
    finally:
        for part in in_training:
            part.training = True


def shortened_queries(
    queries: Sequence[str], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> list[str]:
    """`queries`, each cut to half of `max_length` tokens, or to all but one that the prompt leaves."""
    room = max(0, min(max_length // 2, max_length - own_tokens(tokenizer) - 1))
    cut = {query: shortened(query, tokenizer, room) for query in dict.fromkeys(queries)}
    return [cut[query] for query in queries]


def shortened(query: str, tokenizer: PreTrainedTokenizerBase, max_tokens: int) -> str:
    """`query`, cut to `max_tokens` tokens, so that there is room for a passage beside it.

    A character may have several tokens; it stays whole or goes. What is left may have other tokens than it had in the
    whole query, so it is looked at again.
    """
    while True:
        tokens = tokenizer(query, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        offsets = tokens["offset_mapping"]
        if len(offsets) <= max_tokens:
            return query
        kept_end = offsets[max_tokens - 1][1] if max_tokens else 0
        query = query[: min(kept_end, offsets[max_tokens][0], len(query) - 1)]


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
