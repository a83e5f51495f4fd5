"""What an evaluation found, as a table for people and a JSON file for cards."""

import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from evaluation.collections import JudgedCollection
from evaluation.measures import MAIN_MEASURE, MEASURES, PerQuery, mean
from evaluation.significance import Comparison
from evaluation.systems import SystemRun

PACKAGES = ("torch", "transformers", "ir_measures", "pyserini", "sentence-transformers")


@dataclass(frozen=True, slots=True)
class SystemResult:
    """A system on a collection. `interval`: 95% bootstrap interval of nDCG@10 over queries."""

    system: SystemRun
    values: PerQuery
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Report:
    """All systems on one collection. The first is the baseline that the others are compared with."""

    collection: JudgedCollection
    top_k: int
    seed: int
    relevant_from: int
    results: Sequence[SystemResult]
    comparisons: Sequence[Comparison]

    def markdown(self) -> str:
        """One row a system; `▲` and `▼` mark a significant difference of nDCG@10 from the first row."""
        marks = {comparison.system: _mark(comparison) for comparison in self.comparisons}
        p_values = {comparison.system: f"{comparison.p_holm:.4f}" for comparison in self.comparisons}
        header = ["system", *MEASURES, "95% interval", "p", "passages/s"]
        rows = [
            [
                result.system.name,
                *(
                    f"{mean(values):.4f}{marks.get(result.system.name, '') if name == MAIN_MEASURE else ''}"
                    for name, values in result.values.items()
                ),
                "{:.4f} to {:.4f}".format(*result.interval),
                p_values.get(result.system.name, ""),
                _speed(result.system),
            ]
            for result in self.results
        ]
        return "\n".join(
            [
                f"### {self.collection.name}: {len(self.collection.qrels)} queries",
                "",
                _table(header, rows),
                "",
                self._notes(),
            ]
        )

    def _notes(self) -> str:
        baseline = self.results[0].system.name
        return (
            f"The best {self.top_k} of the first stage are reranked. ▲ ▼: {MAIN_MEASURE} differs from {baseline}'s "
            "(paired randomization test, Holm-corrected p < 0.05). Interval: bootstrap over queries. Ties: by docid, "
            "descending, as trec_eval breaks them. judged@10: share of the top 10 that was judged."
        )

    def to_json(self) -> dict[str, object]:
        """Everything a model card needs to quote these figures."""
        return {
            "collection": self.collection.name,
            "collection_sha256": self.collection.sha256,
            "num_queries": len(self.collection.qrels),
            "top_k": self.top_k,
            "seed": self.seed,
            "relevant_from": self.relevant_from,
            "command": " ".join(["python -m evaluation", *sys.argv[1:]]),
            "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
            "systems": {result.system.name: _system_json(result) for result in self.results},
            "comparisons": [asdict(comparison) for comparison in self.comparisons],
        }


def write_reports(reports: Sequence[Report], folder: Path) -> None:
    """Write `results.json` and `results.md`, aside first and then renamed."""
    texts = {
        "results.json": json.dumps([report.to_json() for report in reports], indent=2, ensure_ascii=False),
        "results.md": "\n\n".join(report.markdown() for report in reports),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        unfinished = folder / f"{name}.unfinished"
        unfinished.write_text(text + "\n", encoding="utf-8")
        os.replace(unfinished, folder / name)


def _system_json(result: SystemResult) -> dict[str, object]:
    system = result.system
    return {
        "means": {name: mean(values) for name, values in result.values.items()},
        "interval": result.interval,
        "revision": system.revision,
        "seconds": system.seconds,
        "num_pairs": system.num_pairs,
        "per_query": result.values[MAIN_MEASURE],
    }


def _mark(comparison: Comparison) -> str:
    if not comparison.significant:
        return ""
    return " ▲" if comparison.difference > 0 else " ▼"


def _speed(system: SystemRun) -> str:
    return f"{system.num_pairs / system.seconds:.0f}" if system.seconds else ""


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    rule = ["-" * width for width in widths]
    lines = [
        " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in (header, rule, *rows)
    ]
    return "\n".join(f"| {line} |" for line in lines)
