"""Requests in the shapes of Cohere, Jina, Voyage and TEI, each answered in its own."""

import math

import pytest

from serving.service import Limits

DOCUMENTS = ["red", "a red planet", "a planet"]
QUERY = "red planet"


@pytest.fixture
def ask(client):
    def post(path="/rerank", **request):
        return client(limits=Limits(max_documents=4, max_characters=50)).post(path, json=request)

    return post


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank", "/v2/rerank"])
def test_cohere_and_jina(ask, path):
    answer = ask(path, model="words", query=QUERY, documents=DOCUMENTS, top_n=2).json()
    assert set(answer) == {"id", "model", "results", "usage"}
    assert (answer["model"], answer["usage"]) == ("words", {"total_tokens": 2 + 1 + 3 + 2})
    assert answer["results"] == [{"index": 1, "relevance_score": 2.0}, {"index": 0, "relevance_score": 1.0}]


def test_documents_are_repeated_as_they_came(ask):
    documents = ["red", {"text": "", "id": [7, None]}]
    answer = ask(query=QUERY, documents=documents, return_documents=True).json()
    assert [result["document"] for result in answer["results"]] == [{"text": "red"}, documents[1]]


def test_rank_fields_are_read_in_their_order(client):
    served = client()
    documents = [{"title": "a", "text": "red", "text2": "planet"}, {"title": "", "text": "red"}]
    answer = served.post(
        "/rerank", json={"query": QUERY, "documents": documents[:1], "rank_fields": ["text2", "title"]}
    )
    assert answer.status_code == 200
    served.post(
        "/rerank", json={"query": QUERY, "documents": documents[1:], "rank_fields": ["title", "text"]}
    )
    assert served.models["words"].calls[1:] == [[(QUERY, "planet a")], [(QUERY, "red")]]


@pytest.mark.parametrize("field", [{"top_k": 2}, {"truncation": True, "top_k": None, "top_n": 2}])
def test_voyage(ask, field):
    answer = ask("/v1/rerank", query=QUERY, documents=DOCUMENTS, return_documents=True, **field).json()
    assert answer == {
        "object": "list",
        "data": [
            {"index": 1, "relevance_score": 2.0, "document": "a red planet"},
            {"index": 0, "relevance_score": 1.0, "document": "red"},
        ],
        "model": "words",
        "usage": {"total_tokens": 8},
    }


def test_tei_gets_a_bare_list_and_scores_from_0_to_1_unless_it_asks_for_raw_ones(ask):
    answer = ask(query=QUERY, texts=DOCUMENTS, return_text=True).json()
    assert [(entry["index"], entry["text"]) for entry in answer] == [
        (1, "a red planet"),
        (0, "red"),
        (2, "a planet"),
    ]
    assert [entry["score"] for entry in answer] == pytest.approx(
        [1 / (1 + math.exp(-(score - 1) / 2)) for score in (2, 1, 1)]
    )
    raw = ask(query=QUERY, texts=DOCUMENTS, raw_scores=True).json()
    assert raw == [{"index": 1, "score": 2.0}, {"index": 0, "score": 1.0}, {"index": 2, "score": 1.0}]


def test_high_scores_that_are_all_1_from_0_to_1_keep_their_order(client):
    request = {"query": "a", "documents": ["a " * count for count in (90, 95, 100)], "raw_scores": False}
    service = client()
    found = service.post("/rerank", json=request).json()["results"]
    assert [(each["index"], each["relevance_score"]) for each in found] == [(2, 1.0), (1, 1.0), (0, 1.0)]
    (best,) = service.post("/rerank", json={**request, "top_n": 1}).json()["results"]
    assert best["index"] == 2


def test_scores_from_0_to_1_on_request_in_every_shape(ask):
    (result,) = ask(query=QUERY, documents=["x"], raw_scores=False).json()["results"]
    assert result["relevance_score"] == pytest.approx(1 / (1 + math.exp(0.5)))


