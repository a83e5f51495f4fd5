"""Batches of other providers: their official clients against stand-ins over HTTP."""

import json

import pytest
from anthropic_server import AnthropicServer
from google_server import GoogleServer
from provider_stand_in import ProviderStandIn

from dataset_builder.language_models.access import TeacherAccess
from dataset_builder.language_models.answer_cache import AnswerCache
from dataset_builder.language_models.anthropic_batches import AnthropicProvider, message_params, read_message
from dataset_builder.language_models.batch import BatchModel
from dataset_builder.language_models.budget import Budget, BudgetReached
from dataset_builder.language_models.chat import ChatAnswer, ChatRequest, Message
from dataset_builder.language_models.faults import Meaning, ServerFault
from dataset_builder.language_models.google_batches import (
    GoogleProvider,
    generate_content_request,
    read_response,
)
from dataset_builder.language_models.prices import Price
from dataset_builder.teachers.listwise import ListwiseSettings
from dataset_builder.teachers.llm_teacher import LLMTeacher
from retrieval.errors import InputError
from tests.teachers.kills import Killed, kill_at

SERVERS = {"anthropic": AnthropicServer, "google": GoogleServer}
PROVIDERS = {"anthropic": AnthropicProvider, "google": GoogleProvider}
MODELS = {"anthropic": "anthropic/claude-haiku-4-5", "google": "google/gemini-2.5-flash"}
KEYS = {"anthropic": "ANTHROPIC_API_KEY", "google": "GEMINI_API_KEY"}
ADDRESSES = {"anthropic": "ANTHROPIC_BASE_URL", "google": "GOOGLE_GEMINI_BASE_URL"}


@pytest.fixture(params=SERVERS)
def name(request):
    return request.param


@pytest.fixture
def stand_in(name, monkeypatch):
    """A stand-in that runs where the provider's client looks for its API."""
    stand_in = ProviderStandIn()
    monkeypatch.setenv(KEYS[name], stand_in.key)
    with SERVERS[name](stand_in) as server:
        monkeypatch.setenv(ADDRESSES[name], server.url)
        yield stand_in


@pytest.fixture
def settings(name):
    return ListwiseSettings(model=MODELS[name])


@pytest.fixture
def teacher(name, settings, tmp_path):
    def make(max_cost=None, sleep=lambda seconds: None):
        cache = AnswerCache(tmp_path / "answers")
        budget = Budget(cache, settings.model, Price(1.0, 5.0), max_cost)
        provider = PROVIDERS[name](timeout=60.0, max_retries=2)
        return LLMTeacher(
            settings, BatchModel(cache, budget, provider, tmp_path / "batches", 0.0, sleep=sleep)
        )

    return make


def orders(labelled):
    return [example.teacher_order for example in labelled]


def statuses(labelled):
    return [example.label_status for example in labelled]


def test_two_windows_take_two_batches_and_give_the_same_orders(teacher, stand_in, pools, expected, settings):
    labelling = teacher()
    assert orders(labelling.label(pools(3))) == [expected(example, settings) for example in pools(3)]
    assert len(stand_in.batches) == 2
    assert set(stand_in.answered.values()) == {1}
    paid = labelling.model.cache.paid[(settings.model, True)]
    assert (paid.answers, paid.prompt_tokens, paid.completion_tokens) == (6, 600, 180)
    assert labelling.model.budget.spent == pytest.approx((600 * 1.0 + 180 * 5.0) / 1e6 / 2)


@pytest.mark.parametrize("poll", [1, 2, 3])
def test_a_restart_goes_on_with_the_batches_it_submitted(teacher, stand_in, pools, expected, settings, poll):
    stand_in.polls = 2
    with pytest.raises(Killed):
        list(teacher(sleep=kill_at(poll)).label(pools(3)))
    assert orders(teacher().label(pools(3))) == [expected(example, settings) for example in pools(3)]
    assert len(stand_in.batches) == 2
    assert set(stand_in.asked.values()) == {1}


