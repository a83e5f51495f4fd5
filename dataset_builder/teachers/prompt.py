"""The prompt of a listwise teacher, rendered from the files in `prompts/`. The wording is our own."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dataset_builder.language_models.chat import Message
from dataset_builder.language_models.text_length import cut_to_words
from dataset_builder.prompt_files import render, version, wording
from retrieval.records import Passage

TEXT, JSON, AUTO = "text", "json", "auto"
ANSWER_FORMATS = (AUTO, JSON, TEXT)
_BRACKETED_NUMBER = re.compile(r"\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class ListwisePrompt:
    """Asks for an order of passages. `max_words`: each passage is cut after that many, see `cut_to_words`."""

    max_words: int = 300

    def version(self, answer_format: str) -> str:
        """Tells wordings apart: the first 12 hexadecimal digits of the SHA-256 of the files and settings."""
        return version(wording("ranking.txt"), wording("system.txt"), self.max_words, answer_format)

    def messages(
        self, query: str, passages: Sequence[Passage], attempt: int = 1, structured: bool = False
    ) -> tuple[Message, ...]:
        """The chat messages; `passages` get the ids 1 to n in the order given.

        `structured`: asks for a JSON object with a score a passage rather than `[2] > [1]`.

        `attempt`: which request for this very order it is; from the second on the prompt says so, because
        a request that is the same to the letter would get the same unusable answer.
        """
        ranking = render(
            "ranking.txt",
            query=_one_line(query),
            passages=[self._shown(passage) for passage in passages],
            structured=structured,
            attempt=attempt,
        )
        return (Message("system", render("system.txt")), Message("user", ranking))

    def _shown(self, passage: Passage) -> str:
        """One line, cut, with `[7]` written `(7)`: a passage must not look like an id, or forge one."""
        return _BRACKETED_NUMBER.sub(r"(\1)", cut_to_words(passage.contents, self.max_words))


def _one_line(text: str) -> str:
    return " ".join(text.split())
