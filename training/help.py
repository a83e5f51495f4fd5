"""What `python train_hf.py --help` prints."""

import argparse
from dataclasses import MISSING, Field, fields
from typing import Any

from training.flags import DataArguments, ModelArguments, OwnTrainingArguments

SECTIONS = {"student": ModelArguments, "rankings": DataArguments, "training": OwnTrainingArguments}


def help_text(description: str) -> str:
    """Every flag of ours with its default, by what it is about."""
    parser = argparse.ArgumentParser(
        "python train_hf.py",
        "%(prog)s [SETTINGS.yaml] [--FLAG VALUE ...]",
        description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
    )
    for title, kind in SECTIONS.items():
        section = parser.add_argument_group(title)
        for own in fields(kind):
            section.add_argument(f"--{own.name}", metavar="VALUE", help=_described(own))
    everything = parser.add_argument_group("everything else")
    everything.add_argument("--help_all", action="store_true", help="list transformers.TrainingArguments too")
    return parser.format_help()


def _described(own: Field[Any]) -> str:
    text = str(own.metadata["help"]).replace("%", "%%")
    default = own.default_factory() if own.default_factory is not MISSING else own.default
    if default is MISSING:
        return f"{text} (required)"
    if default is None or "default:" in text:
        return text
    return f"{text} (default: {' '.join(default) if isinstance(default, list) else default})"
