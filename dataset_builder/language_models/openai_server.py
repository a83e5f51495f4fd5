"""A server that speaks OpenAI's API: OpenAI itself, vLLM, Ollama, llama.cpp. Address, key, clients, errors."""

import os
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

import openai

from dataset_builder.language_models.faults import KEY_VARIABLE, OUT_OF_MONEY, ServerFault
from retrieval.errors import InputError

ADDRESS_VARIABLE = "OPENAI_BASE_URL"
EXAMPLE = "http://localhost:8000/v1"
_ENDPOINTS = ("/chat/completions", "/completions", "/models")
_NO_API = ("", "/api")


@dataclass(frozen=True, slots=True)
class OpenAIServer:
    """Where the model is and how patient we are.

    `base_url`: "" for OpenAI. `timeout`: seconds without a byte. `max_retries`: of one request, after 5xx, time-outs
    and lost connections; a server that is busy is waited for. The key comes from the environment only; another server
    than OpenAI may do without.
    """

    base_url: str = ""
    timeout: float = 120.0
    max_retries: int = 8

    @property
    def name(self) -> str:
        """For messages, and for what is remembered of this server."""
        return self.base_url or os.environ.get(ADDRESS_VARIABLE) or "OpenAI"

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
        key = os.environ.get(KEY_VARIABLE, "")
        if not key and not self.base_url:
            raise InputError(
                f"{KEY_VARIABLE} is not set; export it, or give --base_url of a server without keys"
            )
        odd = re.search(r"[^!-~]|[\"'`]", key)
        if odd:
            raise InputError(
                f"{KEY_VARIABLE} holds {_described(odd[0])} at place {odd.start() + 1} of {len(key)}; "
                "export the key alone, as the server's page shows it"
            )
        return key or "none"


def _described(character: str) -> str:
    if character in "\r\n":
        return "a line's end"
    return "a blank" if character.isspace() else f"the character {character!r}"


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


def fatal_error(fault: ServerFault, server: OpenAIServer) -> InputError:
    """What the user can do about an error that concerns every request."""
    if fault.status == 401:
        return InputError(
            f"{server.name} does not accept the key in {KEY_VARIABLE}; check it and the project's rights"
        )
    if fault.status == 402 or fault.codes & OUT_OF_MONEY:
        return InputError(
            f"{server.name} has no quota left for this key ({fault.words}); all answers are kept: pay or raise the "
            "quota, then run the same command again"
        )
    if 400 <= fault.status < 500 and fault.status not in (408, 409, 425, 429):
        return InputError(f"{server.name} does not serve such requests ({fault.status}): {fault.words}")
    return InputError(
        f"{server.name} still fails after {server.max_retries} retries ({fault.words}); all answers are kept: "
        "run the same command again later"
    )
