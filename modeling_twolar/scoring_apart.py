"""Scores of a bi-encoder: each distinct text is encoded once, however many pairs it is in, or once for all."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel

from .bi_encoder import PASSAGE_SEGMENT, QUERY_SEGMENT, BiEncoder, Texts, TextVectors
from .scoring import token_budget_batches

# Pairs that are compared at a time: each takes (query tokens, passage tokens) similarities.
PAIRS_AT_ONCE = 256

TokenIds = tuple[int, ...]
# A tokenizer's unpadded columns: name → pair → tokens.
Encoded = Mapping[str, Sequence[Sequence[int]]]
Head = Callable[[torch.Tensor], torch.Tensor]


class PassageVectors(NamedTuple):
    """A text as a bi-encoder keeps it. `pooled`: (hidden_size,); `tokens`: (length, hidden_size); of norm 1."""

    pooled: torch.Tensor
    tokens: torch.Tensor


def scored_apart(
    readout: BiEncoder, backbone: PreTrainedModel, head: Head, encoded: Encoded, batch_tokens: int
) -> Iterator[tuple[list[int], torch.Tensor]]:
    """Pairs' indices and scores, a batch of passages at a time."""
    pairs = [split_pair(encoded, index) for index in range(len(encoded["input_ids"]))]
    queries = dict.fromkeys(query for query, _ in pairs)
    vectors = dict(
        zip(queries, text_vectors(readout, backbone, list(queries), batch_tokens, is_query=True), strict=True)
    )
    pairs_with: dict[TokenIds, list[int]] = {}
    for index, (_, passage) in enumerate(pairs):
        pairs_with.setdefault(passage, []).append(index)
    passages = list(pairs_with)
    for places, batch in _encoded(readout, backbone, passages, batch_tokens, is_query=False):
        chosen = [(index, row) for row, place in enumerate(places) for index in pairs_with[passages[place]]]
        for start in range(0, len(chosen), PAIRS_AT_ONCE):
            part = chosen[start : start + PAIRS_AT_ONCE]
            own_queries = padded([vectors[pairs[index][0]] for index, _ in part])
            own_passages = batch.take(torch.tensor([row for _, row in part], device=backbone.device))
            yield [index for index, _ in part], head(readout.compare(own_queries, own_passages))


def text_vectors(
    readout: BiEncoder,
    backbone: PreTrainedModel,
    texts: Sequence[TokenIds],
    batch_tokens: int,
    *,
    is_query: bool,
) -> list[PassageVectors]:
    """Each text's vectors, in the order given; of its tokens those that are compared."""
    found: dict[int, PassageVectors] = {}
    for places, batch in _encoded(readout, backbone, texts, batch_tokens, is_query=is_query):
        for row, place in enumerate(places):
            found[place] = PassageVectors(batch.pooled[row], batch.tokens[row][batch.matched[row]])
    return [found[place] for place in range(len(texts))]


def split_pair(encoded: Encoded, index: int) -> tuple[TokenIds, TokenIds]:
    """Token ids of a pair's query and passage."""
    both = list(zip(encoded["input_ids"][index], encoded["token_type_ids"][index], strict=True))
    query, passage = (
        tuple(token for token, own in both if own == segment) for segment in (QUERY_SEGMENT, PASSAGE_SEGMENT)
    )
    return query, passage


def as_texts(texts: Sequence[TokenIds]) -> Texts:
    """Token ids of several texts, padded on the right."""
    lengths = torch.tensor([len(text) for text in texts])
    input_ids = torch.zeros(len(texts), max(int(lengths.max()), 1), dtype=torch.long)
    for row, text in zip(input_ids, texts, strict=True):
        row[: len(text)] = torch.tensor(text, dtype=torch.long)
    return Texts(input_ids, torch.arange(input_ids.shape[1]) < lengths[:, None])


def padded(texts: Sequence[PassageVectors]) -> TextVectors:
    """Vectors of several texts as one batch."""
    lengths = torch.tensor([len(text.tokens) for text in texts], device=texts[0].pooled.device)
    tokens = pad_sequence([text.tokens for text in texts], batch_first=True)
    matched = torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]
    return TextVectors(torch.stack([text.pooled for text in texts]), tokens, matched)


def _encoded(
    readout: BiEncoder,
    backbone: PreTrainedModel,
    texts: Sequence[TokenIds],
    batch_tokens: int,
    *,
    is_query: bool,
) -> Iterator[tuple[list[int], TextVectors]]:
    """Batches of texts of similar length: their places in `texts`, and their vectors."""
    for places in token_budget_batches([len(text) for text in texts], batch_tokens):
        input_ids, real = as_texts([texts[place] for place in places])
        on_device = Texts(input_ids.to(backbone.device), real.to(backbone.device))
        yield places, readout.encode(backbone, on_device, is_query=is_query)
