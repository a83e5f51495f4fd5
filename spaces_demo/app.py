"""The page that ranks passages with a TWOLAR checkpoint: BM25's candidates and TWOLAR's order, side by side.

`python app.py` serves it. TWOLAR_MODEL and TWOLAR_DATASET name the checkpoint and the ranking dataset whose
passages are searched: folders, or repositories on the Hub. TWOLAR_SECOND_MODEL, if set, names a checkpoint to
compare with, say one with another score strategy.
"""

import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TypedDict, TypeVar

import gradio as gr
import torch
from passages import (
    MAX_PASSAGES,
    InputError,
    Passage,
    distinct_passages,
    example_queries,
    listed_passages,
    load_rankings,
    pasted_passages,
    uploaded_passages,
)
from reranking import MAX_QUERY_CHARACTERS, FirstStage, Reranker, Reranking, beside, rerank
from results_html import BM25, CSS, problem_html, results_html
from transformers import AutoModel

DEFAULT_MODEL = "twolar/minilm-python-stdlib"
DEFAULT_DATASET = "twolar/python-stdlib-reranker"
EXAMPLES = [
    "how do I delete a folder that still has files in it",
    "run another program and read what it prints",
    "split text at every match of a regular expression",
    "wait until several threads are done",
]
MAX_WAITING = 200
MAX_FILE_BYTES = 5 * 2**20
VARIABLES = {
    "checkpoint": "TWOLAR_MODEL",
    "second checkpoint": "TWOLAR_SECOND_MODEL",
    "dataset": "TWOLAR_DATASET",
}

Loaded = TypeVar("Loaded")
Skipped = dict[str, str]


class RankedPassage(TypedDict):
    """A passage in the answer of `/rerank`."""

    rank: int
    docid: str
    title: str
    text: str
    score: float
    first_stage_rank: int
    first_stage_score: float


class Demo:
    """Checkpoints and the bundled collection, loaded once, and what the page and the API ask of them."""

    def __init__(self, model_name: str, dataset_name: str, second_name: str | None = None) -> None:
        self.model_name = model_name
        self.dataset_name = dataset_name
        self._reranker: Reranker = _loaded("checkpoint", model_name, _load_checkpoint)
        splits = _loaded("dataset", dataset_name, load_rankings)
        self.examples = EXAMPLES if dataset_name == DEFAULT_DATASET else example_queries(splits)
        self._bundled = FirstStage(distinct_passages(splits))
        self.seconds: dict[str, Reranker] = {}
        if second_name:
            self.seconds[second_name] = _loaded("second checkpoint", second_name, _load_checkpoint)

    def page(
        self,
        query: str | None,
        pasted: str | None = None,
        upload: str | None = None,
        other: str = BM25,
    ) -> str:
        """The results as HTML; what is wrong with the input, in their place. An untouched field is None."""
        query, pasted = query or "", pasted or ""
        try:
            own = pasted_passages(pasted) + (uploaded_passages(Path(upload)) if upload else [])
            reranking = self._search(query, own)
            if other in self.seconds:
                reranking = beside(reranking, query.strip(), self.seconds[other])
            return results_html(query.strip(), reranking, linkable=not own, other=other)
        except InputError as error:
            return problem_html(str(error))

    def linked_page(self, request: gr.Request) -> tuple[str | Skipped, str | Skipped]:
        """The query that the page's address asks for (`?q=`), and its results."""
        query = request.query_params.get("q")
        if not query:
            return gr.skip(), gr.skip()  # an empty text would wipe out what the visitor has begun to type
        return query, self.page(query)

    def rerank(self, query: str, passages: list[str] | None = None, top_k: int = 10) -> list[RankedPassage]:
        """Rank passages by their relevance to a query.

        Args:
            query: a question or a few words.
            passages: texts to rank, `docid` being their number, from 1; of more than 50, BM25's best 50 are
                ranked. Without them, the bundled collection is searched.
            top_k: how many of the best passages to return.

        Returns:
            Passages, most relevant first, with TWOLAR's and BM25's rank (from 1) and score.
        """
        try:
            own = [] if passages is None else listed_passages(passages)
            ranked = self._search(query, own).passages[: max(top_k, 1)]
        except InputError as error:
            raise gr.Error(str(error)) from error
        return [
            RankedPassage(
                rank=entry.rank,
                docid=entry.passage.docid,
                title=entry.passage.title,
                text=entry.passage.text,
                score=entry.score,
                first_stage_rank=entry.other_rank,
                first_stage_score=entry.other_score,
            )
            for entry in ranked
        ]

    def _search(self, query: str, own: list[Passage]) -> Reranking:
        return rerank(query, FirstStage(own) if own else self._bundled, self._reranker)


