"""The results as HTML. Everything that was not written here is escaped: passages are text, never markup."""

from collections.abc import Mapping, Sequence
from html import escape
from types import MappingProxyType

from blind_vote import NUM_SHOWN, Ballot, Better, Vote, as_link
from first_stage import stem_of, stems_of
from late_interaction import WORD, Nearest
from reranking import RankedPassage, Reranking

BM25 = "BM25"
EXCERPT_CHARACTERS = 240
# Index of a passage → its words nearest to the query's.
NearestWords = Mapping[int, Sequence[Nearest]]


def results_html(
    reranking: Reranking,
    second: tuple[str, Reranking] | None = None,
    nearest: NearestWords = MappingProxyType({}),
) -> str:
    """TWOLAR's best passages and where each stood before; beside them BM25's best, or a second checkpoint's.

    Args:
        nearest: of TWOLAR's; see `Scorer.nearest`.
    """
    stems = frozenset(stems_of(reranking.query))
    name, other = (BM25, _bm25_items(reranking, stems))
    if second:
        name, other = second[0], _items(second[1].passages, stems)
    return (
        f'<div class="results">{_summary(reranking, second)}{_legend(reranking, any(nearest.values()))}'
        + _columns("TWOLAR", _items(reranking.passages, stems, nearest), name, other)
        + "</div>"
    )


def blind_html(ballot: Ballot) -> str:
    """The two orders, and nothing that tells whose they are."""
    stems = frozenset(stems_of(ballot.reranking.query))
    left, right = (
        [_item(ranked, place, "", "", stems) for place, ranked in enumerate(order.passages, start=1)]
        for order in (ballot.left, ballot.right)
    )
    reranking = ballot.reranking
    return (
        '<div class="results blind"><p class="summary" role="status">Which order answers better? '
        f"Two systems, the same {len(reranking.passages)} candidates of "
        f"<strong>{escape(reranking.collection.name)}</strong>. Votes stay in this page.</p>"
        f"{_columns('A', left, 'B', right)}</div>"
    )


def voted_html(ballot: Ballot, better: Better, votes: Sequence[Vote]) -> str:
    """What was chosen, to stand above the results, and all votes so far as a file."""
    chosen = ballot.chosen(better)
    words = f"You chose <strong>{escape(chosen)}</strong>’s order" if chosen else "You found both alike"
    link = (
        f'<a download="votes.parquet" href="{as_link(votes)}">Download your votes (Parquet, {len(votes)})</a>'
    )
    return f'<p class="summary" role="status">{words}. {link}</p>'


def problem_html(message: str) -> str:
    """A message about the visitor's input."""
    return f'<p class="problem" role="alert">{escape(message)}</p>'


def marked(text: str, stems: frozenset[str], near: frozenset[int] = frozenset()) -> str:
    """`text` escaped, with the words that BM25 matches to the query's in `<mark>`, and those that begin at `near` in
    `<u>`."""
    html, start = "", 0
    for piece in WORD.split(text):
        shown = f"<mark>{escape(piece)}</mark>" if stem_of(piece) in stems else escape(piece)
        html += f"<u>{shown}</u>" if piece and start in near else shown
        start += len(piece)
    return html


def title_of(docid: str, title: str) -> str:
    """A title that spells an identifier in words, such as `str split`, as the identifier, `builtins.str.split`."""
    words = _words(title)
    return docid if _words(docid)[-len(words) :] == words or not words else title


def _words(text: str) -> list[str]:
    return WORD.findall(text)


def _columns(one: str, items: Sequence[str], other: str, others: Sequence[str]) -> str:
    """The first order and the other, of which a phone shows one."""
    return (
        f'<label class="show-other"><input type="checkbox"> show the order of {escape(other)} instead</label>'
        f'<div class="stages">{_column("reranked", f"{one}’s order", items)}'
        f"{_column('other', f'{other}’s order', others)}</div>"
    )


def _column(css_class: str, heading: str, items: Sequence[str]) -> str:
    return f'<section class="{css_class}"><h2>{escape(heading)}</h2><ol>{"".join(items)}</ol></section>'