def test_a_kill_right_after_the_batch_was_created_does_not_create_it_again(
    teacher, stand_in, pools, tmp_path, settings
):
    stand_in.polls = 2
    with pytest.raises(Killed):
        list(teacher(sleep=kill_at(1)).label(pools(3)))
    # Somebody else's batch, as large as ours.
    other = teacher().model
    provider_batches = other.provider.batches
    bodies = {
        ChatRequest(settings.model, (Message("user", f"{number}"),)).key: {
            "model": settings.model,
            "messages": [{"role": "user", "content": f"{number}"}],
        }
        for number in range(3)
    }
    file = tmp_path / "other.requests.jsonl"
    file.write_text(
        "".join(json.dumps({"custom_id": key, "body": body}) + "\n" for key, body in bodies.items())
    )
    with provider_batches() as batches:
        batches.create(file, bodies)
    state = tmp_path / "batches" / "batches.json"
    (submitted,) = json.loads(state.read_text())
    state.write_text(json.dumps([{**submitted, "state": "submitting", "batch_id": ""}]))
    assert statuses(teacher().label(pools(3))) == ["ok"] * 3
    assert len(stand_in.batches) == 3


def test_a_batch_whose_creation_was_not_answered_is_found_not_created_again(teacher, stand_in, pools):
    stand_in.lost_creations = 1
    assert statuses(teacher().label(pools(3))) == ["ok"] * 3
    assert len(stand_in.batches) == 2


def test_what_expired_or_failed_for_now_is_asked_again_and_the_rest_is_kept(
    teacher, stand_in, pools, expected, settings
):
    stand_in.script = ["expired", "overloaded", None]
    assert orders(teacher().label(pools(3))) == [expected(example, settings) for example in pools(3)]
    assert set(stand_in.answered.values()) == {1}


def test_a_rejected_request_drops_its_pool_and_no_other(teacher, stand_in, pools):
    stand_in.script = [None, "invalid", None]
    assert statuses(teacher().label(pools(3))) == ["ok", "rejected", "ok"]


def test_a_refusal_is_asked_again(teacher, stand_in, pools):
    stand_in.script = ["refusal"]
    assert statuses(teacher().label(pools(2))) == ["ok"] * 2
    assert len(stand_in.batches) == 3


def test_a_parameter_that_a_model_refuses_is_found_out_once(teacher, stand_in, pools):
    stand_in.refuses = "temperature"
    assert statuses(teacher().label(pools(2))) == ["ok"] * 2
    assert len(stand_in.batches) == 3


def test_a_round_beyond_the_cap_is_not_submitted(teacher, stand_in, pools):
    with pytest.raises(BudgetReached, match="more are planned"):
        list(teacher(max_cost=1e-5).label(pools(2)))
    assert stand_in.batches == []


def test_a_key_that_is_refused_is_named_but_not_shown(teacher, stand_in, pools, name, monkeypatch):
    monkeypatch.setenv(KEYS[name], "another-key-0987654321")
    with pytest.raises(InputError, match=f"does not accept the key in {KEYS[name]}") as refused:
        list(teacher().label(pools(1)))
    assert "another-key" not in str(refused.value)


def test_a_model_s_name_chooses_the_provider_unless_there_is_an_address(name, monkeypatch):
    monkeypatch.delenv(KEYS[name], raising=False)
    assert isinstance(TeacherAccess().batch_provider(MODELS[name]), PROVIDERS[name])
    at_home = TeacherAccess(base_url="http://localhost:8000/v1").batch_provider(MODELS[name])
    assert at_home.name == "http://localhost:8000/v1"
    with pytest.raises(InputError, match=f"{KEYS[name]}.* is not set; export it"):
        TeacherAccess().batch_provider(MODELS[name]).check()


def test_a_client_that_is_not_installed_is_named_with_the_command(name, stand_in, monkeypatch):
    package, module = {"anthropic": ("anthropic", "anthropic"), "google": ("google-genai", "google.genai")}[
        name
    ]
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(InputError, match=f"needs the package {package}: pip install {package}"):
        PROVIDERS[name]().check()


