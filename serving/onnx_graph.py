"""A reranker as an ONNX graph, named and shaped as optimum writes them, and what was lost on the way."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import nn

from modeling_twolar import TwolarForReranking

OPSET = 17
# Pairs of several lengths, which are scored by both, and more than one of them at a time.
QUESTIONS = (
    "which planet is red?",
    "what is it made of",
    "moon",
    "how long is a day on the smallest planet?",
)
TEXTS = (
    "Mars is called the red planet.",
    "Saturn is known for its rings of ice, and has more moons than any other planet around the Sun.",
    "Mercury is the smallest planet. It orbits the Sun once every 88 days, and its surface is full of craters.",
    "Bread is made of flour, water and salt.",
    "The Moon is the only moon of the Earth.",
    "",
)
PAIRS = [(question, text) for question in QUESTIONS for text in TEXTS]


@dataclass(frozen=True)
class Parity:
    """A graph's scores beside the model's own: their largest difference, and Kendall's tau over all pairs."""

    largest_difference: float
    kendall_tau: float


class _Logits(nn.Module):
    """`forward` of the tensors that the tokenizer gives, in its order: what a graph's inputs are named after."""

    def __init__(self, model: TwolarForReranking, names: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        self.names = names

    def forward(self, *columns: torch.Tensor) -> torch.Tensor:
        return self.model(**dict(zip(self.names, columns, strict=True))).logits


def input_names(model: TwolarForReranking) -> list[str]:
    """The graph's inputs, in optimum's order, of those that this model's tokenizer gives."""
    given = model.tokenizer.model_input_names
    return [name for name in ("input_ids", "attention_mask", "token_type_ids") if name in given]


@torch.no_grad()
def write_graph(model: TwolarForReranking, path: Path) -> None:
    """Write `model`, float32 on a CPU: tokens (batch_size, sequence_length) int64 → `logits` (batch_size, 1)."""
    names = input_names(model)
    columns = _batch(model, PAIRS[1:3])
    axes = {name: {0: "batch_size", 1: "sequence_length"} for name in names}
    model.backbone.set_attn_implementation("eager")  # plain products, which every runtime has
    with warnings.catch_warnings():
        # Of the exporter, which is the one whose graphs take any batch and length; and of constants in its traces.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
        torch.onnx.export(
            _Logits(model, names).eval(),
            tuple(columns[name] for name in names),
            path,
            input_names=names,
            output_names=["logits"],
            dynamic_axes={**axes, "logits": {0: "batch_size"}},
            opset_version=OPSET,
            dynamo=False,
        )


def write_int8(graph: Path, path: Path) -> None:
    """Write `graph` with int8 weights, scaled by output channel; activations are rounded when it runs."""
    quantize_dynamic(
        graph, path, per_channel=True, weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul"]
    )


def parity(model: TwolarForReranking, graph: Path) -> Parity:
    """Compare a graph's scores of `PAIRS`, padded together, with the model's own of each pair."""
    expected = model.score(PAIRS)
    found = torch.from_numpy(run(model, graph, PAIRS))
    places = torch.triu_indices(len(PAIRS), len(PAIRS), offset=1)
    signs = [(scores[places[0]] - scores[places[1]]).sign() for scores in (expected, found)]
    return Parity(float((found - expected).abs().max()), float((signs[0] * signs[1]).mean()))


def run(model: TwolarForReranking, graph: Path, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
    """Scores, (num_pairs,) float32, by onnxruntime."""
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    columns = _batch(model, pairs)
    inputs = {each.name: columns[each.name].numpy() for each in session.get_inputs()}
    return session.run(None, inputs)[0][:, 0]


def _batch(model: TwolarForReranking, pairs: Sequence[tuple[str, str]]) -> dict[str, torch.Tensor]:
    queries, passages = map(list, zip(*pairs, strict=True))
    return dict(model.tokenizer(queries, passages, padding=True, return_tensors="pt"))
