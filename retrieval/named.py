"""`NAME=VALUE` on a command line."""

import os
import re
from pathlib import Path

_NAME = re.compile(r"[^/\\:]+")


def parse_named(spec: str) -> tuple[str, str]:
    """`NAME=VALUE`, or a bare value, which is its own name."""
    name, value = split_name(spec)
    return (Path(value).name if name is None else name, value)


def split_name(spec: str) -> tuple[str | None, str]:
    """Name and value of `NAME=VALUE`; no name where `spec` is a path with a `=` in it, such as `lr=5e-5/run.txt`."""
    name, _, value = spec.partition("=")
    is_named = value and _NAME.fullmatch(name) and not os.path.exists(spec)
    return (name, value) if is_named else (None, spec)
