"""Passages' vectors, computed once and kept: for a model whose readout sees query and passage apart."""

from collections.abc import Iterator, Sequence

import torch
from torch import nn
from transformers import BatchEncoding, PreTrainedModel

from .bi_encoder import BiEncoder
from .inputs import require_pairs, require_passages, require_positive
from .scoring import RankedPassage, RerankingModel, evaluation_mode, ranking
from .scoring_apart import PassageVectors, padded, scored_apart, split_pair, text_vectors


class EncodingModel(RerankingModel):
    """`score` that encodes each text once, `encode_passages`, `encode_query` and `rank_encoded`."""

    backbone: PreTrainedModel
    readout: nn.Module
    head: nn.Module

    def _scored(
        self, encoded: BatchEncoding, batch_tokens: int
    ) -> Iterator[tuple[Sequence[int], torch.Tensor]]:
        if not isinstance(self.readout, BiEncoder):
            return super()._scored(encoded, batch_tokens)
        return scored_apart(self.readout, self.backbone, self.head, encoded, batch_tokens)

    @torch.inference_mode()
    def encode_passages(
        self, passages: Sequence[str], batch_tokens: int | None = None, max_length: int | None = None
    ) -> list[PassageVectors]:
        """Passages' vectors, for `rank_encoded`: of a bi-encoder, which sees query and passage apart.

        Args:
            passages: texts; a passage takes (tokens + 1) * hidden_size numbers.
            batch_tokens, max_length: as in `score`.

        Raises:
            ValueError: for a model whose scores need both texts at once, and for what is no list of texts.
        """
        readout = self._bi_encoder()
        require_passages(passages)
        require_positive("batch_tokens", batch_tokens)
        if not passages:
            return []
        encoded = self._tokenized([("", passage) for passage in passages], max_length)
        texts = [split_pair(encoded, index)[1] for index in range(len(passages))]
        tokens = batch_tokens or self._batch_tokens
        with evaluation_mode(self):
            return text_vectors(readout, self.backbone, texts, tokens, is_query=False)

    @torch.inference_mode()
    def encode_query(self, query: str) -> PassageVectors:
        """A query's vectors; the cosine of its `pooled` with passages' finds candidates for `rank_encoded`.

        Raises:
            ValueError: as for `encode_passages`.
        """
        readout = self._bi_encoder()
        require_pairs([(query, "")])
        texts = [split_pair(self._tokenized([(query, "")], None), 0)[0]]
        with evaluation_mode(self):
            (vectors,) = text_vectors(readout, self.backbone, texts, self._batch_tokens, is_query=True)
        return vectors

    @torch.inference_mode()
    def rank_encoded(
        self, query: str, passages: Sequence[PassageVectors], top_k: int | None = None
    ) -> list[RankedPassage]:
        """As `rank`, of passages that `encode_passages` gave: only the query is left to encode."""
        readout = self._bi_encoder()
        require_positive("top_k", top_k)
        queries = padded([self.encode_query(query)]).take(
            torch.zeros(len(passages), dtype=torch.long, device=self.device)
        )
        scores = self.head(readout.compare(queries, padded(passages))) if passages else torch.empty(0)
        return ranking(scores.float().cpu(), top_k)

    def _bi_encoder(self) -> BiEncoder:
        if not isinstance(self.readout, BiEncoder):
            raise ValueError(
                f"a {self.config.readout} reranker scores query and passage together; only a bi_encoder encodes "
                "passages by themselves"
            )
        return self.readout
