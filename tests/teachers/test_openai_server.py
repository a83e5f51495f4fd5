"""What is wrong with an address or a key is said before anything is built."""

import pytest

from dataset_builder.language_models.openai_server import OpenAIServer
from retrieval.errors import InputError

GOOD = (
    "http://localhost:8000/v1",
    "https://api.deepseek.com/v1/",
    "https://generativelanguage.googleapis.com/v1beta/openai/",
    "http://[::1]:8080/v1",
    "https://proxy.example/llm",
)


@pytest.mark.parametrize("address", GOOD)
def test_an_address_that_may_be_right_is_taken(address, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    OpenAIServer(address).check()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("localhost:8000/v1", "does not begin with http"),
        ("api.example.com/v1", "does not begin with http"),
        ("http:/localhost/v1", "does not begin with http"),
        ("ftp://localhost/v1", "does not begin with http"),
        ("http://localhost:8000", "perhaps http://localhost:8000/v1 is"),
        ("http://localhost:8000/", "perhaps http://localhost:8000/v1 is"),
        ("http://localhost:11434/api", "perhaps http://localhost:11434/v1 is"),
        ("http://localhost:8000/v1/chat/completions", "perhaps http://localhost:8000/v1 is"),
        ("http://localhost:99999/v1", "Port out of range"),
        ("http://localhost:80a/v1", "Port could not be cast"),
        ("http://localhost:/v1", "no port after its colon"),
        ("http://:8000/v1", "has no host"),
        ("http://localhost:8000/v1?key=x", "goes on after its path"),
        ("“http://localhost:8000/v1”", "quotation marks"),
        ("http://localhost:8000/v1 ", "blanks"),
    ],
)
def test_an_address_that_cannot_be_right_is_named_with_a_mend(address, words):
    with pytest.raises(InputError, match=words) as caught:
        OpenAIServer(address).check()
    assert "\n" not in str(caught.value)


def test_the_address_in_the_environment_is_checked_too(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    monkeypatch.setenv("OPENAI_BASE_URL", "localhost:8000/v1")
    with pytest.raises(InputError, match="OPENAI_BASE_URL"):
        OpenAIServer().check()


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("“sk-secret”", "the character '“' at place 1 of 11"),
        ("sk-secret\n", "a line's end at place 10 of 10"),
        ("sk- secret", "a blank at place 4"),
        ("sk-secret\u00a0", "a blank at place 10"),
        ("'sk-secret'", "the character"),
        ("sk-sécret", "the character 'é'"),
    ],
)
def test_a_key_that_cannot_be_sent_is_said_but_not_shown(key, words, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    for address in ("", "http://localhost:8000/v1"):
        with pytest.raises(InputError, match=words) as caught:
            OpenAIServer(address).check()
        assert key.strip() not in str(caught.value)


def test_a_key_is_needed_by_openai_alone(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(InputError, match="export it"):
        OpenAIServer().check()
