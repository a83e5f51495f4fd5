"""A checkpoint as ONNX, and as a plain architecture where there is one: `python -m serving.export --help`.

OUT gets `onnx/model.onnx` (with --int8 also `onnx/model_quantized.onnx`), the tokenizer and a `config.json` that
engines read; where a plain architecture of transformers has the same scores, also its weights, so that OUT loads
without our code. How near the scores are is measured before anything is put in place; it stands in `export.json`,
with a language model's prompt.
"""

import argparse
import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.errors import InputError, run_cli
from retrieval.model_files import model_path
from retrieval.text_file import write_text

if TYPE_CHECKING:
    from modeling_twolar import TwolarForReranking
    from serving.onnx_graph import Parity

# Scores in float32 differ by rounding alone.
MOST_DIFFERENCE = 1e-4
FIGURES = "export.json"


def main() -> None:
    """Export a checkpoint, and print how near its scores are."""
    arguments = _parser().parse_args()
    if arguments.output.exists():
        raise InputError(f"{arguments.output} is there already; name a folder that is not")
    try:
        import onnx  # noqa: F401  (its import is slow, and only an export needs it)
    except ImportError as error:
        raise InputError(
            f"an export needs onnx and onnxruntime ({error}); pip install onnx onnxruntime"
        ) from error
    for name, figures in export(arguments.model, arguments.output, arguments.int8).items():
        print(f"{name}: largest difference {figures.largest_difference:.1e}, tau {figures.kendall_tau:.4f}")


def export(name_or_path: str, output: Path, int8: bool = False) -> "dict[str, Parity]":
    """Write the folder `output`, aside first and then renamed.

    Returns:
        what each file's scores have lost, by its name.

    Raises:
        InputError: for a model that cannot be read, or whose graph scores otherwise.
    """
    model = _load(name_or_path)
    unfinished = output.with_name(f"{output.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        figures = _write(model, unfinished, int8)
        os.replace(unfinished, output)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return figures


def _load(name_or_path: str) -> "TwolarForReranking":
    from modeling_twolar import load_reranker

    try:
        model = load_reranker(model_path(name_or_path))
        model.require_float_weights()
        return model.float().eval()
    except (OSError, ValueError) as error:
        raise InputError(f"{name_or_path}: {str(error).splitlines()[0]}") from error


def _write(model: "TwolarForReranking", folder: Path, int8: bool) -> "dict[str, Parity]":
    from serving.export_tokenizer import write_tokenizer
    from serving.export_twin import plain_config, twin, write_twin
    from serving.onnx_graph import parity, write_graph, write_int8

    (folder / "onnx").mkdir(parents=True)
    graph, quantized = folder / "onnx" / "model.onnx", folder / "onnx" / "model_quantized.onnx"
    write_graph(model, graph)
    figures = {graph.name: parity(model, graph)}
    if not figures[graph.name].largest_difference <= MOST_DIFFERENCE:
        raise InputError(
            f"the graph's scores differ by {figures[graph.name].largest_difference:.1e}, more than {MOST_DIFFERENCE}"
        )
    if int8:
        write_int8(graph, quantized)
        figures[quantized.name] = parity(model, quantized)
    plain = twin(model)
    if plain is None:
        config = plain_config(model)
        kind = type(model.backbone).__name__.removesuffix("Model").removesuffix("ForSequenceClassification")
        config.architectures = [f"{kind}ForSequenceClassification"]
        config.save_pretrained(folder)
    else:
        write_twin(plain, folder)
    write_tokenizer(model.tokenizer, folder)
    # A language model's prompt is our tokenizer's work: whoever opens the export without it has to fill it in.
    prompt = getattr(model.tokenizer, "prompt_template", None)
    found = {"prompt_template": prompt, "scores": {name: asdict(each) for name, each in figures.items()}}
    write_text(folder / FIGURES, json.dumps(found, indent=2))
    return figures


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m serving.export", description=__doc__)
    parser.add_argument(
        "model", metavar="MODEL", help="TWOLAR checkpoint, or what an untrained one starts from"
    )
    parser.add_argument("output", metavar="OUT", type=Path, help="folder to make")
    parser.add_argument("--int8", action="store_true", help="also a graph with int8 weights")
    return parser


if __name__ == "__main__":
    run_cli(main)
