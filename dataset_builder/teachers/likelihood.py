"""Query likelihood: how probable a causal language model finds the query, given the passage.

Source: Sachan et al., "Improving Passage Retrieval with Zero-Shot Question Generation", EMNLP 2022, arXiv 2204.07496.
The score is the mean natural log-probability of the query's tokens after the prompt, between minus infinity and 0.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import cast

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    DynamicCache,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.cache_utils import DynamicLayer

from dataset_builder.prompt_files import render
from dataset_builder.ranking_example import RankingExample
from dataset_builder.teacher_name import LIKELIHOOD, TeacherName
from dataset_builder.teachers import TeacherAnswer, best_first, labelled
from retrieval.batches import batched
from retrieval.device import best_device, best_dtype
from retrieval.errors import InputError
from retrieval.model_files import gguf_file, model_path
from retrieval.records import Passage

PROMPT = "likelihood.txt"
# Pools often share passages, and a passage's part of the prompt is read once for all queries of a group.
POOLS_AT_ONCE = 64
PASSAGES_AT_ONCE = 8
QUERIES_AT_ONCE = 16
MAX_PASSAGE_TOKENS = 256
MAX_QUERY_TOKENS = 64


class LikelihoodTeacher:
    """Orders a pool by the likelihood of its query; ties keep the first-stage order.

    A score's last digits depend on the texts that share a batch.
    """

    def __init__(self, name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        self.name = name
        self._model = model.eval()
        self._tokenizer = tokenizer

    def label(self, examples: Iterable[RankingExample]) -> Iterator[RankingExample]:
        """See `Teacher.label`."""
        for group in batched(examples, POOLS_AT_ONCE):
            pairs = [(pool.query.text, found.passage.contents) for pool in group for found in pool.passages]
            scores = iter(self.score(pairs))
            for pool in group:
                yield labelled(pool, best_first([next(scores) for _ in pool.passages]), self.name)

    def order(self, query: str, passages: Sequence[Passage]) -> TeacherAnswer:
        """Rank `passages` for `query`, with their scores."""
        return best_first(self.score([(query, passage.contents) for passage in passages]))

    @torch.inference_mode()
    def score(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Mean log-probability of the query's tokens for each (query, passage)."""
        places: dict[str, list[int]] = {}
        for place, (_, passage) in enumerate(pairs):
            places.setdefault(passage, []).append(place)
        scores = [0.0] * len(pairs)
        for passages in batched(sorted(places, key=len), PASSAGES_AT_ONCE):
            wanted = [(row, place) for row, passage in enumerate(passages) for place in places[passage]]
            prefix = self._read(passages)
            for part in batched(wanted, QUERIES_AT_ONCE):
                queries = [pairs[place][0] for _, place in part]
                found = self._query_log_probabilities(prefix, [row for row, _ in part], queries)
                for (_, place), value in zip(part, found, strict=True):
                    scores[place] = value
        return scores

    def _read(self, passages: Sequence[str]) -> "_Prefix":
        """The keys and values of the prompts of these passages, padded on the left."""
        tokenizer = self._tokenizer
        tokens = [
            tokenizer(text, truncation=True, max_length=MAX_PASSAGE_TOKENS, add_special_tokens=False)[
                "input_ids"
            ]
            for text in passages
        ]
        cut = [str(tokenizer.decode(own)) for own in tokens]
        prompts = [render(PROMPT, passage=" ".join(text.split())).strip() for text in cut]
        batch = tokenizer(prompts, return_tensors="pt", padding=True).to(self._model.device)
        mask = batch["attention_mask"]
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
        output = self._model(
            input_ids=batch["input_ids"],
            attention_mask=mask,
            position_ids=positions,
            use_cache=True,
            logits_to_keep=1,
        )
        return _Prefix(cast(DynamicCache, output.past_key_values), mask, output.logits[:, -1].float())

    def _query_log_probabilities(
        self, prefix: "_Prefix", rows: Sequence[int], queries: Sequence[str]
    ) -> list[float]:
        """Of `queries[i]` after the prompt of passage `rows[i]`."""
        tokenizer, index = self._tokenizer, torch.tensor(rows, device=self._model.device)
        batch = tokenizer(
            [f" {query}" for query in queries],
            return_tensors="pt",
            padding=True,
            padding_side="right",
            truncation=True,
            max_length=MAX_QUERY_TOKENS,
            add_special_tokens=False,
        ).to(self._model.device)
        ids, own = batch["input_ids"], batch["attention_mask"]
        mask = prefix.mask[index]
        positions = mask.sum(dim=1, keepdim=True) + torch.arange(ids.shape[1], device=ids.device)
        logits = self._model(
            input_ids=ids,
            attention_mask=torch.cat([mask, own], dim=1),
            position_ids=positions,
            past_key_values=prefix.keys_and_values_of(index),
        ).logits.float()
        predicting = torch.cat([prefix.next_token[index][:, None], logits[:, :-1]], dim=1)
        log_probabilities = predicting.log_softmax(dim=-1).gather(2, ids[:, :, None]).squeeze(2)
        means = (log_probabilities * own).sum(dim=1) / own.sum(dim=1).clamp(min=1)
        return [float(value) for value in means]


class _Prefix:
    """The state of the model behind the prompts of some passages; `next_token`: (num_passages, vocabulary) logits."""

    def __init__(self, state: DynamicCache, mask: torch.Tensor, next_token: torch.Tensor) -> None:
        layers = cast(list[DynamicLayer], state.layers)
        self.mask = mask
        self.next_token = next_token
        self._layers = [
            (cast(torch.Tensor, layer.keys), cast(torch.Tensor, layer.values)) for layer in layers
        ]

    def keys_and_values_of(self, rows: torch.Tensor) -> DynamicCache:
        """A cache with one row for each of `rows`, (num_queries,) int64, which may come often."""
        state = DynamicCache()
        for number, (keys, values) in enumerate(self._layers):
            state.update(keys[rows], values[rows], number)
        return state


def open_likelihood(name_or_path: str) -> LikelihoodTeacher:
    """The teacher `likelihood:MODEL`: a Hub name, a folder, a `.gguf` file, or SmolLM2-135M-Instruct from PyPI.

    Raises:
        InputError: for a model that cannot be loaded, or a GGUF that is missing.
    """
    path, gguf = model_path(name_or_path), gguf_file(name_or_path)
    file = {} if gguf is None else {"gguf_file": gguf.name}
    folder = path if gguf is None else str(gguf.parent)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left", **file)
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=best_dtype(), **file)
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(f"teacher {LIKELIHOOD}:{name_or_path} cannot be loaded ({reason})") from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    model.to(best_device())  # type: ignore[arg-type]
    return LikelihoodTeacher(str(TeacherName(LIKELIHOOD, name_or_path)), model, tokenizer)
