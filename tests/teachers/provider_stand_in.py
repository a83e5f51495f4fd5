"""What the stand-ins for other providers' batches share: their script, and what they count."""

from collections import Counter
from dataclasses import dataclass, field

from tests.teachers.llm_answers import ranking_ids, ranking_text, request_key


@dataclass
class ProviderStandIn:
    """`script`: what becomes of the first requests, in the order of answering: None (an answer) or one of
    `OUTCOMES`. `refuses`: a parameter that it does not take. `polls`: looks at a batch before it is over.
    `lost_creations`: so many batches are created without an answer. `key`: the only one that it accepts."""

    script: list = field(default_factory=list)
    refuses: str = ""
    polls: int = 1
    lost_creations: int = 0
    key: str = "provider-key-1234567890"
    files: list = field(default_factory=list)
    batches: list = field(default_factory=list)
    asked: Counter = field(default_factory=Counter)
    answered: Counter = field(default_factory=Counter)

    def next_outcome(self, body):
        """What becomes of a request, which is counted."""
        self.asked[request_key(body)] += 1
        outcome = self.script.pop(0) if self.script else None
        if outcome is None:
            self.answered[request_key(body)] += 1
        return outcome


OUTCOMES = ("refusal", "invalid", "overloaded", "expired")


def answer_to(messages, schema=False):
    """The stand-in's ranking of what the last message shows, with an end of line that is none in JSON."""
    body = {"messages": messages, **({"response_format": {}} if schema else {})}
    return ranking_text(body, ranking_ids(body)) + ("" if schema else "\u2028")
