"""What a server's errors mean, in the words and forms of real ones."""

import pytest

from dataset_builder.language_models.chat import ChatRequest, Message
from dataset_builder.language_models.completion import read_completion
from dataset_builder.language_models.faults import ServerFault, fault_in

REQUEST = ChatRequest("m", (Message("user", "x" * 400),), 3)


def body(**changes):
    message = {"role": "assistant", "content": "[2] > [1]"}
    return {"choices": [{"message": message, "finish_reason": "stop"}], **changes}


ERRORS = [
    (400, {"error": {"message": "Invalid prompt", "code": "invalid_prompt"}}, "rejected"),
    (422, {"detail": [{"msg": "content: bad character"}]}, "rejected"),
    (400, {"error": {"message": "filtered", "code": "content_filter"}}, "refused"),
    (400, {"error": {"code": "x", "innererror": {"code": "ResponsibleAIPolicyViolation"}}}, "refused"),
    (403, {"error": {"message": "Your input was flagged", "code": 403}}, "refused"),
    (400, {"error": {"message": "too big", "code": "context_length_exceeded"}}, "too long"),
    (400, {"error": {"message": "prompt is too long: 210000 tokens > 200000 maximum"}}, "too long"),
    (400, {"object": "error", "message": "This model's maximum context length is 4096 tokens."}, "too long"),
    (400, {"error": {"message": "the request exceeds the available context size"}}, "too long"),
    (
        400,
        {"error": "The input token count (9) exceeds the maximum number of tokens allowed (8)."},
        "too long",
    ),
    (413, "<html>Request Entity Too Large</html>", "too long"),
    (429, {"error": {"message": "Request too large for gpt-4o on tokens per min (TPM)"}}, "too long"),
    (429, {"error": {"message": "Rate limit reached on tokens per min (TPM): Limit 30000"}}, "busy"),
    (529, {"error": {"type": "overloaded_error", "message": "Overloaded"}}, "busy"),
    (429, {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}, "fatal"),
    (402, {"error": {"message": "Insufficient Balance"}}, "fatal"),
    (401, {"error": {"message": "bad key"}}, "fatal"),
    (403, {"error": {"message": "country not supported"}}, "fatal"),
    (404, "<html>404</html>", "fatal"),
    (500, {"error": {"message": "internal"}}, "transient"),
    (408, "", "transient"),
    (200, {"error": {"message": "upstream", "code": 502}}, "transient"),
    (200, {"error": {"message": "slow down", "code": 429}}, "busy"),
    (200, [{"error": {"message": "bad argument", "code": 400, "status": "INVALID_ARGUMENT"}}], "rejected"),
]


@pytest.mark.parametrize(("status", "sent", "meaning"), ERRORS)
def test_an_error_means_what_the_server_means_by_it(status, sent, meaning):
    assert fault_in(sent, status).meaning == meaning


def test_the_servers_own_words_are_kept_and_no_key_is(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "a-key-of-another-form")
    assert fault_in("<html><title>Bad gateway</title>\n nginx</html>", 502).words == "Bad gateway nginx"
    words = fault_in({"error": {"message": "wrong: sk-abcdefgh123, a-key-of-another-form"}}, 400).words
    assert words == "wrong: KEY, KEY"


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"prompt_tokens": 7, "completion_tokens": 5}, (7, 5)),
        ({"prompt_tokens": 7, "completion_tokens": None}, (7, 3)),
        ({"prompt_tokens": True, "completion_tokens": -1}, (110, 3)),
        ({}, (110, 3)),
        (None, (110, 3)),
        ("none", (110, 3)),
    ],
)
def test_missing_counts_are_estimated(usage, tokens):
    answer = read_completion(body(usage=usage), REQUEST)
    assert (answer.prompt_tokens, answer.completion_tokens) == tokens


def test_of_a_list_of_parts_the_text_is_read():
    parts = [{"type": "thinking", "thinking": "[1]"}, {"type": "text", "text": "[2] > "}, "[1]", None]
    sent = body(choices=[{"message": {"content": parts}}])
    assert read_completion(sent, REQUEST).text == "[2] > [1]"


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (body(choices=[None]), "no chat completion but"),
        (body(choices=None), "no chat completion but"),
        ([], "no chat completion but: []"),
        ({"error": {"message": "provider busy", "code": 502}}, "provider busy"),
        (body(choices=[{"message": {}, "error": {"message": "lost"}}]), "lost"),
    ],
)
def test_what_is_no_answer_is_a_fault_in_the_servers_words(sent, words):
    with pytest.raises(ServerFault, match=words.replace("[]", r"\[\]")):
        read_completion(sent, REQUEST)


def test_half_a_surrogate_can_be_written():
    sent = body(choices=[{"message": {"content": "[2] > [1] \ud83d"}}])
    assert read_completion(sent, REQUEST).text == "[2] > [1] ?"
