"""A server that speaks OpenAI's API: OpenAI itself, vLLM, Ollama, llama.cpp. Clients, answers, errors."""

import os
from dataclasses import dataclass

import openai
from openai.types.chat import ChatCompletion

from dataset_builder.language_models.chat import ChatAnswer, ChatRequest
from retrieval.errors import InputError

KEY_VARIABLE = "OPENAI_API_KEY"
CONTENT_FILTERS = ("content_filter", "content_policy_violation")


@dataclass(frozen=True, slots=True)
class OpenAIServer:
    """Where the model is and how patient we are.

    `base_url`: "" for OpenAI. `timeout`: seconds without a byte. `max_retries`: of one request, after
    429 (waiting as long as Retry-After says, up to two minutes), 5xx, time-outs and lost connections.
    The key comes from the environment only; another server than OpenAI may do without.
    """

    base_url: str = ""
    timeout: float = 120.0
    max_retries: int = 8

    def client(self) -> openai.OpenAI:
        """A client for one call at a time."""
        return openai.OpenAI(
            api_key=self._key(),
            base_url=self.base_url or None,
            timeout=self.timeout,
            max_retries=self.max_retries,
        )

    def async_client(self) -> openai.AsyncOpenAI:
        """A client for many calls at once."""
        return openai.AsyncOpenAI(
            api_key=self._key(),
            base_url=self.base_url or None,
            timeout=self.timeout,
            max_retries=self.max_retries,
        )

    def _key(self) -> str:
        key = os.environ.get(KEY_VARIABLE, "")
        if not key and not self.base_url:
            raise InputError(
                f"{KEY_VARIABLE} is not set; export it, or give --base_url of a server without keys"
            )
        return key or "none"


def chat_answer(completion: ChatCompletion, request: ChatRequest | None = None) -> ChatAnswer:
    """The parts of a completion that we keep; a server that counts no tokens gets `request`'s estimate.

    Raises:
        ValueError: where it holds no message.
    """
    # The client builds these objects without checks, and hands on a body that is not JSON as it is.
    if not isinstance(completion, ChatCompletion) or not completion.choices:
        raise ValueError("the answer is no chat completion")
    if completion.choices[0].message is None:
        raise ValueError("the answer holds no message")
    choice = completion.choices[0]
    logprobs = choice.logprobs.content if choice.logprobs else None
    first_token = {each.token: each.logprob for each in logprobs[0].top_logprobs} if logprobs else None
    prompt, answered = request.estimated_tokens if request else (0, 0)
    if completion.usage:
        prompt, answered = completion.usage.prompt_tokens, completion.usage.completion_tokens
    return ChatAnswer(
        choice.message.content or "",
        choice.message.refusal or "",
        choice.finish_reason or "",
        prompt,
        answered,
        first_token,
    )


def filtered(error: openai.BadRequestError) -> bool:
    """Whether a content filter declined the request: a refusal, not a fault of the request's form."""
    return error.code in CONTENT_FILTERS


def input_error(error: openai.OpenAIError, server: OpenAIServer) -> InputError:
    """What the user can do about an error that retries did not mend. Never quotes what may hold the key."""
    where = server.base_url or "OpenAI"
    if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
        return InputError(
            f"{where} does not accept the key in {KEY_VARIABLE}; check it and the project's rights"
        )
    if isinstance(error, openai.NotFoundError | openai.BadRequestError):
        return InputError(f"{where} cannot answer this request: {_one_line(error)}")
    return InputError(
        f"{where} still fails after {server.max_retries} retries ({_one_line(error)}); all answers are kept: "
        "run the same command again later"
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
