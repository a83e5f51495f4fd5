"""`python -m evaluation` on small BEIR folders: real Lucene, real MiniLM, a real checkpoint, run files."""

import json
import shutil

import pytest
from transformers import BertForMaskedLM

from evaluation.significance import holm
from modeling_twolar import TwolarForReranking
from retrieval.model_files import model_path
from tests.conftest import save_bert

MINILM = "minilm=cosine:all-MiniLM-L6-v2"


@pytest.fixture
def other_collection(collection, tmp_path_factory):
    """The same passages, asked other questions."""
    folder = tmp_path_factory.mktemp("other")
    shutil.copy(collection / "corpus.jsonl", folder)
    (folder / "queries.jsonl").write_text('{"_id": "p1", "text": "what is the windiest planet"}\n')
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\np1\tneptune\t1\n")
    return folder


def results(folder):
    return json.loads((folder / "results.json").read_text())


def test_models_and_a_run_file_on_two_collections_stand_in_one_table(
    evaluation, collection, other_collection, tmp_path
):
    student = tmp_path / "student"
    TwolarForReranking.from_backbone(model_path("all-MiniLM-L6-v2")).save_pretrained(student)
    (tmp_path / "ideal.txt").write_text("q1 Q0 mars 1 2 x\nq1 Q0 jupiter 2 1 x\nq2 Q0 saturn 1 1 x\n")
    (tmp_path / "given.txt").write_text("p1 Q0 sun 1 2 x\np1 Q0 neptune 2 1 x\n")
    out = tmp_path / "runs"
    result = evaluation(
        "--collection", f"red={collection}", f"windy={other_collection}",
        "--first_stage", "bm25", tmp_path / "given.txt",
        "--model", MINILM, student, "untrained=all-MiniLM-L6-v2",
        "--run", f"ideal={tmp_path / 'ideal.txt'}", "--output_dir", out,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    red, windy = results(out)
    assert list(red["systems"]) == ["bm25", "minilm", "student", "untrained", "ideal"]
    assert list(windy["systems"]) == ["given", "minilm", "student", "untrained"]
    assert red["systems"]["ideal"]["means"]["nDCG@10"] == 1.0
    assert windy["systems"]["given"]["means"]["MRR@10"] == 0.5
    assert windy["systems"]["student"]["means"]["MRR@10"] == 1.0
    assert red["systems"]["untrained"]["means"] == red["systems"]["student"]["means"]
    comparisons = red["comparisons"] + windy["comparisons"]
    together = holm([found["p_randomization"] for found in comparisons])
    assert [found["p_holm"] for found in comparisons] == together
    header = next(line for line in result.stdout.splitlines() if line.startswith("| system"))
    assert [cell.strip() for cell in header.strip("|").split("|")] == [
        "system",
        "red",
        "windy",
        "mean",
        "passages/s",
    ]
    assert {path.name for path in (out / "plots").iterdir()} == {
        f"{name}-{plot}.png"
        for name in ("red", "windy")
        for plot in ("gain_by_query", "ndcg_by_depth", "quality_by_latency")
    }
    assert r"\begin{tabular}{lrrrr}" in (out / "results.tex").read_text()


def test_a_bi_encoder_can_be_the_first_stage(evaluation, collection, tmp_path):
    arguments = ("--collection", collection, "--first_stage", "cosine:all-MiniLM-L6-v2", "--top_k", "3")
    result = evaluation(*arguments, "--output_dir", tmp_path)
    assert result.returncode == 0, result.stderr
    record = results(tmp_path)[0]
    assert list(record["systems"]) == ["all-MiniLM-L6-v2"]
    assert record["systems"]["all-MiniLM-L6-v2"]["means"]["MRR@10"] == 1.0


@pytest.mark.slow
def test_a_masked_language_model_can_be_the_first_stage(evaluation, collection, tmp_path):
    model = save_bert(tmp_path / "tiny-splade", BertForMaskedLM, 1)
    arguments = ("--collection", collection, "--first_stage", f"splade:{model}", "--top_k", "3")
    for _ in range(2):  # the second time over the index of the first
        result = evaluation(*arguments, "--output_dir", tmp_path / "out")
        assert result.returncode == 0, result.stderr
    (run,) = (tmp_path / "out").rglob("tiny-splade.txt")
    assert [line.split()[0] for line in run.read_text().splitlines()] == ["q1"] * 3 + ["q2"] * 3


def test_the_record_says_where_each_figure_comes_from(evaluation, collection, tmp_path):
    assert evaluation("--collection", collection, "--model", MINILM, "--output_dir", tmp_path).returncode == 0
    record = results(tmp_path)[0]
    assert record["command"].startswith(f"python -m evaluation --collection {collection}")
    assert record["versions"]["torch"] and record["seed"] == 0 and record["num_queries"] == 2
    assert len(record["collection_sha256"]) == len(record["candidates_sha256"]) == 64
    system = record["systems"]["minilm"]
    assert system["revision"].startswith("cosine:")
    assert system["passages_per_second"] == pytest.approx(system["num_timed"] / system["seconds"])
    assert set(system["per_query"]["nDCG@10"]) == {"q1", "q2"}


def test_a_second_call_reads_the_cached_scores_and_gives_the_same(evaluation, collection, tmp_path):
    command = ("--collection", collection, "--model", MINILM, "--output_dir", tmp_path)
    assert evaluation(*command).returncode == 0
    before = results(tmp_path)[0]["systems"]["minilm"]
    assert evaluation(*command).returncode == 0
    after = results(tmp_path)[0]["systems"]["minilm"]
    assert before["num_cached"] == 0 and after["num_cached"] == before["num_pairs"] > 0
    assert before["means"] == after["means"] and before["seconds"] == after["seconds"]


def test_published_figures_stand_beside_ours_only_over_the_same_first_stage(evaluation, collection, tmp_path):
    table = """
    source: A. Author, A Paper
    first_stage: {stage}
    top_k: 100
    measure: nDCG@10
    systems: {{{name}: {{planets: 0.4321, elsewhere: 0.1}}, {name} large: {{planets: ~}}}}
    """
    (tmp_path / "same.yaml").write_text(table.format(stage="bm25", name="Theirs"))
    (tmp_path / "other.yaml").write_text(table.format(stage="splade", name="Others"))
    references = ("--reference", tmp_path / "same.yaml", tmp_path / "other.yaml")
    result = evaluation(
        "--collection", f"planets={collection}", *references, "--output_dir", tmp_path / "out"
    )
    assert result.returncode == 0, result.stderr
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in result.stdout.splitlines()]
    for row in (["(Theirs)", "0.4321", ""], ["(Theirs large)", "", ""], ["(Others)", "", ""]):
        assert row in rows
    assert "not measured here: A. Author, A Paper (nDCG@10 of reranking bm25's best 100)" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--collection", "nowhere"], "collection nowhere has no queries.jsonl"),
        (["--split", "dev"], "has no qrels/dev.tsv"),
        (["--first_stage", "splade"], "run splade does not exist; a folder's first stage is bm25, cosine:"),
        (["--first_stage", "bm25", "bm25"], "2 first stages for 1 collections"),
        (["--model", "no/such-model"], "model no/such-model cannot be loaded"),
        (["--index", "somewhere"], "--index, --topics and --qrels stand in for downloads"),
        (["--reference", "none.yaml"], "reference none.yaml does not exist"),
    ],
)
def test_bad_input_gets_one_line_and_exit_code_2(evaluation, collection, tmp_path, arguments, message):
    result = evaluation("--collection", collection, "--output_dir", tmp_path / "runs", *arguments)
    assert result.returncode == 2
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and message in errors[0]
    assert not (tmp_path / "runs" / "results.json").exists()


