"""The model card against the files of the run it describes."""

import json
import shutil

import pytest
import yaml
from huggingface_hub import ModelCard, parse_eval_result_entries

from evaluation.measures import measures_of
from model_cards.evaluation_results import eval_results_yaml, read_results
from model_cards.model_card import read_checkpoint, render_model_card
from retrieval.errors import InputError
from retrieval.model_revision import model_revision
from tests.command_line import run_module
from tests.model_cards.conftest import DATASET, MODEL

RESULTS = "runs/quickstart/results.json"


@pytest.fixture(scope="module")
def card(quickstart):
    checkpoint = read_checkpoint(quickstart / MODEL)
    results = read_results(quickstart / RESULTS, "student", model_revision(str(quickstart / MODEL)))
    return ModelCard(render_model_card(checkpoint, results, MODEL, {}, language="en"))


@pytest.fixture
def checkpoint(quickstart, tmp_path):
    """A copy of the checkpoint's folder, to take something away from."""
    folder = tmp_path / "twolar" / "copy"
    shutil.copytree(quickstart / MODEL, folder, ignore=shutil.ignore_patterns("checkpoint-*"))
    return folder


def test_the_metadata_says_what_it_was_made_of(card):
    assert card.data.pipeline_tag == "text-ranking"
    assert card.data.library_name == "transformers"
    assert card.data.base_model == "sentence-transformers/all-MiniLM-L6-v2"
    assert card.data.datasets == [DATASET]
    assert card.data.license == "apache-2.0"
    assert card.data.language == "en"
    assert "custom_code" in card.data.tags


def test_a_bi_encoder_is_not_called_a_cross_encoder(card, checkpoint, quickstart):
    assert "bi-encoder" in card.data.tags and "bi-encoder that learned" in card.text
    assert "cross-encoder" not in card.content and "T5" not in card.text
    config = json.loads((checkpoint / "config.json").read_text())
    config |= {"readout": "decoder_step", "backbone_config": {"model_type": "t5"}}
    (checkpoint / "config.json").write_text(json.dumps(config))
    results = read_results(quickstart / RESULTS, "student", model_revision(str(quickstart / MODEL)))
    other = ModelCard(render_model_card(read_checkpoint(checkpoint), results, MODEL, {}, language="en"))
    assert "cross-encoder" in other.data.tags and "cross-encoder that learned" in other.text
    assert "`rerankers` package takes a T5's" in other.text


def test_a_calibrated_checkpoint_s_card_says_what_thresholds_keep(card, checkpoint, quickstart):
    assert "threshold" not in card.text
    done = run_module(
        "training.calibrate", checkpoint, "--dataset_name", quickstart / DATASET, "--split", "train"
    )
    assert done.returncode == 0, done.stderr
    results = read_results(quickstart / RESULTS, "student", model_revision(str(quickstart / MODEL)))
    calibrated = render_model_card(read_checkpoint(checkpoint), results, MODEL, {}, language="en")
    rows = [line for line in done.stdout.splitlines() if line.startswith("| 0.")]
    assert len(rows) == 5 and all(row in calibrated for row in rows)
    config = json.loads((checkpoint / "config.json").read_text()) | {"score_temperature": 1.0}
    (checkpoint / "config.json").write_text(json.dumps(config))  # as a training writes it anew
    assert read_checkpoint(checkpoint).thresholds is None


def test_every_figure_of_the_model_index_is_the_results_files(card, quickstart):
    means = json.loads((quickstart / RESULTS).read_text())[0]["systems"]["student"]["means"]
    found = {result.metric_name: result.metric_value for result in card.data.eval_results}
    assert found == {name: round(value, 4) for name, value in means.items()}
    assert list(found) == measures_of(5) and "R@100" not in found
    assert {result.task_type for result in card.data.eval_results} == {"text-ranking"}
    for value in means.values():
        assert f" {value:.4f} " in card.text


def test_the_text_shows_the_trainings_own_record(card, quickstart):
    run = json.loads((quickstart / MODEL / "training_run.json").read_text())
    metrics = json.loads((quickstart / MODEL / "all_results.json").read_text())
    state = json.loads((quickstart / MODEL / "trainer_state.json").read_text())
    for value in (run["command"], run["machine"], *run["versions"].values(), f"{metrics['train_loss']:.4f}"):
        assert value in card.text
    assert f"| steps | {state['global_step']} |" in card.text
    assert "| queries | 9 to train on, 3 to test |" in card.text
    assert (
        "The teacher is rank-fusion, reciprocal rank fusion of retrieval methods and no language model."
        in card.text
    )
    assert "None" not in card.text


def test_the_text_says_what_training_brought(card, quickstart):
    verdict = json.loads((quickstart / MODEL / "training_run.json").read_text())["verdict"]
    assert f"**{verdict['word']}** against its start" in card.text
    (change,) = verdict["changes"]
    assert (
        f"| held-out queries, against the teacher's order | {change['num_queries']} | {change['start']:.4f} | "
        f"{change['end']:.4f} | {change['difference']:+.4f} | {change['p']:.4f} |" in card.text
    )


