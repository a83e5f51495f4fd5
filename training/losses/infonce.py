"""InfoNCE: the passage that the query was made from against the others of its list."""

import torch

from training.losses.lists import log_softmax


def infonce(
    scores: torch.Tensor,
    ranks: torch.Tensor,
    teacher_scores: torch.Tensor | None = None,
    is_source: torch.Tensor | None = None,
) -> torch.Tensor:
    """Negative log of the source passage's softmax(scores), then the mean over the queries that have one.

    Source: Gao et al., "Rethink Training of BERT Rerankers in Multi-Stage Retrieval Pipeline", arXiv
    2101.08751 (localized contrastive estimation: the negatives are what the query's retriever found). Equals
    sentence-transformers' MultipleNegativesRankingLoss over the list alone, without negatives from other
    queries, with scale 1 and no activation (its defaults, 10 and a sigmoid, bound what a score can say). The
    teacher's order is not read: `ranks` only says what is padding. Arguments: see `training.losses`.

    Returns:
        Scalar, in float32. A query whose source is not among its passages takes no part in the mean; 0, with
        a gradient of 0, where no query has one (under gradient accumulation such a step counts as a 0).

    Raises:
        ValueError: without `is_source`.
    """
    if is_source is None:
        raise ValueError(
            "infonce needs is_source, the passage that each query was made from; take a dataset whose rows "
            "name it in source_docid, or another loss, such as ranknet"
        )
    real = ranks > 0
    source = is_source & real
    losses = -log_softmax(scores, real).where(source, 0.0)
    return losses.sum() / source.any(dim=1).sum().clamp(min=1)
