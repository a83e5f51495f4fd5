"""A reranker's tokenizer as other engines read it: versions 4 of transformers, and those that read its files
themselves."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from retrieval.text_file import write_text

# The class that every version of transformers has.
PLAIN_CLASS = "PreTrainedTokenizerFast"
# How some tokenizer was last called before it was saved. fastembed takes such a length for the model's.
OF_A_CALL = ("max_length", "stride", "truncation_strategy", "pad_to_multiple_of")


def write_tokenizer(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write `tokenizer` so that it needs neither our code nor the newest transformers."""
    tokenizer.save_pretrained(folder)
    settings = _read(folder / "tokenizer_config.json")
    for name in (*OF_A_CALL, "auto_map"):
        settings.pop(name, None)
    settings["tokenizer_class"] = PLAIN_CLASS
    if "extra_special_tokens" in settings:  # its name since version 5
        settings["additional_special_tokens"] = settings.pop("extra_special_tokens")
    _write(folder / "tokenizer_config.json", settings)
    parts = _read(folder / "tokenizer.json")
    if (parts["post_processor"] or {}).get("type") == "TemplateProcessing":
        parts["post_processor"] = _token_by_token(parts["post_processor"])
        _write(folder / "tokenizer.json", parts)


def _token_by_token(template: dict[str, Any]) -> dict[str, Any]:
    """The same template, of which each piece is a token of the vocabulary by its own name: transformers.js knows no
    other names, and puts the unknown token in their place."""
    named = template["special_tokens"]

    def pieces(parts: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for part in parts:
            if "SpecialToken" in part:
                special = part["SpecialToken"]
                yield from (
                    {"SpecialToken": {**special, "id": token}} for token in named[special["id"]]["tokens"]
                )
            else:
                yield part

    tokens = {
        token: {"id": token, "ids": [number], "tokens": [token]}
        for each in named.values()
        for number, token in zip(each["ids"], each["tokens"], strict=True)
    }
    return {
        **template,
        "single": list(pieces(template["single"])),
        "pair": list(pieces(template["pair"])),
        "special_tokens": tokens,
    }


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _write(path: Path, content: dict[str, Any]) -> None:
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False))
