"""A YAML or JSON file of settings, as flags: each value as it is written, so that `no` is a word and 1e-4 a number."""

import json
from collections.abc import Mapping
from pathlib import Path

import yaml

from retrieval.errors import InputError

# What means something by itself in a file whose values are read as they are written.
MEANINGS = ("tag:yaml.org,2002:null", "tag:yaml.org,2002:merge")

Settings = dict[str, object]


class AsWritten(yaml.SafeLoader):
    """Scalars are the text that stands in the file, and null is None; a name that stands twice is refused."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        """The names and values of a mapping."""
        names = [key.value for key, _ in node.value]
        doubled = [name for name in names if names.count(name) > 1]
        if doubled:
            raise yaml.constructor.ConstructorError(problem=f"{doubled[0]} stands twice{node.start_mark}")
        return super().construct_mapping(node, deep)


AsWritten.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag in MEANINGS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_settings(path: Path) -> Settings:
    """Names and values of a file.

    Raises:
        InputError: for a file that cannot be read.
    """
    if not path.is_file():
        raise InputError(f"arguments file {path} does not exist")
    try:
        settings = yaml.load(path.read_bytes(), Loader=AsWritten)
    except (yaml.YAMLError, ValueError, RecursionError, OSError) as error:
        raise InputError(f"arguments file {path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(settings, dict):
        raise InputError(f"arguments file {path} must hold names and values")
    return {str(name): value for name, value in settings.items()}


def as_flags(settings: Mapping[str, object]) -> list[str]:
    """Settings as a command line has them; null is the default, and a mapping JSON.

    Raises:
        InputError: for a value in a list that is not one text or number.
    """
    flags: list[str] = []
    for name, value in settings.items():
        if isinstance(value, list):
            if any(not isinstance(item, str) for item in value):
                raise InputError(f"{name}: each entry of its list must be a text or a number")
            flags += [f"--{name}", *value]
        elif isinstance(value, dict):
            flags.append(f"--{name}={json.dumps(_plain(value))}")
        elif value is not None:
            flags.append(f"--{name}={value}")
    return flags


def _plain(value: object) -> object:
    """Numbers and truths of a mapping, at any depth, from the texts that it was read as."""
    if isinstance(value, dict):
        return {str(name): _plain(own) for name, own in value.items()}
    if isinstance(value, list):
        return [_plain(own) for own in value]
    if not isinstance(value, str):
        return value
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    for number in (int, float):
        try:
            return number(value)
        except ValueError:
            continue
    return value
