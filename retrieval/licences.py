"""What is known of the licences of corpora and models."""

from functools import cache
from pathlib import Path

import yaml

NOT_KNOWN = "see where it comes from"


def licence_of(name: str) -> str:
    """The licence of a corpus or model as cards show it."""
    return _licences().get(name, NOT_KNOWN)


def licence_id(name: str) -> str:
    """The same as the Hub writes it: `apache-2.0`, `cc-by-nc-4.0`."""
    return licence_of(name).lower().replace(" ", "-")


@cache
def _licences() -> dict[str, str]:
    licences: dict[str, str] = yaml.safe_load(Path(__file__).with_name("licences.yaml").read_text())
    return licences
