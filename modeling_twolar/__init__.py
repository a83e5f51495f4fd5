"""TWOLAR's reranker: configuration, model and score, as a checkpoint carries them along."""

from .configuration_twolar import TwolarConfig
from .modeling_twolar import TwolarForReranking, load_reranker

__all__ = ["TwolarConfig", "TwolarForReranking", "load_reranker"]