@pytest.mark.parametrize(
    ("request_", "code", "detail"),
    [
        ({"documents": ["x"]}, 422, "query: Field required"),
        ({"query": " ", "documents": ["x"]}, 422, "query: String should have at least 1 character"),
        ({"query": "q" * 2001, "documents": ["x"]}, 422, "query: String should have at most 2000 characters"),
        ({"query": "q"}, 422, "give documents, or texts in TEI's shape"),
        ({"query": "q", "documents": ["x"], "texts": ["x"]}, 422, "give documents, or texts"),
        ({"query": "q", "documents": []}, 422, "documents: List should have at least 1 item"),
        ({"query": "q", "documents": "x"}, 422, "documents: Input should be a valid list"),
        ({"query": "q", "documents": ["x", 7]}, 422, "documents.1: Input should be a string or an object"),
        (
            {"query": "q", "documents": ["x", {"title": "x"}]},
            422,
            "documents.1: 'text' should be a string, and is nothing; rank_fields",
        ),
        (
            {"query": "q", "documents": [{"n": 3}], "rank_fields": ["n"]},
            422,
            "documents.0: 'n' should be a string, and is int",
        ),
        ({"query": "q", "texts": [{"text": "x"}]}, 422, "texts.0: Input should be a valid string"),
        ({"query": "q", "documents": ["x"], "top_n": 0}, 422, "top_n: Input should be greater than or equal"),
        ({"query": "q", "documents": ["x"], "top_k": 0}, 422, "top_k: Input should be greater than or equal"),
        ({"query": "q", "documents": ["x"] * 5}, 422, "documents: 5, more than 4; send fewer"),
        ({"query": "q", "documents": ["x" * 51]}, 422, "documents: 51 characters, more than 50"),
        (
            {"query": "q", "documents": ["x"], "model": "gpt"},
            404,
            "model: 'gpt' is not served here, words is",
        ),
        ({"query": "q", "documents": ["fail"]}, 500, "words cannot score this request: this checkpoint"),
    ],
)
def test_a_request_that_cannot_be_used_is_answered_with_the_place_and_the_mend(ask, request_, code, detail):
    answer = ask(**request_)
    assert answer.status_code == code
    assert answer.json()["detail"].startswith(detail)


@pytest.mark.parametrize(
    ("body", "code", "detail"),
    [
        (b"{", 422, "1: JSON decode error"),
        (b"[]", 422, "the body should be a JSON object, sent with Content-Type: application/json"),
        (b"", 422, "the body should be a JSON object"),
        (b"[" * 100_000, 400, "There was an error parsing the body"),
        (b'{"query": "\\ud800", "documents": ["x"]}', 422, "query: "),
        (b'{"query": "q", "documents": ["\\ud800"]}', 422, "documents.0.string: "),
        (b'{"query": "q", "documents": [{"text": "x", "a": "\\ud800"}]}', 422, "documents.0.object: "),
        (b" " * (12 * 50 + 2**20 + 1), 413, "a request may have 1,049,176 bytes; send less"),
        (iter([b" " * 2**19] * 3), 413, "a request may have 1,049,176 bytes; send less"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(client, body, code, detail):
    served = client(limits=Limits(max_characters=50))
    answer = served.post("/rerank", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == code
    assert answer.json()["detail"].startswith(detail)


def test_a_body_that_is_not_sent_as_json_is_told_how(client):
    body = b'{"query": "red", "documents": ["red"]}'
    answer = client().post(
        "/rerank", content=body, headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert answer.status_code == 422
    assert answer.json()["detail"].endswith("sent with Content-Type: application/json")


def test_a_body_in_chunks_is_read(client):
    chunks = iter([b'{"query": "red", "docu', b'ments": ["red"]}'])
    answer = client().post("/rerank", content=chunks, headers={"Content-Type": "application/json"})
    assert answer.json()["results"] == [{"index": 0, "relevance_score": 1.0}]


def test_several_checkpoints_are_listed_and_asked_by_their_names(client):
    served = client(names=("small", "large"))
    assert [model["id"] for model in served.get("/v1/models").json()["data"]] == ["small", "large"]
    for name, asked in ((None, "small"), ("large", "large")):
        answer = served.post("/rerank", json={"model": name, "query": QUERY, "documents": DOCUMENTS})
        assert answer.json()["model"] == asked
    assert [len(model.calls) for model in served.models.values()] == [2, 2]


def test_the_interface_is_described(client):
    served = client()
    assert list(served.get("/openapi.json").json()["paths"]) == [
        "/rerank",
        "/v1/models",
        "/health",
        "/metrics",
    ]
    assert "swagger" in served.get("/docs").text
