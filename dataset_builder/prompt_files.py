"""The prompts in `prompts/`, which are files so that anyone can read and change them. The wording is our own."""

import hashlib
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_FOLDER = Path(__file__).parent / "prompts"
_TEMPLATES = Environment(
    loader=FileSystemLoader(_FOLDER), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


def render(template: str, **values: object) -> str:
    """The prompt in the file `prompts/{template}` with these values."""
    return _TEMPLATES.get_template(template).render(values)


@cache
def wording(template: str) -> str:
    """The text of a prompt's file."""
    return (_FOLDER / template).read_text(encoding="utf-8")


def version(*parts: object) -> str:
    """Tells wordings apart: the first 12 hexadecimal digits of the SHA-256 of files' texts and settings."""
    return hashlib.sha256("".join(map(str, parts)).encode()).hexdigest()[:12]
