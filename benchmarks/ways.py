"""The ways of scoring pairs that are compared, each a function from pairs to scores with the same weights."""

from collections.abc import Callable
from pathlib import Path

import torch
from sentence_transformers import CrossEncoder
from transformers import AutoTokenizer, PreTrainedTokenizerBase, T5ForConditionalGeneration

from modeling_twolar import TwolarForReranking

Pair = tuple[str, str]
Way = Callable[[list[Pair]], torch.Tensor]
AUTHORS_LOOP = "authors' loop"
MAX_LENGTH = 500
PADDED_BATCH = 48


def make_ways(t5: Path, checkpoint: Path, device: torch.device) -> dict[str, Way]:
    """Every way, by name, over the same weights. `checkpoint`: an empty folder for our form of them."""
    TwolarForReranking.from_backbone(t5).save_pretrained(checkpoint)
    plain, tokenizer = (
        T5ForConditionalGeneration.from_pretrained(t5).eval(),
        AutoTokenizer.from_pretrained(t5),
    )
    full = FullT5(plain.to(device), tokenizer)
    cross_encoder = CrossEncoder(str(checkpoint), trust_remote_code=True, device=str(device))
    ways: dict[str, Way] = {
        AUTHORS_LOOP: lambda pairs: torch.cat([full.score([pair]) for pair in pairs]),
        "padded batches": lambda pairs: torch.cat([full.score(batch) for batch in _batches(pairs)]),
        "CrossEncoder": lambda pairs: torch.as_tensor(cross_encoder.predict(pairs)),
        "ours, fp32": _load(checkpoint, device).score,
        "ours, bf16": _load(checkpoint, device).to(torch.bfloat16).score,  # type: ignore[arg-type]
    }
    if device.type == "cpu":
        ways["ours, int8"] = _load(checkpoint, device).quantize("int8").score
    return ways


class FullT5:
    """The score from the whole model: the prompt as a string, every row of the LM head."""

    def __init__(self, model: T5ForConditionalGeneration, tokenizer: PreTrainedTokenizerBase) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.true = tokenizer.convert_tokens_to_ids("▁true")
        self.false = tokenizer.convert_tokens_to_ids("▁false")

    @torch.inference_mode()
    def score(self, pairs: list[Pair]) -> torch.Tensor:
        """Scores, (num_pairs,), of pairs padded to the longest."""
        texts = [f"Query: {query} Document: {passage} Relevant: " for query, passage in pairs]
        batch = self.tokenizer(
            texts, truncation=True, max_length=MAX_LENGTH, padding=True, return_tensors="pt"
        ).to(self.model.device)
        start = torch.full(
            (len(pairs), 1), self.model.config.decoder_start_token_id, device=self.model.device
        )
        logits = self.model(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], decoder_input_ids=start
        ).logits[:, 0]
        return (logits[:, self.true] - logits[:, self.false]).cpu()


def _load(checkpoint: Path, device: torch.device) -> TwolarForReranking:
    return TwolarForReranking.from_pretrained(checkpoint).to(device)  # type: ignore[arg-type]


def _batches(pairs: list[Pair]) -> list[list[Pair]]:
    return [pairs[start : start + PADDED_BATCH] for start in range(0, len(pairs), PADDED_BATCH)]
