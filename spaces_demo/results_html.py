"""The results as HTML. Everything that was not written here is escaped: passages are text, never markup."""

import re
from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from reranking import RankedPassage, Reranking

BM25 = "BM25"
NUM_SHOWN = 10
EXCERPT_CHARACTERS = 240

CSS = """
.stages { display: grid; grid-template-columns: 1fr 1fr; gap: 1.25rem; }
.stages h2 { font-size: 1.1rem; margin: 0 0 .5rem; overflow-wrap: anywhere; }
.stages ol { list-style: none; margin: 0; padding: 0; }
.stages li { border: 1px solid var(--border-color-primary); border-radius: 8px; padding: .6rem .8rem;
  margin: 0 0 .6rem; background: var(--block-background-fill); overflow-wrap: anywhere; }
.stages .line { display: flex; gap: .5rem; align-items: baseline; }
.stages .title { font-weight: 600; flex: 1; }
.stages .move { white-space: nowrap; font-variant-numeric: tabular-nums; }
.stages .up { color: #15803d; } .dark .stages .up { color: #4ade80; }
.stages .down { color: #b45309; } .dark .stages .down { color: #fbbf24; }
.stages .score { display: flex; gap: .5rem; align-items: center; font-size: .8rem; margin: .25rem 0;
  font-variant-numeric: tabular-nums; }
.stages .bar { flex: 1; height: 6px; border-radius: 3px; background: var(--border-color-primary); }
.stages .bar i { display: block; height: 100%; border-radius: 3px; background: var(--color-accent); }
.stages .text { white-space: pre-line; font-size: .9rem; line-height: 1.45; }
.stages summary { cursor: pointer; }
.stages details[open] summary .excerpt { display: none; }
.stages details[open] summary::after { content: "show less"; opacity: .7; }
.stages mark { background: color-mix(in srgb, var(--color-accent) 30%, transparent); color: inherit;
  border-radius: 3px; }
.summary { margin: 0 0 .75rem; }
.problem { border-left: 4px solid #dc2626; padding: .6rem .8rem; background: var(--block-background-fill); }
@media (max-width: 700px) {
  .stages { grid-template-columns: 1fr; }
  .stages .reranked { order: -1; }
}
"""


def results_html(query: str, reranking: Reranking, linkable: bool, other: str = BM25) -> str:
    """TWOLAR beside `other`, the best passages of each; `linkable`: with a link to this query."""
    others = sorted(reranking.passages, key=lambda ranked: ranked.other_rank)
    words = reranking.query_words
    other_scores = [ranked.other_score for ranked in others]
    scores = [ranked.score for ranked in reranking.passages]
    before = [
        _item(ranked, ranked.other_rank, _bar(ranked.other_score, other_scores), _now(ranked), words)
        for ranked in others[:NUM_SHOWN]
    ]
    after = [
        _item(ranked, ranked.rank, _bar(ranked.score, scores), _moved(ranked, other), words)
        for ranked in reranking.passages[:NUM_SHOWN]
    ]
    title = "First stage: BM25" if other == BM25 else escape(other)
    return (
        _summary(query, reranking, linkable, other)
        + f'<div class="stages"><section><h2>{title}</h2><ol>{"".join(before)}</ol></section>'
        + f'<section class="reranked"><h2>Reranked by TWOLAR</h2><ol>{"".join(after)}</ol></section></div>'
    )


def problem_html(message: str) -> str:
    """A message about the visitor's input."""
    return f'<p class="problem" role="alert">{escape(message)}</p>'


def marked(text: str, words: frozenset[str]) -> str:
    """`text` escaped, with the query's words in `<mark>`; words as BM25 cuts them."""
    pieces = re.split(r"(\b\w\w+\b)", text)
    return "".join(
        f"<mark>{escape(piece)}</mark>" if piece.lower() in words else escape(piece) for piece in pieces
    )


def _summary(query: str, reranking: Reranking, linkable: bool, other: str) -> str:
    link = f' · <a href="?q={quote(query, safe="")}">link to this query</a>' if linkable else ""
    return (
        f'<p class="summary">{len(reranking.passages)} candidates of {reranking.num_searched:,} passages · '
        f"{escape(other)} {reranking.other_seconds:.3f} s · "
        f"TWOLAR {reranking.reranking_seconds:.3f} s{link}</p>"
    )


def _item(ranked: RankedPassage, rank: int, bar: str, move: str, words: frozenset[str]) -> str:
    title = marked(ranked.passage.title, words) or escape(ranked.passage.docid)
    return (
        f'<li><div class="line"><span>{rank}.</span><span class="title">{title}</span>{move}</div>'
        f"{bar}{_text(ranked.passage.text, words)}</li>"
    )


def _bar(score: float, scores: Sequence[float]) -> str:
    low, high = min(scores), max(scores)
    percent = 100 * (score - low) / (high - low) if high > low else 100
    return (
        f'<div class="score"><span class="bar"><i style="width:{percent:.0f}%"></i></span>{score:.2f}</div>'
    )


def _now(ranked: RankedPassage) -> str:
    return f'<span class="move" title="TWOLAR ranks it {ranked.rank}">→ {ranked.rank}</span>'


def _moved(ranked: RankedPassage, other: str) -> str:
    places = ranked.other_rank - ranked.rank
    if places == 0:
        return '<span class="move" title="same place in both">=</span>'
    name, arrow = ("up", "▲") if places > 0 else ("down", "▼")
    return f'<span class="move {name}" title="{escape(other)} ranks it {ranked.other_rank}">{arrow}{abs(places)}</span>'


def _text(text: str, words: frozenset[str]) -> str:
    if len(text) <= EXCERPT_CHARACTERS:
        return f'<div class="text">{marked(text, words)}</div>'
    excerpt = text[:EXCERPT_CHARACTERS].rsplit(maxsplit=1)[0]
    return (
        f'<details><summary class="text"><span class="excerpt">{marked(excerpt, words)} …</span></summary>'
        f'<div class="text">{marked(text, words)}</div></details>'
    )
