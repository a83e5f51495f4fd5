"""Two orders of the same candidates side by side, without their names, and what the visitor thinks of them."""

import io
import random
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

import pyarrow as pa
import pyarrow.parquet
from reranking import RankedPassage, Reranking

# So many of each order are seen, and judged.
NUM_SHOWN = 10

Better = Literal["left", "right", "tie"]


class Vote(TypedDict):
    """A row of the file: two systems, what each showed, best first, and which order the visitor found better."""

    query: str
    collection: str
    left: str
    right: str
    left_docids: list[str]
    right_docids: list[str]
    better: Better


SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("query", "collection", "left", "right")]
    + [(name, pa.list_(pa.string())) for name in ("left_docids", "right_docids")]
    + [("better", pa.string())]
)


@dataclass(frozen=True, slots=True)
class Order:
    """A system's best passages."""

    system: str
    passages: Sequence[RankedPassage]


@dataclass(frozen=True, slots=True)
class Ballot:
    """What a visitor is shown, and was not told: whose order is on which side. `second`: as `results_html` takes it."""

    reranking: Reranking
    second: tuple[str, Reranking] | None
    left: Order
    right: Order

    @classmethod
    def of(
        cls, reranking: Reranking, second: tuple[str, Reranking] | None, one: Order, other: Order
    ) -> "Ballot":
        """The two on sides that chance chooses."""
        left, right = random.sample((one, other), 2)
        return cls(reranking, second, left, right)

    def vote(self, better: Better) -> Vote:
        """What the visitor thinks, and of what."""
        left, right = (
            [ranked.passage.docid for ranked in order.passages] for order in (self.left, self.right)
        )
        return Vote(
            query=self.reranking.query,
            collection=self.reranking.collection.name,
            left=self.left.system,
            right=self.right.system,
            left_docids=left,
            right_docids=right,
            better=better,
        )

    def chosen(self, better: Better) -> str:
        """The system whose order the visitor found better; empty for none."""
        return {"left": self.left.system, "right": self.right.system, "tie": ""}[better]


def as_link(votes: Sequence[Vote]) -> str:
    """An address that holds the votes as a Parquet file: nothing of them is kept here."""
    file = io.BytesIO()
    pyarrow.parquet.write_table(pa.Table.from_pylist(list(votes), SCHEMA), file)
    return f"data:application/vnd.apache.parquet;base64,{b64encode(file.getvalue()).decode()}"
