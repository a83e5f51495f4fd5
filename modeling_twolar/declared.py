"""What a checkpoint says about itself: its architecture, and the modules and prompts of sentence-transformers.

Files are looked for as transformers does it: in a folder, or by a name on the Hub, from its cache when offline.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from transformers import PretrainedConfig
from transformers.utils import cached_file

MODULES, SETTINGS, TRANSFORMER = (
    "modules.json",
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
)
# Until version 5.4, sentence-transformers wrote one key for each way of pooling; this is its order.
POOLING_KEYS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


@dataclass(frozen=True)
class DeclaredModule:
    """One of sentence-transformers' modules. `kind`: its class's name; `config`: what its own file says."""

    kind: str
    path: str
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Declared:
    """What a checkpoint says about itself.

    `modules`: sentence-transformers', in order; none for a checkpoint of another library. `prompts`: by name.
    """

    architectures: tuple[str, ...] = ()
    modules: tuple[DeclaredModule, ...] = ()
    prompts: Mapping[str, str] = field(default_factory=dict)
    default_prompt_name: str | None = None

    def module(self, kind: str) -> DeclaredModule | None:
        """The first module of this kind."""
        return next((module for module in self.modules if module.kind == kind), None)

    def is_a(self, *suffixes: str) -> bool:
        """Whether an architecture's name ends in one of these, e.g. `ForCausalLM`."""
        return any(name.endswith(suffixes) for name in self.architectures)

    @property
    def pooling(self) -> tuple[str, ...]:
        """A bi-encoder's ways of pooling, concatenated in this order, in sentence-transformers' words; else none."""
        module = self.module("Pooling")
        if module is None:
            return ()
        modes = module.config.get("pooling_mode")
        if modes is None:
            modes = [mode for key, mode in POOLING_KEYS.items() if module.config.get(key)] or ["mean"]
        return (modes,) if isinstance(modes, str) else tuple(modes)

    @property
    def max_seq_length(self) -> int | None:
        """The most tokens of an input, where sentence-transformers' settings name them."""
        return self._transformer.get("max_seq_length")

    @property
    def default_prompt(self) -> str | None:
        """The text that sentence-transformers puts before an input unless told otherwise."""
        return self.prompts.get(self.default_prompt_name or "") or None

    def prompt_of(self, *names: str) -> str:
        """The text that a bi-encoder puts before texts of the kind that the first of these names stands for."""
        declared = (self.prompts.get(name) for name in names)
        return next((prompt for prompt in declared if prompt is not None), self.default_prompt or "")

    @property
    def answer_ids(self) -> tuple[int | None, int] | None:
        """Token ids of `false` and `true` of a cross-encoder that is a language model; `false` may be missing."""
        module = self.module("LogitScore")
        return (
            None if module is None else (module.config.get("false_token_id"), module.config["true_token_id"])
        )

    @property
    def takes_messages(self) -> bool:
        """Whether sentence-transformers gives pairs to the chat template, if the tokenizer has one."""
        return not self.modules or "message" in self._transformer.get("modality_config", {})

    @property
    def chat_template_options(self) -> Mapping[str, Any]:
        """What sentence-transformers passes to `apply_chat_template`."""
        return self._transformer.get("processing_kwargs", {}).get("chat_template", {})

    @property
    def _transformer(self) -> Mapping[str, Any]:
        module = self.module("Transformer")
        return {} if module is None else module.config


def declared(name_or_path: str | os.PathLike[str]) -> Declared:
    """Read what the checkpoint in a folder, or of this name on the Hub, says about itself."""
    config, _ = PretrainedConfig.get_config_dict(name_or_path)
    architectures = tuple(config.get("architectures") or ())
    modules = _read(name_or_path, "", MODULES)
    if not modules:
        return Declared(architectures)
    settings = _read(name_or_path, "", SETTINGS) or {}
    return Declared(
        architectures=architectures,
        modules=tuple(_read_module(name_or_path, module) for module in modules),
        prompts=settings.get("prompts") or {},
        default_prompt_name=settings.get("default_prompt_name"),
    )


def _read_module(name_or_path: str | os.PathLike[str], module: Mapping[str, str]) -> DeclaredModule:
    kind = module["type"].rsplit(".", 1)[-1]
    file = TRANSFORMER if kind == "Transformer" else "config.json"
    return DeclaredModule(kind, module["path"], _read(name_or_path, module["path"], file) or {})


def _read(name_or_path: str | os.PathLike[str], folder: str, file: str) -> Any:
    path = cached_file(
        name_or_path,
        file,
        subfolder=folder,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
        _raise_exceptions_for_gated_repo=False,
    )
    if path is None:
        return None
    with open(path, encoding="utf-8") as opened:
        return json.load(opened)
