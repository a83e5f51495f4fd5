"""The folder of results: tables, JSON record and plots, each written aside and then renamed."""

import json
from collections.abc import Sequence
from pathlib import Path

from evaluation.plots import write_plots
from evaluation.reference import Published
from evaluation.report import Report
from evaluation.tables import Table, details, differences, overview
from retrieval.provenance import provenance
from retrieval.text_file import write_text


def write_results(reports: Sequence[Report], published: Sequence[Published], folder: Path) -> None:
    """Write `results.md`, `results.tex`, `results.json` and `plots/`."""
    tables = all_tables(reports, published)
    origin = provenance("evaluation")
    write_text(folder / "results.md", "\n\n".join(table.markdown() for table in tables))
    write_text(folder / "results.tex", "\n\n".join(table.latex() for table in tables))
    records = [origin | report.to_json() for report in reports]
    write_text(folder / "results.json", json.dumps(records, indent=2, ensure_ascii=False))
    write_plots(reports, folder)


def all_tables(reports: Sequence[Report], published: Sequence[Published]) -> list[Table]:
    """The table over all collections, then each collection's, then the differences from the baseline."""
    compared = [differences(report) for report in reports if report.against]
    return [overview(reports, published), *(details(report) for report in reports), *compared]
