"""Anthropic's and Google's live endpoints for OpenAI's protocol, as the README names them: their paths and errors."""

import pytest
from llm_server import Handler, StandInServer

from dataset_builder.language_models.budget import Budget
from dataset_builder.language_models.live import LiveModel
from dataset_builder.language_models.openai_server import OpenAIServer
from dataset_builder.teachers.listwise import ListwiseSettings
from dataset_builder.teachers.llm_teacher import LLMTeacher
from retrieval.errors import InputError
from tests.teachers.llm_stand_in import StandIn

KEY = "endpoint-key-1234567890"


class AnthropicEndpoint(Handler):
    """It ignores `response_format`."""

    path_of_api = "/v1/"

    def do_POST(self):
        if self.headers["Authorization"] != f"Bearer {KEY}":
            self._json(*self.denied())
        elif self.path == f"{self.path_of_api}chat/completions":
            self.path = "/v1/chat/completions"
            super().do_POST()
        else:
            self._json(404, {"error": {"message": f"no {self.path}", "code": "not_found"}})

    def denied(self):
        error = {"message": "invalid x-api-key", "type": "authentication_error", "code": None, "param": None}
        return 401, {"error": error}

    def _chat(self, body):
        body.pop("response_format", None)
        super()._chat(body)


class GoogleEndpoint(AnthropicEndpoint):
    """Its errors come as a list."""

    path_of_api = "/v1beta/openai/"

    def denied(self):
        error = {
            "code": 400,
            "message": "API key not valid. Please pass a valid API key.",
            "status": "INVALID_ARGUMENT",
        }
        detail = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
        return 400, [{"error": {**error, "details": [detail]}}]

    def _chat(self, body):
        Handler._chat(self, body)


@pytest.fixture(params=[AnthropicEndpoint, GoogleEndpoint])
def teacher(request, cache, monkeypatch):
    def make(model, answer_format="text"):
        settings = ListwiseSettings(model, answer_format=answer_format)
        address = f"http://127.0.0.1:{server.server_address[1]}{request.param.path_of_api}"
        live = LiveModel(cache, Budget(cache, model, None), OpenAIServer(address, timeout=30.0))
        return LLMTeacher(settings, live)

    class Server(StandInServer):
        handler = request.param

    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with Server(StandIn()) as server:
        yield make


@pytest.mark.parametrize("answer_format", ["text", "auto"])
def test_pools_are_labelled_whether_or_not_it_keeps_to_a_schema(teacher, pools, answer_format):
    labelled = teacher("gemini-2.5-flash", answer_format).label(pools(3))
    assert [example.label_status for example in labelled] == ["ok"] * 3


def test_a_key_that_is_refused_ends_the_build_at_once(teacher, pools, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "another-key-0987654321")
    with pytest.raises(InputError, match="does not accept the key in OPENAI_API_KEY"):
        list(teacher("gemini-2.5-flash").label(pools(1)))
