"""`python -m serving` in a process of its own, asked over HTTP."""

import asyncio
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from modeling_twolar import TwolarForReranking
from retrieval.errors import InputError
from serving.checkpoints import Loading, load_checkpoint
from serving.server import bound_socket
from tests.conftest import PLANETS
from tests.serving.conftest import Served

QUERY = "which world did astronauts visit"
TEXTS = [text for _, text in PLANETS]
LONG = [f"{number} {text} " * 8 for number in range(40) for text in TEXTS]
TIMEOUT = 3
HALF_HEAD = b"POST /rerank HTTP/1.1\r\nHost: x\r\nContent-Le"
HALF_BODY = (
    b'POST /rerank HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"que'
)


@pytest.fixture(scope="module")
def served(small_teacher):
    arguments = ("--max_connections", 70, "--request_timeout", TIMEOUT, "--served_model_name", "mine")
    served = Served(small_teacher, *arguments)
    yield served
    served.stop()


@pytest.fixture(scope="module")
def model(small_teacher):
    return TwolarForReranking.from_pretrained(small_teacher)


def assert_ranks_like(model, answer, query, texts):
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    scores = [result["relevance_score"] for result in results]
    assert scores == sorted(scores, reverse=True)
    expected = model.score([(query, texts[result["index"]]) for result in results])
    assert len(results) == len(texts) and scores == pytest.approx(expected.tolist(), abs=1e-5)


def half_sent(served, count, text):
    found = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(count)]
    for connection in found:
        connection.sendall(text)
        connection.settimeout(30)
    return found


def all_of(connection):
    """What comes until the other side closes: an answer's head and body may come apart."""
    return b"".join(iter(lambda: connection.recv(1000), b"")).decode()


def test_documents_come_back_in_the_order_and_with_the_scores_of_the_checkpoint(served, model):
    answer = served.rerank(query=QUERY, documents=TEXTS)
    assert_ranks_like(model, answer, QUERY, TEXTS)
    assert answer.json()["model"] == "mine"


def test_fifty_clients_at_once_each_get_their_own_answer(served, model):
    queries = [f"{text} {number}" for number in range(5) for text in TEXTS]

    def ask(query):
        documents = TEXTS[len(query) % 7 :][:3]
        return query, documents, served.rerank(query=query, documents=documents)

    with ThreadPoolExecutor(50) as pool:
        for query, documents, answer in pool.map(ask, queries):
            assert_ranks_like(model, answer, query, documents)


def test_half_a_body_is_answered_in_time_and_half_a_head_is_closed(served):
    started = time.monotonic()
    (head,), (body,) = half_sent(served, 1, HALF_HEAD), half_sent(served, 1, HALF_BODY)
    answer = all_of(body)
    assert answer.startswith("HTTP/1.1 408 ")
    assert answer.endswith('{"detail":"the request did not arrive in 3 seconds; send it again"}')
    assert all_of(head) == ""
    assert TIMEOUT - 0.5 < time.monotonic() - started < TIMEOUT + 5


def test_more_connections_than_allowed_are_refused_and_the_next_ones_are_not(served):
    held = half_sent(served, 70, HALF_HEAD)
    with httpx.Client(base_url=served.client.base_url) as client:
        answer = client.post("/rerank", json={"query": "q", "documents": ["x"]})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json()["detail"] == "70 connections are open; try again later"
    for connection in held:
        connection.close()
    deadline = time.monotonic() + 10
    while (answer := served.rerank(query="q", documents=["x"])).status_code == 503:
        assert time.monotonic() < deadline
    assert answer.status_code == 200


def test_after_sigterm_the_request_in_flight_is_answered_and_the_server_ends_though_others_hang(
    small_teacher, model
):
    served = Served(small_teacher, "--request_timeout", TIMEOUT)
    try:
        hanging = half_sent(served, 50, HALF_BODY) + half_sent(served, 50, HALF_HEAD)
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(served.rerank, query=QUERY, documents=LONG)
            while served.client.get("/health").json()["waiting"] == 0:
                time.sleep(0.01)
            assert not answer.done()
            served.process.send_signal(signal.SIGTERM)
            assert_ranks_like(model, answer.result(), QUERY, LONG)
        assert served.process.wait(TIMEOUT + 10) in (0, -signal.SIGTERM)
        assert all_of(hanging[0]).startswith("HTTP/1.1 408 ")
        with pytest.raises(httpx.ConnectError):
            served.client.get("/health")
    finally:
        served.stop()


def test_int8_gives_nearly_the_scores_of_the_checkpoint(small_teacher, model, tmp_path):
    pairs = [(QUERY, text) for text in TEXTS]
    exact = model.score(pairs)
    quantized = load_checkpoint(str(small_teacher), Loading(int8=True))
    scores = quantized.score(pairs)
    assert 1e-6 < (scores - exact).abs().max() < 0.1 * (exact.max() - exact.min())
    quantized.save_pretrained(tmp_path)
    assert load_checkpoint(str(tmp_path), Loading(int8=True)).score(pairs).equal(scores)


def test_a_checkpoint_s_own_code_runs_only_where_that_is_asked_for(small_teacher, model):
    ours = load_checkpoint(str(small_teacher), Loading())
    carried = load_checkpoint(str(small_teacher), Loading(trust_remote_code=True))
    assert type(ours) is TwolarForReranking
    assert type(carried).__module__.startswith("transformers_modules.")
    assert carried.score([(QUERY, TEXTS[0])]) == model.score([(QUERY, TEXTS[0])])


def test_an_address_that_is_taken_is_said_in_one_line():
    with bound_socket("127.0.0.1", 0) as taken, pytest.raises(InputError, match="already in use"):
        taken.listen()
        bound_socket("127.0.0.1", taken.getsockname()[1])


def test_small_answers_are_not_held_back():
    async def accepted():
        found = asyncio.get_running_loop().create_future()

        def take(reader, writer):
            connection = writer.get_extra_info("socket")
            found.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with bound_socket("127.0.0.1", 0) as holder:
            async with await asyncio.start_server(take, sock=holder):
                await asyncio.open_connection(*holder.getsockname())
                return await found

    assert asyncio.run(accepted())
