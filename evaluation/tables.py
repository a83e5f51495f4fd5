"""The tables of an evaluation, in Markdown and in LaTeX."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evaluation.measures import MAIN_MEASURE, mean
from evaluation.reference import Published
from evaluation.report import FIRST_STAGE, Report, SystemResult, overall

LATEX = {"▲": r"$^{\blacktriangle}$", "▼": r"$^{\blacktriangledown}$", "\\": r"\textbackslash{}"}
LATEX |= {character: f"\\{character}" for character in "&%_#${}"}
LATEX |= {"<": r"$<$", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under a header, with what a reader must know to read them."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: str

    def markdown(self) -> str:
        """A GitHub table, padded so that it reads in a terminal too."""
        widths = [max(map(len, column)) for column in zip(self.header, *self.rows, strict=True)]
        rule = ["-" * width for width in widths]
        lines = [
            " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            for row in (self.header, rule, *self.rows)
        ]
        table = "\n".join(f"| {line} |" for line in lines)
        return f"### {self.title}\n\n{table}\n\n{self.notes}"

    def latex(self) -> str:
        """A `table` for booktabs and amssymb."""
        rows = [" & ".join(map(_latex, row)) + r" \\" for row in (self.header, *self.rows)]
        return "\n".join(
            [
                r"\begin{table}",
                rf"\caption{{{_latex(self.title)}. {_latex(self.notes)}}}",
                rf"\begin{{tabular}}{{l{'r' * (len(self.header) - 1)}}}",
                r"\toprule",
                rows[0],
                r"\midrule",
                *rows[1:],
                r"\bottomrule",
                r"\end{tabular}",
                r"\end{table}",
            ]
        )


def overview(reports: Sequence[Report], published: Sequence[Published]) -> Table:
    """One row a system, one column a collection: nDCG@10, marked where it differs from the first stage's."""
    names = [report.collection.name for report in reports]
    marks = {report.collection.name: report.marks for report in reports}
    rows = [
        [name, *_main_cells(name, found, names, marks), _speed(found)]
        for name, found in overall(reports).items()
    ]
    rows += [[f"({row.system})", *_published_cells(row, reports), ""] for row in published]
    average = ["mean"] if len(reports) > 1 else []
    header = ["system", *names, *average, "passages/s"]
    return Table(f"{MAIN_MEASURE} on {', '.join(names)}", header, rows, _notes(reports, published))


def details(report: Report) -> Table:
    """All measures of one collection, with the interval and the corrected p-value of nDCG@10."""
    marks = report.marks
    p_values = {found.system: f"{found.p_holm:.4f}" for found in report.comparisons}
    rows = [
        [
            result.system.name,
            *(
                f"{mean(result.values[name]):.4f}{marks.get(result.system.name, '') if name == MAIN_MEASURE else ''}"
                for name in report.measures
            ),
            "{:.4f} to {:.4f}".format(*result.interval),
            p_values.get(result.system.name, ""),
            _speed({"": result}),
        ]
        for result in report.results
    ]
    header = ["system", *report.measures, "95% interval", "p", "passages/s"]
    title = f"{report.collection.name}: {len(report.collection.qrels)} queries"
    return Table(title, header, rows, _details_notes(report))


def differences(report: Report) -> Table:
    """What each system gains over the baseline of the report, and whether that is more than chance."""
    values = {result.system.name: result.main for result in report.results}
    rows = [
        [
            found.system,
            f"{values[found.system]:.4f}",
            f"{found.difference:+.4f}",
            "{:+.4f} to {:+.4f}".format(*found.interval),
            f"{found.p_holm:.4f}",
        ]
        for found in report.against
    ]
    baseline = report.against[0].baseline
    title = f"{report.collection.name}: against {baseline} ({values[baseline]:.4f})"
    notes = "Interval: bootstrap over queries. p: paired randomization test, Holm-corrected over these rows."
    return Table(title, ["system", MAIN_MEASURE, "difference", "95% interval", "p"], rows, notes)


def _main_cells(
    system: str,
    found: Mapping[str, SystemResult],
    names: Sequence[str],
    marks: Mapping[str, Mapping[str, str]],
) -> list[str]:
    cells = [
        f"{found[name].main:.4f}{marks[name].get(system, '')}" if name in found else "" for name in names
    ]
    if len(names) == 1:
        return cells
    whole = len(found) == len(names)
    return [*cells, f"{sum(result.main for result in found.values()) / len(names):.4f}" if whole else ""]


def _published_cells(row: Published, reports: Sequence[Report]) -> list[str]:
    values = [
        row.value(report.collection.name, report.candidates.name, report.top_k, MAIN_MEASURE)
        for report in reports
    ]
    cells = ["" if value is None else f"{value:.4f}" for value in values]
    return cells if len(reports) == 1 else [*cells, ""]


def _speed(found: Mapping[str, SystemResult]) -> str:
    seconds = sum(result.system.seconds for result in found.values())
    return f"{sum(result.system.num_timed for result in found.values()) / seconds:.0f}" if seconds else ""


def _notes(reports: Sequence[Report], published: Sequence[Published]) -> str:
    stages = ", ".join(f"{report.candidates.name} ({report.collection.name})" for report in reports)
    sources = dict.fromkeys(row.describe() for row in published)
    notes = (
        f"First stage: {stages}; its best {reports[0].top_k} are reranked. ▲ ▼: differs from the {FIRST_STAGE} "
        "(paired randomization test, p < 0.05 after Holm's correction over all comparisons of this table). "
        "passages/s: where and when the scores were computed."
    )
    cited = f" In parentheses, published and not measured here: {'; '.join(sources)}."
    return f"{notes}{cited}" if sources else notes


def _details_notes(report: Report) -> str:
    own = (
        f" Left out, as BEIR does: the passage that is the query itself (of {report.num_own} queries)."
        if report.num_own
        else ""
    )
    return (
        f"p: of {MAIN_MEASURE}'s difference from {report.results[0].system.name}'s, randomization test, "
        "Holm-corrected. Interval: bootstrap over queries. Ties: by docid, descending, as trec_eval breaks them. "
        "judged@10: share of the top 10 that was judged. "
        f"MRR, MAP and R count grades from {report.relevant_from}.{own}"
        + "".join(f" {note}" for note in report.notes)
    )


def _latex(text: str) -> str:
    return "".join(LATEX.get(character, character) for character in text)
