"""The one key that clients have to know, where the service has one."""

import os
import secrets

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from retrieval.errors import InputError

# Without the key: those who watch whether the service is up hold none. CORS's questions carry none either.
OPEN_PATHS = ("/health",)


def key_from_environment(variable: str) -> str:
    """The key in this environment variable.

    Raises:
        InputError: where it is empty, or no text that a header can carry; the key is not repeated.
    """
    key = os.environ.get(variable, "").strip()
    if not key:
        raise InputError(f"--api_key_env {variable}: is not set; export the key in it, or leave the flag out")
    if not (key.isascii() and key.isprintable()):
        raise InputError(f"--api_key_env {variable}: holds what no header can carry; use letters and digits")
    return key


class RequireKey:
    """ASGI middleware: 401 without `Authorization: Bearer KEY`. The key is compared in constant time."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app = app
        self._key = key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS or self._is_known(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        detail = "the key is missing or wrong; send the header Authorization: Bearer KEY"
        await JSONResponse({"detail": detail}, 401, {"WWW-Authenticate": "Bearer"})(scope, receive, send)

    def _is_known(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and secrets.compare_digest(given.strip().encode(), self._key)
