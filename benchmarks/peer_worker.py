"""One way of scoring in a process of its own, which may run in an environment without TWOLAR: see `peers.py`.

`python peer_worker.py WAY FOLDER PAIRS.json THREADS` prints "ready", and for each line that it reads the seconds that
scoring all pairs took and their scores, in JSON. Each peer with its own defaults, but for the number of threads.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Pairs = Sequence[Sequence[str]]
Scorer = Callable[[Pairs], Any]
OF_WEIGHTS = "sentence-transformers"  # which a T5's export has not
ONNX, ONNX_INT8 = "onnx/model.onnx", "onnx/model_quantized.onnx"


def ours(folder: str, threads: int, kind: str = "") -> Scorer:
    """TWOLAR's own scoring."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    import torch

    from modeling_twolar import load_reranker

    torch.set_num_threads(threads)
    model = load_reranker(folder)
    if kind == "int8":
        model.quantize("int8")
    elif kind == "bf16":
        model.bfloat16()
    return lambda pairs: model.score([(query, passage) for query, passage in pairs])


def sentence_transformers(folder: str, threads: int, file: str = "") -> Scorer:
    """Its CrossEncoder, with torch or, of a graph, with onnxruntime."""
    import torch
    from sentence_transformers import CrossEncoder

    torch.set_num_threads(threads)
    if not file:
        model = CrossEncoder(folder, device="cpu")
    else:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        settings = {"file_name": file, "provider": "CPUExecutionProvider", "session_options": options}
        model = CrossEncoder(folder, device="cpu", backend="onnx", model_kwargs=settings)
    return lambda pairs: model.predict([tuple(pair) for pair in pairs], show_progress_bar=False)


def fastembed(folder: str, threads: int, file: str = ONNX) -> Scorer:
    """Its cross-encoder of one's own."""
    from fastembed.common.model_description import ModelSource
    from fastembed.rerank.cross_encoder import TextCrossEncoder

    TextCrossEncoder.add_custom_model("peer/own", sources=ModelSource(hf="peer/own"), model_file=file)
    model = TextCrossEncoder("peer/own", threads=threads, specific_model_path=folder)
    return lambda pairs: list(model.rerank_pairs([tuple(pair) for pair in pairs]))


WAYS: dict[str, Callable[[str, int], Scorer]] = {
    OF_WEIGHTS: sentence_transformers,
    "sentence-transformers, onnx": lambda folder, threads: sentence_transformers(folder, threads, ONNX),
    "sentence-transformers, onnx int8": lambda folder, threads: sentence_transformers(
        folder, threads, ONNX_INT8
    ),
    "fastembed, onnx": fastembed,
    "fastembed, onnx int8": lambda folder, threads: fastembed(folder, threads, ONNX_INT8),
    "ours, fp32": ours,
    "ours, int8": lambda folder, threads: ours(folder, threads, "int8"),
    "ours, bf16": lambda folder, threads: ours(folder, threads, "bf16"),
}


def main() -> None:
    """Serve turns until the input ends."""
    way, folder, pairs_file, threads = sys.argv[1:]
    pairs = json.loads(Path(pairs_file).read_text())
    score = WAYS[way](folder, int(threads))
    print("ready", flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        scores = [float(value) for value in score(pairs)]
        print(json.dumps({"seconds": time.perf_counter() - began, "scores": scores}), flush=True)


if __name__ == "__main__":
    main()
