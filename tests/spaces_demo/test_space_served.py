"""The Space in a process of its own, asked over HTTP."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from demo import Demo
from gradio_client import Client
from gradio_client.exceptions import AppError

from modeling_twolar import TwolarForReranking
from tests.conftest import PLANETS

QUERY = "which world did astronauts visit"


@pytest.fixture(scope="module")
def client(address):
    return Client(address, verbose=False)


def test_rerank_gives_the_order_and_scores_of_the_checkpoint(client, checkpoint):
    texts = [text for _, text in PLANETS]
    expected = TwolarForReranking.from_pretrained(checkpoint).rank(QUERY, texts)
    for answer in (
        client.predict(QUERY, texts, api_name="/rerank"),
        client.predict(QUERY, api_name="/rerank"),
    ):
        assert [entry["text"] for entry in answer] == [texts[entry["corpus_id"]] for entry in expected]
        assert [entry["score"] for entry in answer] == pytest.approx(
            [entry["score"] for entry in expected], abs=1e-3
        )
        assert [entry["rank"] for entry in answer] == list(range(1, 11))


def test_top_k_keeps_the_best(client):
    whole = client.predict(QUERY, api_name="/rerank")
    assert client.predict(QUERY, top_k=2, api_name="/rerank") == whole[:2]


@pytest.mark.parametrize(
    ("query", "passages", "top_k", "message"),
    [
        ("", ["x"], 10, "The query is empty"),
        (3, ["x"], 10, "The query is no text"),
        ("x", [], 10, "list of passages is empty"),
        ("x", "one text", 10, "no list of texts"),
        ("x", ["x", 3], 10, "no list of texts"),
        ("q" * 501, ["x"], 10, "shorten it"),
        ("x", ["x"], 0, "top_k is 0; give a whole number from 1 on"),
        ("x", ["x"], "all", "top_k is 'all'"),
    ],
)
def test_input_that_cannot_be_used_is_answered_with_its_mend(client, query, passages, top_k, message):
    with pytest.raises(AppError, match=message):
        client.predict(query, passages, top_k, api_name="/rerank")


def test_a_call_without_a_query_is_answered_in_words_too(address):
    url = f"{address}gradio_api/call/rerank"
    event = httpx.post(url, json={"data": []}).json()["event_id"]
    assert "didn't receive enough input values" in httpx.get(f"{url}/{event}").text


def test_only_rerank_is_offered_to_programs(client):
    assert list(client.view_api(return_format="dict")["named_endpoints"]) == ["/rerank"]


def test_twenty_askers_at_once_each_get_their_own_answer(client):
    def ask(planet):
        docid, text = planet
        return client.predict(text, api_name="/rerank", top_k=1)[0]["docid"] == docid

    with ThreadPoolExecutor(20) as pool:
        assert all(pool.map(ask, PLANETS * 2))


def test_a_missing_checkpoint_ends_it_with_one_line_and_code_2(run_app, rankings, tmp_path):
    absent = str(tmp_path / "absent")
    process = run_app(absent, rankings, "")
    error = process.communicate(timeout=120)[1]
    assert process.returncode == 2
    assert f"error: cannot load the checkpoint {absent}" in error.splitlines()[-1]
    assert "make quickstart" in error.splitlines()[-1]
    assert "Traceback" not in error


@pytest.mark.parametrize("missing", ["second checkpoint", "dataset"])
def test_another_missing_part_ends_it_as_well(checkpoint, tmp_path, missing, capsys):
    with pytest.raises(SystemExit, match="2"):
        Demo(str(checkpoint), str(tmp_path / "absent"), "absent" if missing == "second checkpoint" else "")
    assert f"error: cannot load the {missing} " in capsys.readouterr().err


def test_a_cache_that_cannot_be_written_is_named(checkpoint, rankings, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setattr("loading.CACHE", tmp_path / "file")
    with pytest.raises(SystemExit, match="2"):
        Demo(str(checkpoint), str(rankings))
    assert f"error: cannot keep the passages' vectors in {tmp_path / 'file'}" in capsys.readouterr().err