def test_a_damaged_verdict_is_an_error_that_names_it(checkpoint):
    path = checkpoint / "training_run.json"
    record = json.loads(path.read_text())
    del record["verdict"]["changes"][0]["p"]
    path.write_text(json.dumps(record))
    with pytest.raises(InputError, match="the verdict is damaged"):
        read_checkpoint(checkpoint)


def test_the_number_of_parameters_is_the_models(card, quickstart):
    from modeling_twolar import TwolarForReranking

    model = TwolarForReranking.from_pretrained(quickstart / MODEL)
    assert f"| parameters | {sum(weight.numel() for weight in model.parameters()):,} |" in card.text


@pytest.mark.parametrize(
    "name", ["training_run.json", "all_results.json", "trainer_state.json", "config.json", "training.png"]
)
def test_a_missing_file_is_an_error_that_names_it(checkpoint, name):
    (checkpoint / name).unlink()
    with pytest.raises(InputError, match=f"{name} is missing"):
        read_checkpoint(checkpoint)


@pytest.mark.parametrize(
    ("name", "field"),
    [("training_run.json", "machine"), ("all_results.json", "train_runtime"), ("config.json", "score_strategy"),
     ("trainer_state.json", "global_step"), ("tokenizer_config.json", "model_max_length")],
)  # fmt: skip
def test_a_missing_field_is_an_error_that_names_it(checkpoint, name, field):
    record = json.loads((checkpoint / name).read_text())
    del record[field]
    (checkpoint / name).write_text(json.dumps(record))
    with pytest.raises(InputError, match=f"{name} lacks '{field}'"):
        read_checkpoint(checkpoint)


def test_a_dataset_without_a_name_on_the_hub_is_an_error(checkpoint):
    path = checkpoint / "training_run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"dataset": "/data/mine"}))
    with pytest.raises(InputError, match="dataset_name is '/data/mine', a folder of this machine"):
        render_model_card(read_checkpoint(checkpoint), [], "me/mine", {})


def test_figures_of_other_weights_are_refused(quickstart):
    with pytest.raises(InputError, match="measured other weights as 'student'"):
        read_results(quickstart / RESULTS, "student", "0" * 64)


def test_a_results_file_without_the_system_or_a_field_is_an_error(quickstart, tmp_path):
    with pytest.raises(InputError, match="no system 'teacher', only bm25, student; choose with --system"):
        read_results(quickstart / RESULTS, "teacher", "")
    records = json.loads((quickstart / RESULTS).read_text())
    del records[0]["machine"]
    (tmp_path / "results.json").write_text(json.dumps(records))
    with pytest.raises(InputError, match="lacks 'machine'"):
        read_results(tmp_path / "results.json", "student", model_revision(str(quickstart / MODEL)))


def test_the_table_compares_every_system_with_the_one_that_is_chosen(quickstart):
    revision = model_revision(str(quickstart / MODEL))
    (result,) = read_results(quickstart / RESULTS, "student", revision, "student")
    card = render_model_card(read_checkpoint(quickstart / MODEL), [result], MODEL, {}, language="en")
    record = json.loads((quickstart / RESULTS).read_text())[0]
    assert [row.name for row in result.rows] == list(record["systems"]) == ["bm25", "student"]
    first, student = result.rows
    difference = record["comparisons"][0]["difference"]
    assert student.change is None
    assert first.change.difference == pytest.approx(-difference)
    assert first.change.interval[0] <= -difference <= first.change.interval[1]
    assert f"| {first.change.difference:+.4f} | {first.change.interval[0]:+.4f} to " in card
    assert "from student" in card


def test_a_quick_look_is_refused(quickstart, tmp_path):
    records = json.loads((quickstart / RESULTS).read_text())
    records[0]["num_judged"] = 50
    with pytest.raises(
        InputError, match=r"measured 2 of 50 queries of questions \(test\) \(--limit_queries\)"
    ):
        _read(records, tmp_path, quickstart)


def test_a_licence_that_is_not_known_is_asked_for(checkpoint):
    path = checkpoint / "training_run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"base_model": "me/base"}))
    with pytest.raises(
        InputError,
        match="the licence of me/base, which the weights inherit, is not known here; give --license",
    ):
        render_model_card(read_checkpoint(checkpoint), [], "me/mine", {}, language="en")


def test_a_known_benchmark_gets_an_entry_in_eval_results(quickstart, tmp_path):
    records = json.loads((quickstart / RESULTS).read_text())
    assert eval_results_yaml(_read(records, tmp_path, quickstart)) == ""
    records[0]["collection"] = "scifact (test)"
    results = _read(records, tmp_path, quickstart)
    (entry,) = parse_eval_result_entries(yaml.safe_load(eval_results_yaml(results)))
    assert entry.dataset_id == "irds/beir_scifact_test"
    assert entry.value == round(results[0].means["nDCG@10"], 4)
    assert entry.notes == f"nDCG@10, reranking the top 5 of {results[0].first_stage}"


def _read(records, folder, quickstart):
    (folder / "results.json").write_text(json.dumps(records))
    return read_results(folder / "results.json", "student", model_revision(str(quickstart / MODEL)))