def build_page(demo: Demo) -> gr.Blocks:
    """The Gradio page over a loaded demo, its queue on; one query is scored at a time."""
    with gr.Blocks(title="TWOLAR reranker", analytics_enabled=False) as page:
        gr.Markdown(
            "# TWOLAR reranker\n"
            "BM25 finds candidates; a small model distilled from a ranking teacher puts them in order.\n\n"
            f"Checkpoint `{demo.model_name}` · passages of `{demo.dataset_name}`"
        )
        query = gr.Textbox(
            label="Query", placeholder="Type a question", autofocus=True, max_length=MAX_QUERY_CHARACTERS
        )
        other = gr.Radio([BM25, *demo.seconds], value=BM25, label="Compare with", visible=bool(demo.seconds))
        button = gr.Button("Rank", variant="primary")
        examples = gr.Examples(demo.examples, query, api_visibility="private")
        with gr.Accordion("Rank your own passages instead", open=False):
            pasted = gr.Textbox(label=f"Passages, one a line (at most {MAX_PASSAGES:,})", lines=5)
            upload = gr.File(label="or a file: .txt (one a line), .jsonl (BEIR), .tsv (id, text)")
        results = gr.HTML(padding=False)
        for asked in (button.click, query.submit, examples.load_input_event.then, other.input):
            asked(
                demo.page,
                [query, pasted, upload, other],
                results,
                api_visibility="private",
                concurrency_id="reranker",
            )
        page.load(
            demo.linked_page, None, [query, results], api_visibility="private", concurrency_id="reranker"
        )
        gr.api(demo.rerank, api_name="rerank", concurrency_id="reranker")
    return page.queue(max_size=MAX_WAITING, default_concurrency_limit=1)


def _load_checkpoint(name: str) -> Reranker:
    """The checkpoint, warm; on ZeroGPU, where a GPU is lent to each call, there is none to warm up with."""
    # Imported before CUDA is asked for: on ZeroGPU it teaches torch to wait for the GPU.
    zero_gpu = import_module("spaces") if os.environ.get("SPACES_ZERO_GPU") == "true" else None
    model = AutoModel.from_pretrained(name, trust_remote_code=True)
    if torch.cuda.is_available():
        model.to("cuda")
    if zero_gpu:
        model.rank = zero_gpu.GPU(model.rank)
    else:
        model.rank("warm up", ["The first call is slow."])
    return model


def _loaded(kind: str, name: str, load: Callable[[str], Loaded]) -> Loaded:
    """What `load` makes of `name`, which may be a folder beside this one; if it fails, `SystemExit` with code 2."""
    folder = Path(__file__).resolve().parent.parent / name
    try:
        return load(str(folder) if folder.is_dir() else name)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        print(
            f"error: cannot load the {kind} {name} ({reason}); make it by `make quickstart`, "
            f"or name another in {VARIABLES[kind]}",
            file=sys.stderr,
        )
        sys.exit(2)


if __name__ == "__main__":
    demo = Demo(
        os.environ.get(VARIABLES["checkpoint"], DEFAULT_MODEL),
        os.environ.get(VARIABLES["dataset"], DEFAULT_DATASET),
        os.environ.get(VARIABLES["second checkpoint"]),
    )
    build_page(demo).launch(
        theme=gr.themes.Default(font=("system-ui", "sans-serif"), font_mono=("ui-monospace", "monospace")),
        css=CSS,
        max_file_size=MAX_FILE_BYTES,
        inbrowser=sys.stdout.isatty(),
        footer_links=["api", "gradio"],
    )
