"""A teacher that runs here: any causal language model of transformers, asked with the same prompt."""

from collections.abc import Iterable, Iterator
from itertools import islice

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from dataset_builder.errors import InputError
from dataset_builder.records import RankingExample
from dataset_builder.teachers import TeacherAnswer
from dataset_builder.teachers.answer_cache import AnswerCache
from dataset_builder.teachers.chat import ChatAnswer, ChatRequest
from dataset_builder.teachers.cost import Budget
from dataset_builder.teachers.listwise import ListwiseSettings, Ranking, advance, begin_ranking
from dataset_builder.teachers.llm_teacher import LLMTeacher

# `[12] > ` in tokens, with room for the notation of other models.
TOKENS_PER_ID = 8


class LocalCausalLM(LLMTeacher):
    """Generates with the model `settings.model`, a folder or Hub name, on all devices here.

    `batch_size` pools advance together. Without a temperature it decodes greedily; without `max_tokens`, an
    answer gets 8 tokens an id, which leaves no room for reasoning.
    """

    def __init__(
        self, settings: ListwiseSettings, cache: AnswerCache, budget: Budget, batch_size: int = 4
    ) -> None:
        super().__init__(settings, cache, budget)
        self.batch_size = batch_size
        self.tokenizer = _load_tokenizer(settings.model)
        self.model = AutoModelForCausalLM.from_pretrained(
            settings.model, dtype="auto", device_map="auto"
        ).eval()

    def label(self, examples: Iterable[RankingExample]) -> Iterator[RankingExample]:
        """See `LLMTeacher.label`."""
        rest = iter(examples)
        while group := list(islice(rest, self.batch_size)):
            answers = self._rank([begin_ranking(example, self.settings) for example in group])
            for example, answer in zip(group, answers, strict=True):
                yield self._labelled(example, answer)

    def _rank(self, rankings: list[Ranking]) -> list[TeacherAnswer]:
        """Advance all rankings in rounds, one request of each, until all have returned."""
        steps = [advance(ranking, None) for ranking in rankings]
        while waiting := {place: step for place, step in enumerate(steps) if isinstance(step, ChatRequest)}:
            answers = self._answers(list(waiting.values()))
            for place, answer in zip(waiting, answers, strict=True):
                steps[place] = advance(rankings[place], answer)
        return [step for step in steps if isinstance(step, TeacherAnswer)]

    def _answers(self, requests: list[ChatRequest]) -> list[ChatAnswer]:
        missing = {request.key: request for request in requests if self.cache.get(request) is None}
        if missing:
            self.budget.check()
            for key, generated in zip(missing, self._generate(list(missing.values())), strict=True):
                self.cache.put(key, self.settings.model, generated)
        return [answer for request in requests if (answer := self.cache.get(request)) is not None]

    @torch.inference_mode()
    def _generate(self, requests: list[ChatRequest]) -> list[ChatAnswer]:
        prompts = [_chat_text(self.tokenizer, request) for request in requests]
        inputs = self.tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False)
        self._check_length(inputs["input_ids"].shape[1])
        most_ids = max(request.num_listed for request in requests)
        temperature = self.settings.sampling.temperature
        generated = self.model.generate(
            **inputs.to(self.model.device),
            max_new_tokens=self.settings.sampling.max_tokens or TOKENS_PER_ID * most_ids,
            do_sample=bool(temperature),
            temperature=temperature or None,
            top_p=None,
            top_k=None,
            pad_token_id=self.tokenizer.pad_token_id,
        )[:, inputs["input_ids"].shape[1] :]
        prompt_tokens = inputs["attention_mask"].sum(dim=1).tolist()
        return [self._answer(tokens, length) for tokens, length in zip(generated, prompt_tokens, strict=True)]

    def _answer(self, tokens: torch.Tensor, prompt_tokens: int) -> ChatAnswer:
        """`tokens`: (num_new_tokens,) int64, padded behind the end."""
        kept = tokens[tokens != self.tokenizer.pad_token_id]
        text = str(self.tokenizer.decode(kept, skip_special_tokens=True))
        return ChatAnswer(text, prompt_tokens=prompt_tokens, completion_tokens=len(kept))

    def _check_length(self, prompt_tokens: int) -> None:
        """A prompt beyond the model's positions would be cut or read as noise, and the label with it."""
        positions = getattr(self.model.config, "max_position_embeddings", None)
        if positions is not None and prompt_tokens > positions:
            raise InputError(
                f"{self.settings.model} reads {positions} tokens, the prompt has {prompt_tokens}; "
                "lower window_size or max_words"
            )


def _load_tokenizer(model: str) -> PreTrainedTokenizerBase:
    tokenizer = AutoTokenizer.from_pretrained(model, padding_side="left")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _chat_text(tokenizer: PreTrainedTokenizerBase, request: ChatRequest) -> str:
    """The prompt in the model's chat template; for a base model, its messages as plain text."""
    if tokenizer.chat_template is None:
        return "\n\n".join(message.content for message in request.messages) + "\n\n"
    messages = [{"role": message.role, "content": message.content} for message in request.messages]
    # Qwen3's template and its like would begin with reasoning, for which an answer has no room.
    return str(
        tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, enable_thinking=False
        )
    )
