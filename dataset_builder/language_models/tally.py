"""Counts what a server rejects: where it rejects most requests, the build is at fault, and stops."""

from dataset_builder.language_models.chat import ChatAnswer
from dataset_builder.language_models.notes import note
from retrieval.errors import InputError

# Of so many rejections it is known whether they are most; prompts that are too long are cut and asked again.
FEWEST_REJECTED = 10
MOST, MOST_TOO_LONG = 0.5, 0.8


class Tally:
    """Counts the requests and rejections of one run."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._begun = 0
        self._rejected = 0
        self._too_long = 0

    def begin(self) -> None:
        """A request is made, and perhaps answered from the cache."""
        self._begun += 1

    def forget(self) -> None:
        """A request that was begun does not count."""
        self._begun -= 1

    def reject(self, answer: ChatAnswer, has_schema: bool = False) -> None:
        """A request was rejected. `has_schema`: which demanded a JSON schema.

        Raises:
            InputError: where most are. Of those that are too long, where shorter passages help in no case.
        """
        if answer.too_long and not self._too_long:
            note(
                f"{self._server} finds a prompt too long ({answer.rejection}); its passages are cut to half. Where "
                "that happens often, lower --max_words or --window_size"
            )
        self._too_long += answer.too_long
        self._rejected += not answer.too_long
        where = (
            f"{self._server} rejects {{}} of {self._begun} requests, the last one with: {answer.rejection}"
        )
        if self._rejected >= FEWEST_REJECTED and self._rejected > MOST * self._begun:
            mend = "; where that is for its JSON schema, give --answer_format text" if has_schema else ""
            raise InputError(where.format(self._rejected) + mend)
        if self._too_long >= FEWEST_REJECTED and self._too_long > MOST_TOO_LONG * self._begun:
            raise InputError(f"{where.format(self._too_long)}; lower --max_words or --window_size")
