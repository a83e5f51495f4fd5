"""Tables and published figures without running anything."""

from evaluation.reference import load_published
from evaluation.tables import Table


def test_a_table_reads_as_markdown_and_as_latex():
    table = Table("A & B", ["system", "nDCG@10"], [["x_1", "0.5 ▲"], ["longer", ""]], "p < 0.05")
    assert table.markdown().splitlines() == [
        "### A & B",
        "",
        "| system | nDCG@10 |",
        "| ------ | ------- |",
        "| x_1    | 0.5 ▲   |",
        "| longer |         |",
        "",
        "p < 0.05",
    ]
    lines = table.latex().splitlines()
    assert lines[1] == r"\caption{A \& B. p $<$ 0.05}"
    assert lines[6] == r"x\_1 & 0.5 $^{\blacktriangle}$ \\"


def test_every_published_figure_has_a_source_and_is_a_share():
    rows = load_published([])
    values = [value for row in rows for value in row.values.values() if value is not None]
    assert all(row.source and row.first_stage for row in rows)
    assert values and all(0 < value < 1 for value in values)
