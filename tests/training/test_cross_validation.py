"""`python -m training.cross_validation`: no query is ranked by a student that was trained on it."""

import json
import shutil

import pytest
import yaml
from datasets import Dataset, load_dataset

from modeling_twolar import TwolarForReranking
from retrieval.errors import InputError
from retrieval.trec_run import read_run
from tests.conftest import PLANETS, QUERIES
from training.cross_validation.folds import Fold, split, train_folds, write_without


def rankings(*queries):
    return Dataset.from_list(
        [
            {
                "query_id": f"r{number}",
                "query": query,
                "retrieved_passages": [
                    {"docid": docid, "text": text, "rank": rank}
                    for rank, (docid, text) in enumerate(PLANETS[number:], start=1)
                ],
            }
            for number, query in enumerate(queries)
        ]
    )


def test_folds_share_no_query_and_leave_none_out():
    folds = split([str(number) for number in range(11)], 3, seed=1)
    assert sorted(map(len, folds)) == [3, 4, 4]
    assert sorted(query for fold in folds for query in fold) == sorted(map(str, range(11)))
    with pytest.raises(InputError, match="there are only 2 queries"):
        split(["a", "b"], 3, seed=1)


def test_a_held_out_query_is_found_by_its_text(tmp_path):
    rows = rankings("Red  planet", "ice rings", "Ice Rings ")
    kept = load_dataset(str(write_without(rows, ["ice rings"], tmp_path)), split="train")
    assert kept["query"] == ["Red  planet"]
    for held_out in (["something else"], ["red planet", "ice rings"]):
        with pytest.raises(InputError, match="hold out all of them or none"):
            write_without(rows, held_out, tmp_path)


def test_each_query_is_ranked_by_the_student_trained_without_it(collection, tiny_t5, evaluation, tmp_path):
    folder, out, config = tmp_path / "rankings", tmp_path / "out", tmp_path / "short.yaml"
    folder.mkdir()
    rankings(*(text for _, text in QUERIES)).to_parquet(folder / "train-00000-of-00001.parquet")
    settings = {
        "model_name_or_path": str(tiny_t5(False, "gated-gelu")),
        "gradient_accumulation_steps": 1,
        "learning_rate": 1e-2,
        "report_to": "none",
        "use_cpu": True,
    }
    config.write_text(yaml.safe_dump(settings))
    command = ("--config", config, "--dataset_name", folder, "--collection", collection, "--top_k", 5)
    command += ("--output_dir", out)
    first = evaluation(*command, module="training.cross_validation")
    assert first.returncode == 0, first.stderr
    run, texts = read_run(out / "runs" / "short.txt"), dict(QUERIES)
    students = {path.parent.name: path for path in out.glob("students/*/*/model")}
    assert len(students) == 2 and set(run) == {"q1", "q2"}
    passages = dict(PLANETS)
    for name, student in students.items():
        trained = load_dataset(str(out / "datasets" / name), split="train")["query"]
        (held_out,) = [query_id for query_id in run if texts[query_id] not in trained]
        hits = run[held_out]
        model = TwolarForReranking.from_pretrained(student)
        scores = model.score([(texts[held_out], passages[hit.docid]) for hit in hits]).tolist()
        assert [hit.score for hit in hits] == pytest.approx(scores, abs=1e-4)
    found = json.loads((out / "results.json").read_text())[0]["systems"]
    assert f"{found['short']['means']['nDCG@10']:.4f}" in first.stdout

    before = {path: (path / "model.safetensors").stat().st_mtime_ns for path in students.values()}
    again = evaluation(*command, module="training.cross_validation")
    assert again.stdout == first.stdout
    assert {path: (path / "model.safetensors").stat().st_mtime_ns for path in before} == before


def test_a_student_is_kept_as_long_as_settings_start_and_rankings_are_the_same(
    tiny_t5, tmp_path, monkeypatch
):
    monkeypatch.setattr("training.cross_validation.folds.train", lambda flags, model, what: None)
    start, config, folds = tmp_path / "start", tmp_path / "short.yaml", [Fold(["q1"], tmp_path / "a")]
    shutil.copytree(tiny_t5(False, "gated-gelu"), start)
    config.write_text(yaml.safe_dump({"model_name_or_path": str(start)}))
    first = train_folds(config, folds, tmp_path)
    assert train_folds(config, folds, tmp_path) == first
    assert train_folds(config, [Fold(["q1"], tmp_path / "b")], tmp_path) != first
    shutil.copytree(tiny_t5(True, "relu"), start, dirs_exist_ok=True)
    assert train_folds(config, folds, tmp_path) != first


def test_bad_input_is_one_line(collection, evaluation, tmp_path):
    missing = evaluation(
        "--config", tmp_path / "none.yaml", "--dataset_name", tmp_path, "--collection", collection,
        "--output_dir", tmp_path / "out", module="training.cross_validation",
    )  # fmt: skip
    assert missing.returncode == 2
    assert missing.stderr.strip().splitlines()[-1].startswith("error: ")
