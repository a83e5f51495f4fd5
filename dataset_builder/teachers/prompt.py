"""The prompt of a listwise teacher, rendered from the files in `prompts/`. The wording is our own."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dataset_builder.language_models.chat import Message
from dataset_builder.prompt_files import render, version, wording
from retrieval.records import Passage

_BRACKETED_NUMBER = re.compile(r"\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class ListwisePrompt:
    """Asks for an order of passages. `max_words`: each passage is cut after that many.

    `structured`: asks for a JSON object rather than `[2] > [1]`.
    """

    max_words: int = 300
    structured: bool = False

    @property
    def version(self) -> str:
        """Tells wordings apart: the first 12 hexadecimal digits of the SHA-256 of the files and settings."""
        return version(wording("ranking.txt"), wording("system.txt"), self.max_words, self.structured)

    def messages(self, query: str, passages: Sequence[Passage], attempt: int = 1) -> tuple[Message, ...]:
        """The chat messages; `passages` get the ids 1 to n in the order given.

        `attempt`: which request for this very order it is; from the second on the prompt says so, because
        a request that is the same to the letter would get the same unusable answer.
        """
        ranking = render(
            "ranking.txt",
            query=_one_line(query),
            passages=[self._shown(passage) for passage in passages],
            structured=self.structured,
            attempt=attempt,
        )
        return (Message("system", render("system.txt")), Message("user", ranking))

    def _shown(self, passage: Passage) -> str:
        """One line, cut, with `[7]` written `(7)`: a passage must not look like an id, or forge one."""
        words = passage.contents.split()[: self.max_words]
        return _BRACKETED_NUMBER.sub(r"(\1)", " ".join(words))


def _one_line(text: str) -> str:
    return " ".join(text.split())
