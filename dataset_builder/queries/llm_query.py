"""Queries that a language model writes for a passage, shown a few examples.

Source: Bonifacio et al., "InPars", SIGIR 2022, arXiv 2202.05144; Dai et al., "Promptagator", ICLR 2023, arXiv
2209.11755.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import yaml

from dataset_builder.language_models.chat import ChatRequest, Message, Sampling
from dataset_builder.language_models.conversation import Conversation, LanguageModel, Rejection
from dataset_builder.prompt_files import version, wording
from retrieval.errors import InputError
from retrieval.language import ENGLISH
from retrieval.records import Passage
from retrieval.segmentation import first_words

PROMPT = "llm_query.yaml"
MIN_WORDS, MAX_WORDS = 3, 32
MAX_PASSAGE_WORDS = 100
TEMPERATURE = 0.4
MAX_TOKENS = 32
# Passages that are written for at once; a batch gets all of a build.
WRITING_BATCH = 16


@dataclass(frozen=True, slots=True)
class QueryPrompt:
    """What a model is shown: an instruction, and passages with their queries as examples, each a turn of the chat."""

    instruction: str
    examples: tuple[tuple[str, str], ...]

    @classmethod
    def read(cls, path: str) -> Self:
        """The prompt in a YAML file; with "" our own, `prompts/llm_query.yaml`.

        Raises:
            InputError: for a file that cannot be read, or has no instruction or examples.
        """
        try:
            text = Path(path).read_text(encoding="utf-8") if path else wording(PROMPT)
            prompt = yaml.safe_load(text)
            examples = tuple((str(each["passage"]), str(each["query"])) for each in prompt["examples"])
            return cls(str(prompt["instruction"]), examples)
        except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
            raise InputError(
                f"--query_prompt {path} must be YAML with an instruction and examples, each with passage and query "
                f"({type(error).__name__}: {str(error).splitlines()[0]}); see dataset_builder/prompts/{PROMPT}"
            ) from error

    @property
    def version(self) -> str:
        """Tells wordings apart."""
        return version(self.instruction, *(part for example in self.examples for part in example))

    def messages(self, passage: str) -> tuple[Message, ...]:
        """The chat that asks for a query for `passage`."""
        messages = [Message("system", self.instruction)]
        for example, query in self.examples:
            messages += [Message("user", _shown(example)), Message("assistant", query)]
        return (*messages, Message("user", _shown(passage)))


class LLMQueries:
    """Writes one query for each passage.

    Args:
        model: asked under `name`.
    """

    def __init__(self, model: LanguageModel, name: str, prompt: QueryPrompt, language: str = ENGLISH) -> None:
        self._model = model
        self._name = name
        self._prompt = prompt
        self._language = language

    def __call__(self, passages: Sequence[Passage], rng: random.Random) -> list[str | None]:
        """A query for each passage; None where what was written is no query."""
        wanted = [(passage, rng.getrandbits(31)) for passage in passages]
        return [query for _, query in self._model.converse(lambda: wanted, self._begin)]

    def _begin(self, wanted: tuple[Passage, int]) -> Conversation[str | None]:
        return begin_writing(self._name, self._prompt, *wanted, self._language)


def begin_writing(
    model: str, prompt: QueryPrompt, passage: Passage, seed: int, language: str = ENGLISH
) -> Conversation[str | None]:
    """The conversation that writes a query for `passage`; `seed` tells one query for a passage from another."""
    sampling = Sampling(TEMPERATURE, MAX_TOKENS, seed=seed)
    shown, _ = first_words(passage.contents, MAX_PASSAGE_WORDS, language)
    try:
        answer = yield ChatRequest(model, prompt.messages(shown), sampling=sampling)
    except Rejection:
        return None
    return None if answer.refusal else written_query(answer.text, language)


def written_query(answer: str, language: str = ENGLISH) -> str | None:
    """The query in an answer: its first line, without a label or quotation marks; None where that is none."""
    lines = [line.strip() for line in answer.splitlines() if line.strip()]
    if not lines:
        return None
    query = " ".join(lines[0].removeprefix("Question:").split()).strip("\"'`* ")
    _, num_words = first_words(query, MAX_WORDS + 1, language)
    return query if MIN_WORDS <= num_words <= MAX_WORDS else None


def _shown(passage: str) -> str:
    return f"Passage: {' '.join(passage.split()[:MAX_PASSAGE_WORDS])}\nQuestion:"
