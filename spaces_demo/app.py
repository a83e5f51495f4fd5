"""The page that ranks passages with a TWOLAR checkpoint: BM25's candidates in TWOLAR's order.

`python app.py` serves it. TWOLAR_MODEL and TWOLAR_DATASET name the checkpoint and the ranking dataset whose
passages are searched: folders, or repositories on the Hub. TWOLAR_SECOND_MODEL, if set, names a checkpoint to
compare with, say one with another score strategy.
"""

import sys
from pathlib import Path

import gradio as gr
from blind_vote import Ballot, Better, Vote
from demo import BUNDLED, OWN, Demo
from loading import CHECKPOINT, DATASET, SECOND_CHECKPOINT
from passages import MAX_PASSAGES
from reranking import MAX_QUERY_CHARACTERS
from results_html import BM25

VOTES: dict[Better, str] = {"left": "A is better", "tie": "both alike", "right": "B is better"}
MAX_WAITING = 200
MAX_FILE_BYTES = 5 * 2**20
# Visitors' files are removed after an hour.
UPLOADS_KEPT_SECONDS = 3600
# The address names the question, and so does the address of the Space's page, which shows this one in a frame.
WRITE_ADDRESS = f"""(query, source, ...rest) => {{
  const address = new URL(location);
  if (source === "{BUNDLED}" && query && query.trim()) address.searchParams.set("q", query.trim());
  else address.searchParams.delete("q");
  history.replaceState(null, "", address);
  if (parent !== window)
    parent.postMessage({{queryString: address.search.slice(1), hash: ""}}, "https://huggingface.co");
  return [query, source, ...rest];
}}"""

# Gradio gives its upload button a name that is not what stands on it.
NAME_UPLOAD_BY_ITS_TEXT = """() => new MutationObserver(() =>
  document.querySelectorAll("button.upload-container[aria-label]").forEach((it) => it.removeAttribute("aria-label"))
).observe(document.body, {childList: true, subtree: true})"""


def build_page(demo: Demo) -> gr.Blocks:
    """The Gradio page over a loaded demo. Views, searches and the API have a queue each: none waits for another."""
    cache = (UPLOADS_KEPT_SECONDS, UPLOADS_KEPT_SECONDS)
    bundled = f"{demo.bundled.name} ({len(demo.bundled.passages):,} passages)"
    with gr.Blocks(title="TWOLAR reranker", analytics_enabled=False, delete_cache=cache) as page:
        gr.Markdown(
            "# TWOLAR reranker\n"
            f"A small model, `{demo.model_name}`, distilled from a ranking teacher, puts what a search finds in order."
        )
        query = gr.Textbox(
            demo.examples[0], label="Query", placeholder="Type a question", submit_btn="Search", max_lines=1,
            max_length=MAX_QUERY_CHARACTERS, elem_id="query",
        )  # fmt: skip
        examples = gr.Examples(demo.examples, query, label=demo.what_examples_are, api_visibility="private")
        with gr.Row():
            source = gr.Radio(
                [(bundled, BUNDLED), ("your own passages", OWN)], value=BUNDLED, label="Search in"
            )
            other = gr.Radio(demo.others, value=BM25, label="Compare with", visible=len(demo.others) > 1)
        blind = gr.Checkbox(label="vote blindly: which order is better?")
        with gr.Group(visible=False) as own:
            pasted = gr.Textbox(label=f"Passages, one a line (at most {MAX_PASSAGES:,})", lines=5)
            upload = gr.File(
                label="or a file of at most 5 MB: .txt (one a line), .jsonl (BEIR), .tsv (id, text)",
                height=130,
            )
        ballot, votes = gr.State(), gr.State([])
        with gr.Row(visible=False) as booth:
            choices = {better: gr.Button(text, min_width=90) for better, text in VOTES.items()}
        results = gr.HTML(demo.opening, padding=False)
        source.change(
            lambda chosen: gr.update(visible=chosen == OWN),
            source,
            own,
            queue=False,
            api_visibility="private",
        )

        def search(
            query: str | None, source: str, pasted: str | None, upload: str | None, other: str, blind: bool
        ) -> tuple[str, Ballot | None, gr.Row]:
            fields = query, source, pasted, upload, other
            shown, ballot = demo.blind_page(*fields) if blind else (demo.page(*fields), None)
            return shown, ballot, gr.Row(visible=ballot is not None)

        for asked in (query.submit, examples.load_input_event.then, other.input, blind.input):
            asked(
                search, [query, source, pasted, upload, other, blind], [results, ballot, booth], js=WRITE_ADDRESS,
                api_visibility="private", concurrency_id="searches", concurrency_limit=2,
            )  # fmt: skip
        for better, button in choices.items():

            def vote(
                ballot: Ballot, votes: list[Vote], better: Better = better
            ) -> tuple[str, list[Vote], gr.Row]:
                return *demo.voted_page(ballot, better, votes), gr.Row(visible=False)

            button.click(
                vote, [ballot, votes], [results, votes, booth], api_visibility="private",
                concurrency_id="searches", concurrency_limit=2,
            )  # fmt: skip
        page.load(
            demo.linked_page, None, [query, results], show_progress="hidden", api_visibility="private",
            concurrency_id="views", concurrency_limit=4,
        )  # fmt: skip
        gr.api(demo.rerank, api_name="rerank", concurrency_id="api")
    return page.queue(max_size=MAX_WAITING, default_concurrency_limit=1)


def theme() -> gr.themes.Base:
    """Gradio's own, with fonts that are there already, and colours whose contrast is at least 4.5."""
    plain = gr.themes.Default(
        primary_hue="indigo", font=("system-ui", "sans-serif"), font_mono=("ui-monospace", "monospace")
    )
    return plain.set(
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
    )


if __name__ == "__main__":
    demo = Demo(CHECKPOINT.name, DATASET.name, SECOND_CHECKPOINT.name)
    build_page(demo).launch(
        theme=theme(),
        js=NAME_UPLOAD_BY_ITS_TEXT,
        css_paths=Path(__file__).with_name("page.css"),
        max_file_size=MAX_FILE_BYTES,
        show_error=True,
        inbrowser=sys.stdout.isatty(),
        footer_links=["api", "gradio"],
    )
