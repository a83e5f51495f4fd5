"""The key, browsers' questions, metrics, names and revisions: who may ask for what."""

import asyncio
import os
import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families

from retrieval.errors import InputError
from serving.app import Access
from serving.checkpoints import Loading, load_checkpoints, served_names
from serving.service import Limits
from tests.serving.conftest import ROOT, serve_command

KEY = "s3cret"
REQUEST = {"query": "red", "documents": ["red", "blue"]}


def test_without_the_key_only_health_answers(client):
    served = client(access=Access(KEY))
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {KEY}"}):
        for path in ("/rerank", "/v1/models", "/metrics", "/docs", "/openapi.json"):
            answer = served.request(
                "POST" if path == "/rerank" else "GET", path, headers=headers, json=REQUEST
            )
            assert (answer.status_code, KEY in answer.text) == (401, False)
    assert served.get("/health").status_code == 200
    assert served.post("/rerank", json=REQUEST, headers={"Authorization": f"bearer {KEY}"}).status_code == 200


def test_a_browser_s_page_may_ask_where_its_origin_is_named(client):
    served = client(access=Access(KEY, ["https://mine.example"]))
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    for origin, allowed in (
        ("https://mine.example", "https://mine.example"),
        ("https://other.example", None),
    ):
        answer = served.options("/rerank", headers={"Origin": origin, **asked})
        assert answer.headers.get("access-control-allow-origin") == allowed
    refused = served.post("/rerank", json=REQUEST, headers={"Origin": "https://mine.example"})
    assert (refused.status_code, "access-control-allow-origin" in refused.headers) == (401, True)


def test_a_key_that_is_not_there_ends_it_with_one_line_and_code_2():
    environment = {name: value for name, value in os.environ.items() if name != "TWOLAR_TEST_KEY"}
    command = serve_command("absent", "--api_key_env", "TWOLAR_TEST_KEY")
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "error: --api_key_env TWOLAR_TEST_KEY: is not set; export the key in it, or leave the flag out\n"
    )


def test_metrics_count_requests_and_what_was_scored(client):
    served = client()
    served.post("/rerank", json=REQUEST)
    served.post("/rerank", json={})
    served.get("/made/up")
    families = text_string_to_metric_families(served.get("/metrics").text)
    samples = {
        (each.name, *(each.labels[label] for label in ("path", "code") if label in each.labels)): each.value
        for family in families
        for each in family.samples
    }
    assert samples["twolar_requests_total", "/rerank", "200"] == 1
    assert samples["twolar_requests_total", "/rerank", "422"] == 1
    assert samples["twolar_requests_total", "other", "404"] == 1
    assert samples["twolar_documents_total",] == 2
    assert samples["twolar_tokens_total",] == 4
    assert samples["twolar_group_requests_count",] == 1
    assert samples["twolar_request_seconds_count", "/rerank"] == 2


def test_a_request_too_many_is_refused_and_told_to_come_back(client):
    served = client(limits=Limits(max_waiting=0))
    answer = served.post("/rerank", json=REQUEST)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json()["detail"] == "0 requests wait; try again later"


def test_what_still_waits_at_the_end_is_answered_with_503(client):
    served = client()
    served.scorer.end()
    answer = served.post("/rerank", json=REQUEST)
    assert (answer.status_code, answer.json()["detail"]) == (503, "the service ends; ask another")


def test_work_for_a_client_that_has_gone_is_given_up(client):
    served = client()
    model = served.models["words"]
    model.gate.clear()
    sent = []

    async def ask_and_go():
        messages = [
            {"type": "http.request", "body": b'{"query": "red", "documents": ["red"]}', "more_body": False},
            {"type": "http.disconnect"},
        ]

        async def receive():
            while len(messages) == 1 and len(model.calls) < 2:  # the first call warmed up
                await asyncio.sleep(0.01)
            return messages.pop(0)

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http", "method": "POST", "path": "/rerank", "raw_path": b"/rerank", "query_string": b"",
            "headers": [(b"content-type", b"application/json")], "http_version": "1.1",
        }  # fmt: skip
        await served.app(scope, receive, send)

    asyncio.run(ask_and_go())
    assert sent[0]["status"] == 499
    assert served.service.waiting == 0
    model.gate.set()


@pytest.mark.parametrize(
    ("specs", "name", "found"),
    [
        (["org/model"], None, {"org/model": "org/model"}),
        (["/some/where/model"], None, {"model": "/some/where/model"}),
        (["/some/where/model"], "mine", {"mine": "/some/where/model"}),
        (["a=org/model", "b=/x/model"], None, {"a": "org/model", "b": "/x/model"}),
    ],
)
def test_a_checkpoint_s_name_is_not_its_path(specs, name, found):
    assert served_names(specs, name) == found


def test_names_and_revisions_that_mean_two_things_are_refused(tmp_path):
    for specs, name, message in (
        (["/x/model", "/y/model"], None, "'model' is there already"),
        (["a=x", "b=y"], "mine", "--served_model_name names one checkpoint"),
    ):
        with pytest.raises(InputError, match=message):
            served_names(specs, name)
    for names, loading, message in (
        ({"m": "org/model"}, Loading(trust_remote_code=True), "pin it with --revision COMMIT"),
        ({"m": "org/a", "n": "org/b"}, Loading(revision="main"), "--model names 2"),
        ({"m": str(tmp_path)}, Loading(revision="main"), "--model names 0"),
        ({"m": str(tmp_path)}, Loading(), "cannot be loaded"),
    ):
        with pytest.raises(InputError, match=message):
            load_checkpoints(names, loading)