def test_a_run_file_of_none_of_the_collections_is_refused(evaluation, collection, tmp_path):
    (tmp_path / "other.txt").write_text("z9 Q0 mars 1 2 x\n")
    result = evaluation("--collection", collection, "--run", tmp_path / "other.txt", "--output_dir", tmp_path)
    assert result.returncode == 2 and "has no query of any collection" in result.stderr


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (
            "run.txt",
            b"q1 Q0 mars 1 nan x\n",
            "run.txt line 1: the score 'nan' is not a finite number",
        ),
        (
            "queries.jsonl",
            b'{"_id": "q1", "text": "\xff"}\n',
            "queries.jsonl line 1: not UTF-8 text (byte 0xff)",
        ),
        (
            "corpus.jsonl",
            b'{"_id": "a", "text": "b"}\n' * 2,
            "two passages have the id 'a'; ids must be unique",
        ),
        (
            "qrels/test.tsv",
            b"q1\tmars\thigh\n",
            "test.tsv line 1: expected query-id, corpus-id and an integer",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_its_fault(
    evaluation, collection, tmp_path, file, content, message
):
    (collection / file).write_bytes(content)
    flags = ("--first_stage", collection / file) if file == "run.txt" else ()
    result = evaluation("--collection", collection, *flags, "--output_dir", tmp_path / "out")
    assert result.returncode == 2 and result.stderr.count("\n") == 1
    assert message in result.stderr