def test_a_model_costs_the_same_whether_its_provider_is_named():
    assert Price.of("anthropic/claude-haiku-4-5-20251001") == Price.of("claude-haiku-4-5") == Price(1.0, 5.0)
    assert Price.of("google/gemini-2.5-flash") == Price(0.3, 2.5)
    assert Price.of("google/gemma-3-27b-it") is None


# Requests and answers in each one's form.
BODY = {
    "model": "anthropic/claude-haiku-4-5",
    "messages": [{"role": "system", "content": "You rank."}, {"role": "user", "content": "[1] a\n[2] b"}],
    "temperature": 0.0,
}


def test_a_request_in_anthropic_s_form():
    assert message_params(BODY) == {
        "model": "claude-haiku-4-5",
        "max_tokens": 4096,
        "temperature": 0.0,
        "system": "You rank.",
        "messages": [{"role": "user", "content": "[1] a\n[2] b"}],
    }
    thinking = {"type": "enabled", "budget_tokens": 2000}
    schema = {"type": "object"}
    wanted = {"thinking": thinking, "effort": "low", "response_format": {"json_schema": {"schema": schema}}}
    params = message_params({**BODY, **wanted})
    assert (params["max_tokens"], params["thinking"]) == (6096, thinking)
    assert params["output_config"] == {"effort": "low", "format": {"type": "json_schema", "schema": schema}}


@pytest.mark.parametrize("message", [None, {}, {"content": None}, "busy"])
def test_what_is_no_message_of_anthropic_s_is_asked_again(message):
    with pytest.raises(ServerFault, match="no message but") as fault:
        read_message(message, ChatRequest("m", ()))
    assert fault.value.meaning is Meaning.TRANSIENT


def test_tokens_that_anthropic_does_not_count_are_estimated():
    request = ChatRequest("m", (Message("user", "x" * 400),))
    answer = read_message({"content": [{"type": "text", "text": "[1] > [2]"}], "usage": None}, request)
    assert answer.prompt_tokens > 50
    assert answer.completion_tokens > 1


def test_an_answer_that_was_cut_off_says_so():
    cut = read_message({"content": [], "stop_reason": "max_tokens", "usage": {}}, ChatRequest("m", ()))
    assert isinstance(cut, ChatAnswer) and cut.finish_reason == "length"


def test_a_request_in_google_s_form():
    assert generate_content_request(BODY) == {
        "systemInstruction": {"parts": [{"text": "You rank."}]},
        "contents": [{"role": "user", "parts": [{"text": "[1] a\n[2] b"}]}],
        "generationConfig": {"temperature": 0.0},
    }
    schema = {"type": "object"}
    wanted = {
        "max_output_tokens": 9,
        "thinking_budget": 0,
        "response_format": {"json_schema": {"schema": schema}},
    }
    assert generate_content_request({**BODY, **wanted})["generationConfig"] == {
        "temperature": 0.0,
        "maxOutputTokens": 9,
        "thinkingConfig": {"thinkingBudget": 0},
        "responseMimeType": "application/json",
        "responseJsonSchema": schema,
    }


@pytest.mark.parametrize("response", [None, {}, {"candidates": []}, {"candidates": [None]}, "busy"])
def test_what_is_no_response_of_google_s_is_asked_again(response):
    with pytest.raises(ServerFault, match="no candidate but") as fault:
        read_response(response, ChatRequest("m", ()))
    assert fault.value.meaning is Meaning.TRANSIENT


@pytest.mark.parametrize(
    ("finish", "outcome"),
    [("MAX_TOKENS", ("", "length")), ("SAFETY", ("declined: SAFETY", "content_filter"))],
)
def test_why_google_s_model_stopped_is_kept(finish, outcome):
    answer = read_response({"candidates": [{"finishReason": finish}]}, ChatRequest("m", ()))
    assert (answer.refusal, answer.finish_reason) == outcome
