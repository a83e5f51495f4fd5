"""What `BatchModel` needs of a provider of batches; one file for each provider implements it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dataset_builder.language_models.chat import ChatAnswer
from dataset_builder.language_models.dialect import Spellings
from dataset_builder.language_models.faults import Server, ServerFault

# The body of each request by its key, as `BatchFiles` keeps it.
Bodies = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How large one batch may be, by the provider's limits. `size`: bytes. `queued_tokens`: how many tokens may wait
    in batches at once, and so in one; None for as many as there are."""

    requests: int
    size: int
    queued_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class BatchState:
    """How far a batch is. `answered`, `total`: requests, None where the provider does not say. `complaints`: why it
    failed as a whole, in the provider's words."""

    batch_id: str
    status: str
    is_over: bool
    answered: int | None = None
    total: int | None = None
    complaints: tuple[str, ...] = ()


class Batches(Protocol):
    """A provider's batches, through its official client. Reading is retried by the client itself.

    Every method raises ServerFault where the provider gives an error, or no answer.
    """

    def mark(self) -> str:
        """What `find` must know of the time before a batch is created; `""` for nothing."""
        ...

    def create(self, file: Path, bodies: Bodies) -> str:
        """Submit the requests of a file, tried once; returns the batch's id. Its name is the file's."""
        ...

    def find(self, name: str, bodies: Bodies, mark: str, wait: Callable[[str], BatchState]) -> str:
        """The id of the batch `name`, if it was created after `mark`; `""` if not. `wait` waits for a batch to end,
        for a provider that tells only then what is in it."""
        ...

    def state(self, batch_id: str) -> BatchState:
        """How far a batch is."""
        ...

    def results(self, batch_id: str, bodies: Bodies) -> Iterator[tuple[str, ChatAnswer | ServerFault]]:
        """Each request's key, and its answer or what is at fault, in any order; key `""` where a line cannot be
        read. Only of a batch that is over; what has no result is asked again."""
        ...


class BatchProvider(Server, Protocol):
    """Where batches are submitted. `spellings`: how it names the parameters of a request."""

    @property
    def limits(self) -> BatchLimits:
        """The largest batch that it takes."""
        ...

    @property
    def spellings(self) -> Spellings:
        """See `dialect.SPELLINGS`."""
        ...

    def check(self) -> None:
        """Find what is wrong before anything is sent.

        Raises:
            InputError: for a key that is missing or cannot be sent, a client that is not installed.
        """
        ...

    def batches(self) -> AbstractContextManager[Batches]:
        """A client, open as long as the context."""
        ...
