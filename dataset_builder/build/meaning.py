"""What a build's settings mean: two ways to write the same thing are one."""

import os
import re
from dataclasses import asdict

from dataset_builder.build.settings import BuildSettings

# Settings that name files, which count by their content.
FILES = ("corpus", "queries", "query_prompt", "exclude_queries", "exclude_sources")
# Settings that name models and indexes, which may lie in folders.
NAMES = (
    "bm25_index", "splade_index", "dragon_index", "encoder_index", "encoder", "splade", "dragon_context",
    "dragon_query", "monot5", "doct5query", "query_writer", "teacher",
)  # fmt: skip
# Of these a change makes no other dataset.
FREE = ("output_dir", "license", "num_shards", "earlier_draws")

_NAME = re.compile(r"(?P<kind>[a-z-]+:)?(?P<name>.*?)(?P<weight>=[\d.]+)?")


def setting_meanings(settings: BuildSettings) -> dict[str, object]:
    """The settings by name, in JSON's types; a folder or file of a model counts by its own name, not by its path."""
    meanings: dict[str, object] = {
        name: value for name, value in asdict(settings).items() if name not in (*FILES, *FREE)
    }
    named: dict[str, object] = {name: plain_name(getattr(settings, name)) for name in NAMES}
    return meanings | named | {"ensemble": [plain_name(member) for member in settings.ensemble]}


def plain_name(text: str) -> str:
    """`KIND:PATH=WEIGHT`, or what there is of it, with the path's last part; a name that is no path stays."""
    parts = _NAME.fullmatch(text)
    if parts is None:
        return text
    name = parts["name"]
    if os.path.exists(name):  # False where Path.exists() raises: a name longer than a file may have
        name = os.path.basename(os.path.abspath(name))
    return f"{parts['kind'] or ''}{name}{parts['weight'] or ''}"
