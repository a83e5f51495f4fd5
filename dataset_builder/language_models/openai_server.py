"""A server that speaks OpenAI's API: OpenAI itself, vLLM, Ollama, llama.cpp. Address, key, clients, errors."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import openai

from dataset_builder.language_models.api_key import read_key
from dataset_builder.language_models.chat import ChatRequest
from dataset_builder.language_models.faults import KEY_VARIABLE
from retrieval.errors import InputError

ADDRESS_VARIABLE = "OPENAI_BASE_URL"
EXAMPLE = "http://localhost:8000/v1"
_ENDPOINTS = ("/chat/completions", "/completions", "/models")
_NO_API = ("", "/api")


def _no_fields(_: ChatRequest) -> Mapping[str, object]:
    return {}


@dataclass(frozen=True, slots=True)
class OpenAIServer:
    """Where the model is and how patient we are.

    `base_url`: "" for OpenAI. `timeout`: seconds without a byte. `max_retries`: of one request, after 5xx, time-outs
    and lost connections; a server that is busy is waited for. The key comes from the environment only; another server
    than OpenAI may do without. `own_fields`: what this server understands beyond the protocol, for each request.
    """

    base_url: str = ""
    timeout: float = 120.0
    max_retries: int = 8
    own_fields: Callable[[ChatRequest], Mapping[str, object]] = _no_fields

    @property
    def name(self) -> str:
        """For messages, and for what is remembered of this server."""
        return self.base_url or os.environ.get(ADDRESS_VARIABLE) or "OpenAI"

    @property
    def key_variable(self) -> str:
        """Where the key is."""
        return KEY_VARIABLE

    def check(self) -> None:
        """Find what is wrong with address and key before anything is sent.

        Raises:
            InputError: for an address that is none, or a key that is missing or cannot be sent.
        """
        self._key()
        if self.base_url:
            _check_address("--base_url", self.base_url)
        elif os.environ.get(ADDRESS_VARIABLE):
            _check_address(ADDRESS_VARIABLE, os.environ[ADDRESS_VARIABLE])

    def client(self) -> openai.OpenAI:
        """A client for one call at a time, which retries by itself."""
        return openai.OpenAI(
            api_key=self._key(),
            base_url=self.base_url or None,
            timeout=self.timeout,
            max_retries=self.max_retries,
        )

    def async_client(self) -> openai.AsyncOpenAI:
        """A client for many calls at once, which leaves retries to `Asker`."""
        return openai.AsyncOpenAI(
            api_key=self._key(), base_url=self.base_url or None, timeout=self.timeout, max_retries=0
        )

    def _key(self) -> str:
        key = read_key((KEY_VARIABLE,))
        if not key and not self.base_url:
            raise InputError(
                f"{KEY_VARIABLE} is not set; export it, or give --base_url of a server without keys"
            )
        return key or "none"


def _check_address(name: str, address: str) -> None:
    """Raises InputError for an address that no client can use."""
    if re.search(r"[\s“”‘’\"'`<>]", address):
        raise InputError(f"{name} {address!r} holds blanks or quotation marks; give an address as {EXAMPLE}")
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InputError(f"{name} {address!r}: {error}; give an address as {EXAMPLE}") from None
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise InputError(f"{name} {address!r} does not begin with http:// or https://, as {EXAMPLE} does")
    if not host or port == 0 or parts.netloc.endswith(":"):
        raise InputError(f"{name} {address!r} has no host, or no port after its colon; give {EXAMPLE}")
    if parts.query or parts.fragment:
        raise InputError(f"{name} {address!r} goes on after its path; give an address as {EXAMPLE}")
    path = parts.path.rstrip("/")
    endpoint = next((each for each in _ENDPOINTS if path.endswith(each)), "")
    if endpoint or path in _NO_API:
        meant = path.removesuffix(endpoint) if endpoint else "/v1"
        raise InputError(
            f"{name} {address!r} is not where the API begins; perhaps {parts.scheme}://{parts.netloc}{meant} is"
        )
