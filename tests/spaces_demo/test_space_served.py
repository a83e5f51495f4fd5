"""The Space in a process of its own, asked over HTTP."""

from concurrent.futures import ThreadPoolExecutor

import pytest
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
            [entry["score"] for entry in expected], abs=1e-4
        )
        assert [entry["rank"] for entry in answer] == list(range(1, 11))


def test_top_k_keeps_the_best(client):
    whole = client.predict(QUERY, api_name="/rerank")
    assert client.predict(QUERY, top_k=2, api_name="/rerank") == whole[:2]


@pytest.mark.parametrize(
    ("query", "passages", "message"),
    [
        ("", ["x"], "The query is empty"),
        ("x", [], "list of passages is empty"),
        ("q" * 501, ["x"], "shorten it"),
    ],
)
def test_input_that_cannot_be_used_is_answered_with_its_mend(client, query, passages, message):
    with pytest.raises(AppError, match=message):
        client.predict(query, passages, api_name="/rerank")


def test_only_rerank_is_offered_to_programs(client):
    assert list(client.view_api(return_format="dict")["named_endpoints"]) == ["/rerank"]


def test_twenty_askers_at_once_each_get_their_own_answer(client):
    def ask(planet):
        docid, text = planet
        return client.predict(text, api_name="/rerank", top_k=1)[0]["docid"] == docid

    with ThreadPoolExecutor(20) as pool:
        assert all(pool.map(ask, PLANETS * 2))


@pytest.mark.parametrize("missing", ["checkpoint", "second checkpoint", "dataset"])
def test_a_missing_part_ends_it_with_one_line_and_code_2(run_app, checkpoint, rankings, tmp_path, missing):
    absent = str(tmp_path / "absent")
    parts = {"checkpoint": checkpoint, "dataset": rankings, "second checkpoint": checkpoint, missing: absent}
    process = run_app(*parts.values())
    error = process.communicate(timeout=120)[1]
    assert process.returncode == 2
    assert f"error: cannot load the {missing} {absent}" in error.splitlines()[-1]
    assert "make quickstart" in error.splitlines()[-1]
    assert "Traceback" not in error
