"""Tables and published figures without running anything."""

from evaluation.pyserini_tables import tabled_collections
from evaluation.reference import load_published, published_by_pyserini
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


def test_pyserinis_own_figures_of_a_first_stage_come_from_its_tables():
    bm25, splade = published_by_pyserini({"dl20": "bm25", "scifact": "bm25", "dl19": "splade"})
    table = tabled_collections()["dl20"].bm25.scores
    assert bm25.value("dl20", "bm25", 100, "nDCG@10") == table["nDCG@10"] > 0
    assert bm25.value("dl20", "splade", 100, "nDCG@10") is None
    assert set(bm25.values) == {"dl20", "scifact"} and set(splade.values) == {"dl19"}
    assert published_by_pyserini({"dl20": "my_run"}) == []