def _summary(reranking: Reranking, second: tuple[str, Reranking] | None) -> str:
    collection = reranking.collection
    seconds = second[1].seconds if second else reranking.seconds
    times = " · ".join(f"{escape(step)} {1000 * taken:,.1f} ms" for step, taken in seconds.items())
    return (
        f'<p class="summary" role="status">{len(reranking.passages)} candidates of '
        f"{len(collection.passages):,} passages: <strong>{escape(collection.name)}</strong> · {times}</p>"
    )


def _legend(reranking: Reranking, has_nearest: bool) -> str:
    encoded = any(ranked.cosine_rank for ranked in reranking.passages)
    underlined = " <u>Underlined</u>: nearest to a word of the query, by the checkpoint’s vectors of tokens."
    before = "<em>BM25 12</em>, <em>cosine 3</em>: its place among all by words, by vectors."
    return (
        f'<p class="legend">{before if encoded else "<em>BM25 12</em>: its place among all by words."} '
        '<span class="up">▲</span> <span class="down">▼</span> moved up or down from BM25’s. Bar: score. '
        f"<mark>Marked</mark>: words of the query.{underlined if has_nearest else ''}</p>"
    )


def _items(
    passages: Sequence[RankedPassage], stems: frozenset[str], nearest: NearestWords = MappingProxyType({})
) -> list[str]:
    scores = [ranked.score for ranked in passages]
    low, high = min(scores), max(scores)
    items = []
    for ranked in passages[:NUM_SHOWN]:
        percent = 100 * (ranked.score - low) / (high - low) if high > low else 100
        bar = f'<div class="bar" title="score {ranked.score:.2f}"><i style="width:{percent:.0f}%"></i></div>'
        near = nearest.get(ranked.index, ())
        items.append(_item(ranked, ranked.rank, _stood_before(ranked), bar, stems, near))
    return items


def _bm25_items(reranking: Reranking, stems: frozenset[str]) -> list[str]:
    return [
        _item(ranked, ranked.bm25_rank or 0, f'<span class="place">TWOLAR {ranked.rank}</span>', "", stems)
        for ranked in reranking.in_bm25_order()[:NUM_SHOWN]
    ]


def _item(
    ranked: RankedPassage,
    rank: int,
    places: str,
    bar: str,
    stems: frozenset[str],
    nearest: Sequence[Nearest] = (),
) -> str:
    before_text = len(ranked.passage.contents) - len(ranked.passage.text)
    near = frozenset(found.start - before_text for found in nearest)
    title = marked(title_of(ranked.passage.docid, ranked.passage.title), stems)
    return (
        f'<li><div class="line"><span>{rank}.</span><span class="title">{title}</span>{places}</div>'
        f"{bar}{_text(ranked.passage.text, stems, near)}{_pairs(nearest)}</li>"
    )


def _stood_before(ranked: RankedPassage) -> str:
    return _bm25_place(ranked) + (
        f'<span class="place">cosine {ranked.cosine_rank:,}</span>' if ranked.cosine_rank else ""
    )


def _bm25_place(ranked: RankedPassage) -> str:
    if ranked.bm25_rank is None:
        return '<span class="place up">▲ BM25: no shared word</span>'
    if ranked.bm25_rank == ranked.rank:
        return f'<span class="place">BM25 {ranked.bm25_rank}</span>'
    css_class, arrow = ("up", "▲") if ranked.rank < ranked.bm25_rank else ("down", "▼")
    return f'<span class="place {css_class}">{arrow} BM25 {ranked.bm25_rank:,}</span>'


def _pairs(nearest: Sequence[Nearest]) -> str:
    """The words that are near and not the same, in words: an underline alone does not say to which."""
    pairs = [
        f"{escape(found.query_word)} ≈ {escape(found.word)}"
        for found in nearest
        if stem_of(found.query_word) != stem_of(found.word)
    ]
    return f'<div class="near">{" · ".join(dict.fromkeys(pairs))}</div>' if pairs else ""


def _text(text: str, stems: frozenset[str], near: frozenset[int]) -> str:
    if len(text) <= EXCERPT_CHARACTERS:
        return f'<div class="text">{marked(text, stems, near)}</div>'
    excerpt = text[:EXCERPT_CHARACTERS].rsplit(maxsplit=1)[0]
    return (
        f'<details><summary class="text"><span class="excerpt">{marked(excerpt, stems, near)} …</span></summary>'
        f'<div class="text">{marked(text, stems, near)}</div></details>'
    )
