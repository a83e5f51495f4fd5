"""`python -m spaces_demo.serve` in a process of its own, asked over HTTP."""

import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from modeling_twolar import TwolarForReranking
from tests.conftest import PLANETS
from tests.spaces_demo.conftest import SPACE, Served, serve_command

QUERY = "which world did astronauts visit"
TEXTS = [text for _, text in PLANETS]
LONG = [f"{number} {text} " * 8 for number in range(8) for text in TEXTS]


@pytest.fixture(scope="module")
def served(checkpoint):
    served = Served(checkpoint, "--max_documents", 300, "--max_characters", 200_000)
    yield served
    served.stop()


@pytest.fixture(scope="module")
def model(checkpoint):
    return TwolarForReranking.from_pretrained(checkpoint)


def assert_ranks_like(model, answer, query, texts):
    assert answer.status_code == 200, answer.text
    expected = model.rank(query, texts)
    results = answer.json()["results"]
    assert [result["index"] for result in results] == [entry["corpus_id"] for entry in expected]
    assert [result["relevance_score"] for result in results] == pytest.approx(
        [entry["score"] for entry in expected], abs=1e-5
    )


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank", "/v2/rerank"])
def test_documents_come_back_in_the_order_and_with_the_scores_of_the_checkpoint(served, model, path):
    answer = served.client.post(path, json={"query": QUERY, "documents": TEXTS})
    assert_ranks_like(model, answer, QUERY, TEXTS)


def test_the_answer_has_the_shape_of_cohere_and_jina(served, model, checkpoint):
    documents = [{"text": TEXTS[0]}, TEXTS[1], {"text": "", "other": 1}]
    answer = served.rerank(
        model=checkpoint.name, query="red", documents=documents, top_n=2, return_documents=True
    ).json()
    best = model.rank("red", [TEXTS[0], TEXTS[1], ""], top_k=2)
    assert set(answer) == {"id", "model", "results", "usage"}
    assert answer["model"] == checkpoint.name
    assert [result["index"] for result in answer["results"]] == [entry["corpus_id"] for entry in best]
    texts = [TEXTS[0], TEXTS[1], ""]
    assert [result["document"] for result in answer["results"]] == [
        {"text": texts[entry["corpus_id"]]} for entry in best
    ]
    assert "document" not in served.rerank(query="red", documents=documents).json()["results"][0]


def test_usage_counts_the_tokens_of_query_and_documents(served):
    usage = served.rerank(query="red", documents=["Mars is red.", "hot"]).json()["usage"]
    assert usage == {"total_tokens": 1 + 4 + 1}


def test_fifty_clients_at_once_each_get_their_own_answer(served, model):
    queries = [f"{text} {number}" for number in range(5) for text in TEXTS]

    def ask(query):
        documents = TEXTS[len(query) % 7 :][:3]
        return query, documents, served.rerank(query=query, documents=documents)

    with ThreadPoolExecutor(50) as pool:
        for query, documents, answer in pool.map(ask, queries):
            assert_ranks_like(model, answer, query, documents)


@pytest.mark.parametrize(
    ("request_", "code", "detail"),
    [
        ({"documents": ["x"]}, 422, "query: Field required"),
        ({"query": " ", "documents": ["x"]}, 422, "query: String should have at least 1 character"),
        (
            {"query": "q" * 2001, "documents": ["x"]},
            422,
            "query: String should have at most 2000 characters",
        ),
        ({"query": "q", "documents": []}, 422, "documents: List should have at least 1 item"),
        ({"query": "q", "documents": "x"}, 422, "documents: Input should be a valid list"),
        ({"query": "q", "documents": ["x", 7]}, 422, "documents.1: Input should be a string or an object"),
        ({"query": "q", "documents": [{"title": "x"}]}, 422, "documents.0.object.text: Field required"),
        (
            {"query": "q", "documents": ["x"], "top_n": 0},
            422,
            "top_n: Input should be greater than or equal to 1",
        ),
        (
            {"query": "q", "documents": ["x"] * 301},
            422,
            "documents: 301, more than 300; send fewer",
        ),
        (
            {"query": "q", "documents": ["x" * 200_001]},
            422,
            "documents: 200,001 characters, more than 200,000",
        ),
        ({"query": "q", "documents": ["x"], "model": "gpt"}, 404, "model: 'gpt' is not served here, "),
    ],
)
def test_a_request_that_cannot_be_used_is_answered_with_the_place_and_the_mend(
    served, request_, code, detail
):
    answer = served.rerank(**request_)
    assert answer.status_code == code
    assert answer.json()["detail"].startswith(detail)


@pytest.mark.parametrize(
    ("body", "code", "detail"),
    [
        (b"{", 422, "1: JSON decode error"),
        (b"[" * 100_000, 400, "There was an error parsing the body"),
        (b'{"query": "\\ud800", "documents": ["x"]}', 422, "query: "),
        (b'{"query": "q", "documents": ["\\ud800"]}', 422, "documents.0.string: "),
        (b" " * (12 * 200_000 + 2**20 + 1), 413, "a request may have 3,448,576 bytes; send less"),
        (iter([b"{}"]), 411, "send the request's length"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(served, body, code, detail):
    answer = served.client.post("/rerank", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == code
    assert answer.json()["detail"].startswith(detail)


def test_the_interface_is_described(served):
    description = served.client.get("/openapi.json").json()
    assert list(description["paths"]) == ["/rerank", "/health"]
    assert "swagger" in served.client.get("/docs").text


def test_after_sigterm_the_request_in_flight_is_answered_and_the_server_ends(checkpoint, model):
    served = Served(checkpoint)
    try:
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(served.rerank, query=QUERY, documents=LONG)
            while served.client.get("/health").json()["waiting"] == 0:
                time.sleep(0.01)
            assert not answer.done()
            served.process.send_signal(signal.SIGTERM)
            assert_ranks_like(model, answer.result(), QUERY, LONG)
        assert served.process.wait(10) in (0, -signal.SIGTERM)
        with pytest.raises(httpx.ConnectError):
            served.client.get("/health")
    finally:
        served.stop()


def test_int8_gives_nearly_the_scores_of_the_checkpoint(checkpoint, model):
    served = Served(checkpoint, "--int8")
    try:
        answer = served.rerank(query=QUERY, documents=TEXTS)
    finally:
        served.stop()
    exact = {entry["corpus_id"]: entry["score"] for entry in model.rank(QUERY, TEXTS)}
    scores = {result["index"]: result["relevance_score"] for result in answer.json()["results"]}
    assert scores != pytest.approx(exact, abs=1e-6)
    assert scores == pytest.approx(exact, abs=0.1 * (max(exact.values()) - min(exact.values())))


def test_a_missing_checkpoint_and_a_taken_port_end_it_with_one_line_and_code_2(checkpoint, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for arguments, message in (
            ((tmp_path / "absent", "--port", 0), "cannot be loaded"),
            ((checkpoint, "--port", port), "Address already in use"),
        ):
            ended = subprocess.run(
                serve_command(*arguments), cwd=SPACE.parent, capture_output=True, text=True, timeout=120
            )
            assert ended.returncode == 2
            assert message in ended.stderr.splitlines()[-1]
            assert "Traceback" not in ended.stderr
