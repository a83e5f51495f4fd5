"""What start and student are measured on: queries that no training sees."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import PartialState
from datasets import Dataset
from transformers.trainer_utils import IntervalStrategy

from modeling_twolar import TwolarForReranking
from retrieval.errors import InputError
from retrieval.text_file import write_text
from training.arguments import Stage
from training.collator import contents, pool_of
from training.data import normal
from training.flags import ModelArguments
from training.judged import JudgedRanking
from training.student import load_student, on_device
from training.trainer import teacher_ndcg

# Query → nDCG@10.
PerQuery = Mapping[str, float]
START = "start.json"
LOGS = "runs"
TEACHERS_ORDER = "held-out queries, against the teacher's order"


@dataclass(frozen=True, slots=True)
class HeldOut:
    """`rankings`: of held-out queries. `judged`: a judged collection. `max_length`: tokens a pair, as in training."""

    rankings: Dataset | None
    judged: JudgedRanking | None
    max_length: int

    @classmethod
    def load(cls, stage: Stage, rankings: Dataset | None) -> "HeldOut":
        """The held-out rankings, and the collection of `--eval_collection`.

        Raises:
            InputError: for a collection or run that cannot be read, or a merge or evaluations without held-out queries.
        """
        if stage.training.merge_with_start and rankings is None:
            raise InputError(
                f"--merge_with_start chooses on held-out queries, and of {stage.data.dataset_name} none is held out; "
                "give --held_out above 0, or a dataset with more than one query"
            )
        if rankings is None and stage.training.eval_strategy != IntervalStrategy.NO:
            raise InputError(
                f"--eval_strategy evaluates on held-out queries, and of {stage.data.dataset_name} none is held out; "
                "give --held_out above 0, or --eval_strategy no"
            )
        if not stage.data.eval_collection:
            return cls(rankings, None, stage.model.max_length)
        with PartialState().main_process_first():
            judged = JudgedRanking.load(stage.data, stage.folder / LOGS)
        return cls(rankings, judged, stage.model.max_length)

    @classmethod
    def nothing(cls, stage: Stage) -> "HeldOut":
        """Where no student is compared with its start."""
        return cls(None, None, stage.model.max_length)

    def measure(self, model: TwolarForReranking) -> dict[str, PerQuery]:
        """What is measured → query → nDCG@10; judgments, where there are any, come first."""
        found: dict[str, PerQuery] = {}
        if self.judged is not None:
            found[self.judged.collection.name] = self.judged.ndcg_at_10(model)
        if self.rankings is not None:
            found[TEACHERS_ORDER] = self.agreement(model)
        return found

    def agreement(self, model: TwolarForReranking) -> PerQuery:
        """Held-out query → nDCG@10 against the teacher's order of its whole pool; the mean of its rankings.

        Raises:
            ValueError: where no query is held out.
        """
        if self.rankings is None:
            raise ValueError("no query is held out")
        pools = [(str(row["query"]), pool_of(row)) for row in self.rankings]
        pairs = [(query, contents(passage)) for query, pool in pools for passage in pool]
        scores = model.score(pairs, max_length=self.max_length).split([len(pool) for _, pool in pools])
        values: dict[str, list[float]] = {}
        for (query, pool), own in zip(pools, scores, strict=True):
            ranks = torch.tensor([passage["rank"] for passage in pool])
            values.setdefault(normal(query), []).append(teacher_ndcg(own, ranks).item())
        return {query: sum(found) / len(found) for query, found in values.items()}


def measure_start(
    start: ModelArguments, held_out: HeldOut, stage: Stage, settings: Mapping[str, object]
) -> dict[str, PerQuery]:
    """Measure the start, once: what was found is kept in the stage's folder for a training that is resumed.

    Raises:
        InputError: for a start that cannot be loaded, or a kept file that is damaged.
    """
    if held_out.rankings is None and held_out.judged is None:
        return {}
    with PartialState().main_process_first():
        found = _read(stage.folder, settings)
        if found is None:
            print("measuring the start", flush=True)
            found = held_out.measure(on_device(load_student(start), stage))
            write_text(stage.folder / START, json.dumps({"settings": settings, "measures": found}))
    return found


def _read(folder: Path, settings: Mapping[str, object]) -> dict[str, PerQuery] | None:
    path = folder / START
    if not path.is_file():
        return None
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return kept["measures"] if kept["settings"] == settings else None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged; delete it, and the start is measured again") from error
