"""How a server spells a request: parameters that it refuses are learnt from its own answer."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from dataset_builder.language_models.faults import Meaning, ServerFault
from dataset_builder.language_models.ledger import Ledger
from dataset_builder.language_models.notes import note

# The names that servers know each parameter by, ours first; OMITTED: left to the server's default.
OMITTED = ""
Spellings = Mapping[str, tuple[str, ...]]
# Of OpenAI's protocol; a provider with one of its own has its own.
SPELLINGS: Spellings = {
    "temperature": ("temperature", OMITTED),
    "max_completion_tokens": ("max_completion_tokens", "max_tokens", OMITTED),
    "seed": ("seed", OMITTED),
    "reasoning_effort": ("reasoning_effort", OMITTED),
    "thinking_budget": ("thinking", "thinking_budget", OMITTED),
}
_VALUES: dict[str, Callable[[object], object]] = {
    # Anthropic's form, and that of others that took it over.
    "thinking": lambda budget: {"type": "enabled", "budget_tokens": budget},
}


@dataclass(frozen=True, slots=True)
class Dialect:
    """Which of its spellings a server takes, for each parameter that it did not take as we spell it first."""

    spelling: Mapping[str, int] = field(default_factory=dict)
    spellings: Spellings = field(default_factory=lambda: SPELLINGS)

    def body(self, payload: Mapping[str, object]) -> dict[str, object]:
        """`payload` as the server takes it."""
        spelled: dict[str, object] = {}
        for parameter, value in payload.items():
            name = self._name(parameter)
            if name != OMITTED:
                spelled[name] = _VALUES[name](value) if name in _VALUES else value
        return spelled

    def after(self, fault: ServerFault, sent: Mapping[str, object]) -> Self | None:
        """What a refusal of the body `sent` teaches; None where it is not about a parameter. What was learnt since
        the body was sent is not unlearnt."""
        if fault.meaning is not Meaning.REJECTED:
            return None
        places = self._places()
        name = _refused_name(fault, [name for name in sent if name in places])
        if name is None:
            return None
        parameter, place = places[name]
        if place + 1 == len(self.spellings[parameter]):
            return None
        place = max(place + 1, self.spelling.get(parameter, 0))
        return replace(self, spelling={**self.spelling, parameter: place})

    def describe(self, parameter: str) -> str:
        """What becomes of a parameter, in words."""
        name = self._name(parameter)
        return f"sent as {name}" if name else "left out"

    def _name(self, parameter: str) -> str:
        return self.spellings.get(parameter, (parameter,))[self.spelling.get(parameter, 0)]

    def _places(self) -> dict[str, tuple[str, int]]:
        """The parameter that each name stands for, and its place among that one's names."""
        return {
            name: (parameter, place)
            for parameter, names in self.spellings.items()
            for place, name in enumerate(names)
            if name != OMITTED
        }


class ServerDialect:
    """The dialect of one server and model: remembered in the ledger, so that it is found out once.

    `taken`: set it once a request was answered; what the server took once it takes, and is not what it rejects.
    """

    def __init__(self, ledger: Ledger, server: str, model: str, spellings: Spellings = SPELLINGS) -> None:
        self.taken = False
        self._ledger = ledger
        self._server = server
        self._model = model
        self._dialect = Dialect(ledger.spelling(server, model), spellings)

    def body(self, payload: Mapping[str, object]) -> dict[str, object]:
        """See `Dialect.body`."""
        return self._dialect.body(payload)

    def learn(self, fault: ServerFault, sent: Mapping[str, object]) -> bool:
        """Whether it helps to ask again, in the spelling that the refusal of `sent` teaches, or that was learnt since
        it was sent."""
        learnt = self._dialect.after(fault, sent)
        if learnt is None or learnt == self._dialect:
            return learnt is not None
        if self.taken:
            return False
        for parameter in learnt.spellings:
            if (now := learnt.describe(parameter)) != self._dialect.describe(parameter):
                note(f"{self._server} does not take {parameter}; it is {now} ({fault.words})")
        self._dialect = learnt
        self._ledger.learn(self._server, self._model, learnt.spelling)
        return True


def _refused_name(fault: ServerFault, sent: list[str]) -> str | None:
    """The parameter that a server names: in its error's `param`, or first in its words."""
    parameter = re.split(r"[.\[]", fault.parameter)[0]
    if parameter:
        return parameter if parameter in sent else None
    found = {name: re.search(rf"\b{name.replace('_', '[_ ]')}\b", fault.words, re.I) for name in sent}
    places = {name: match.start() for name, match in found.items() if match}
    return min(places, key=lambda name: places[name]) if places else None
