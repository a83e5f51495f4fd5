"""A model that runs here: any causal language model of transformers, asked with the same prompts."""

from collections.abc import Iterator

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from dataset_builder.language_models.answer_cache import AnswerCache
from dataset_builder.language_models.budget import Budget
from dataset_builder.language_models.chat import ChatAnswer, ChatRequest
from dataset_builder.language_models.conversation import (
    Begin,
    Conversation,
    Item,
    Items,
    LanguageModel,
    Result,
    advance,
)
from dataset_builder.language_models.tally import Tally
from retrieval.batches import batched

# `[12] > ` in tokens, with room for the notation of other models.
TOKENS_PER_ID = 8


class LocalModel(LanguageModel):
    """Generates with the model `name_or_path`, a folder or Hub name, on all devices here.

    `batch_size` conversations advance together. Without a temperature it decodes greedily; a request for ids
    without `max_tokens` gets 8 tokens an id, and its budget for thinking on top.
    """

    def __init__(self, name_or_path: str, cache: AnswerCache, budget: Budget, batch_size: int = 4) -> None:
        super().__init__(cache, budget)
        self.name_or_path = name_or_path
        self.batch_size = batch_size
        self._tally = Tally(name_or_path)
        self.tokenizer = _load_tokenizer(name_or_path)
        self.model = AutoModelForCausalLM.from_pretrained(
            name_or_path, dtype="auto", device_map="auto"
        ).eval()

    def converse(self, items: Items[Item], begin: Begin[Item, Result]) -> Iterator[tuple[Item, Result]]:
        """See `LanguageModel.converse`."""
        yield from self._converse(items, begin)
        self.budget.note_uses()

    def _converse(self, items: Items[Item], begin: Begin[Item, Result]) -> Iterator[tuple[Item, Result]]:
        for group in batched(items(), self.batch_size):
            yield from zip(group, self._together([begin(item) for item in group]), strict=True)

    def _together(self, conversations: list[Conversation[Result]]) -> list[Result]:
        """Advance all in rounds, one request of each, until all have returned."""
        steps = [advance(conversation, None) for conversation in conversations]
        while waiting := {place: step for place, step in enumerate(steps) if isinstance(step, ChatRequest)}:
            answers = self._answers(list(waiting.values()))
            for place, answer in zip(waiting, answers, strict=True):
                steps[place] = advance(conversations[place], answer)
        return [step for step in steps if not isinstance(step, ChatRequest)]

    def _answers(self, requests: list[ChatRequest]) -> list[ChatAnswer]:
        missing = {request.key: request for request in requests if self.cache.get(request) is None}
        readable = {}
        for key, request in missing.items():
            self._tally.begin()
            rejected = self._too_long(request)
            if rejected:
                self.cache.put(key, self.name_or_path, rejected)
                self._tally.reject(rejected)
            else:
                readable[key] = request
        if readable:
            self.budget.check()
            for key, generated in zip(readable, self._generate(list(readable.values())), strict=True):
                self.cache.put(key, self.name_or_path, generated)
                self.budget.generated(generated)
        answers = [answer for request in requests if (answer := self.cache.get(request)) is not None]
        for request, answer in zip(requests, answers, strict=True):
            self.budget.use(request, answer)
        return answers

    @torch.inference_mode()
    def _generate(self, requests: list[ChatRequest]) -> list[ChatAnswer]:
        prompts = [_chat_text(self.tokenizer, request) for request in requests]
        inputs = self.tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False)
        sampling = requests[0].sampling
        temperature = sampling.temperature
        to_list = TOKENS_PER_ID * max(request.num_listed for request in requests)
        longest = sampling.max_tokens or to_list + (sampling.thinking_budget or 0)
        generated = self.model.generate(
            **inputs.to(self.model.device),
            max_new_tokens=longest,
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

    def _too_long(self, request: ChatRequest) -> ChatAnswer | None:
        """A prompt beyond the model's positions would be cut or read as noise, and the label with it."""
        positions = getattr(self.model.config, "max_position_embeddings", None)
        prompt = len(
            self.tokenizer(_chat_text(self.tokenizer, request), add_special_tokens=False)["input_ids"]
        )
        if positions is None or prompt <= positions:
            return None
        words = f"{self.name_or_path} reads {positions} tokens, the prompt has {prompt}"
        return ChatAnswer("", rejection=words, too_long=True)


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
    # Qwen3's template and its like begin with reasoning, for which an answer has room only with a budget.
    thinks = bool(request.sampling.thinking_budget)
    return str(
        tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, enable_thinking=thinks
        )
    )
