"""`--dry_run` says what a build will take before anything is made."""

import dataclasses
import gzip
import json

import pandas
import pytest

from dataset_builder.build.execution import Execution
from dataset_builder.build.folder import BuildFolder
from dataset_builder.language_models.access import TeacherAccess
from dataset_builder.pipeline.run import build, foresee
from dataset_builder.pools import methods
from retrieval.corpus_size import estimated_size
from retrieval.errors import InputError
from tests.dataset_builder.test_artifacts import CountingEncoder, settings_over

ACCESS = TeacherAccess("http://127.0.0.1:9/v1", prompt_price=1.0, completion_price=1.0)


@pytest.fixture
def encoder(monkeypatch):
    counting = CountingEncoder()
    monkeypatch.setattr(methods, "cosine_encoder", lambda *_: counting)
    monkeypatch.setattr("dataset_builder.pipeline.forecast.free_models", lambda: None)
    monkeypatch.setattr("dataset_builder.pools.filling.free_models", lambda: None)
    return counting


@pytest.fixture
def planned(planets, tmp_path, encoder):
    settings = dataclasses.replace(settings_over(planets), output_dir=str(tmp_path / "out"))
    return BuildFolder(tmp_path / "out"), settings, ACCESS, Execution(artifacts=str(tmp_path / "artifacts"))


def test_each_part_that_is_to_be_made_is_foreseen_and_none_is_made(planned):
    folder, *_ = planned
    parts = foresee(*planned)
    assert [part.what.split(":")[0] for part in parts] == ["passages", "index minilm", "rankings"]
    assert parts[1].disk == 2 * 10 * 8 * 4  # vectors of 8 floats, in shards and in the index
    assert parts[1].seconds > 0
    # Three pools and the question whether the server takes a schema, for eight queries.
    assert "about 8 queries, 11 calls still to pay" in parts[2].what
    assert not folder.root.exists()


def test_what_is_there_is_not_foreseen_again(planned, encoder):
    build(*planned, dry_run=True)
    encoded = encoder.encoded
    assert [part.what.split(":")[0] for part in foresee(*planned)] == ["rankings"]
    assert encoder.encoded == encoded


def test_what_the_machine_has_no_room_for_is_refused_with_what_would_fit(planned, monkeypatch):
    folder, settings, *rest = planned
    monkeypatch.setattr("retrieval.retrievers.faiss_index.machine_memory", lambda: 1)
    with pytest.raises(
        InputError, match=r"--faiss_index hnsw .* GB of memory can be used here; what fits: flat"
    ):
        foresee(folder, dataclasses.replace(settings, faiss_index="hnsw"), *rest)
    monkeypatch.setattr("dataset_builder.pipeline.forecast.GB", 1.0)
    monkeypatch.setattr("dataset_builder.pipeline.forecast.STORE_GROWTH", 1e18)
    with pytest.raises(InputError, match="name a larger disk by --artifacts"):
        foresee(*planned)


def test_the_size_of_a_corpus_is_about_right_without_reading_it(tmp_path):
    rows = [{"_id": str(number), "text": f"passage {number % 7} of some words"} for number in range(60_000)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "corpus.jsonl").write_text(lines)
    (tmp_path / "corpus.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    pandas.DataFrame(rows).to_parquet(tmp_path / "corpus.parquet")
    for name in ("corpus.jsonl", "corpus.jsonl.gz"):
        assert estimated_size(str(tmp_path / name)) == pytest.approx(60_000, rel=0.05)
    assert estimated_size(str(tmp_path / "corpus.parquet")) == 60_000
    assert estimated_size("hf:some/corpus") is None
