"""Finds the passage ids in a language model's free text, and the chains in which it lists them."""

import html
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

_REASONING = re.compile(r"<(think|thinking|thought|reasoning|analysis)>.*?</\1>", re.S | re.I)
_REASONING_END = re.compile(r"^.*</(?:think|thinking|thought|reasoning|analysis)>", re.S | re.I)
_REASONING_CUT_OFF = re.compile(r"<(?:think|thinking|thought|reasoning|analysis)>.*$", re.S | re.I)
_FINAL_CHANNEL = re.compile(r"^.*<\|channel\|>\s*final\s*<\|message\|>", re.S)
_SPECIAL_TOKEN = re.compile(r"<\|[^|>]*\|>")
_ANSWER_TAG = re.compile(r"^.*<answer>(.*?)(?:</answer>.*)?$", re.S | re.I)
_GREATER = re.compile(r"[→≻≫»⟩➔➜⇒≥⩾]|\\(?:succ|rightarrow|gt|to)\b|[-=]+>|>=")
_QUOTES_AND_EMPHASIS = re.compile(r"[*`\\\"'“”‘’„$]")

_NAME = (
    r"passages?|paragraphs?|documents?|docs?|texts?|results?|snippets?|candidates?|options?|items?|entry|psg"
    r"|identifiers?|ids?|no\.?"
)
_LABEL = rf"(?:\b(?:{_NAME})[ \t]*(?:[:#][ \t]*)?|\b[pd](?=\d)|#)"
_MARKED = (
    rf"{_LABEL}{{0,3}}\[\s*{_LABEL}{{0,3}}\d+\s*\]"
    rf"|\(\s*{_LABEL}{{0,3}}\d+\s*\)"
    rf"|{_LABEL}{{1,3}}\d+(?!\w|\.\d)"
)
_ID = re.compile(
    rf"\[\s*(?P<first>\d+)\s*[-–—]\s*(?P<last>\d+)\s*\]"
    rf"|(?P<marked>{_MARKED})"
    r"|(?<![\w.])(?:\[\s*)?(?P<bare>\d+)(?!\w|\.\d)(?:\s*\])?",
    re.I,
)
_NOTE_IN_PARENTHESES = re.compile(rf"\((?!\s*{_LABEL}{{1,3}}\d+\s*\))(?=[^()\n]*?[^\W\d_])[^()\n]*\)", re.I)
_COUNTER = re.compile(
    r"(?<![\w\[.])"
    rf"(?:(?:rank|position|place|top)\s*[:#]?\s*(?P<rank>\d+)(?!\d)(?:\s*[.):,|-]?\s*(?={_MARKED})|\s*[:)|]\s*(?=\d))"
    rf"|\(?(?P<before_id>\d+)\s*[.):|]\s*(?={_MARKED})"
    r"|^[ \t|]*\(?(?P<line>\d+)[.)|]\s*(?=\d+[ \t|]*$))",
    re.I | re.M,
)
_SEPARATOR = re.compile(r"(?:[\s>,;/|=&~{}\[\]()•·–—-]|\b(?:and|then|followed by)\b)*", re.I)
_RANGE = re.compile(
    r"[ \t]*(?:[-–—]|\bto\b|\bthrough\b|>?[ \t]*(?:\.\.\.+|…)[ \t]*>?|,[ \t]*(?:\.\.\.+|…)[ \t]*,)[ \t]*",
    re.I,
)
_BULLET = re.compile(r"[\s>•·|–—-]*")
_REST_OF_ENTRY = re.compile(r"[ \t]*(?:$|[\n>,;/|=.:&~()\[\]{}–—-]|and\b)")
_RANK_BESIDE = re.compile(r"\brank\w*\s*[:=]?\s*\d", re.I)
_DASH = re.compile(r"[ \t]*[-–—][ \t]*")

# `[1-9999999999]` must not fill the memory; nobody shows a model more passages at once.
LONGEST_RANGE = 1000


@dataclass(frozen=True, slots=True)
class Mention:
    """One id in the text, or the ids of a range such as `[6-20]`. `marked`: in brackets or named.

    `begin` and `end` are its place in the text.
    """

    ids: range
    marked: bool
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Chain:
    """Ids that the text lists one after the other. `listed[i]` tells an id given by itself from one
    that only lies within a range (`[6] - [20]`)."""

    ids: tuple[int, ...]
    listed: tuple[bool, ...]
    marked: bool
    begin: int
    end: int


def final_text(answer: str) -> str:
    """The answer without reasoning, special tokens, emphasis and list counters; separators unified."""
    text = _plainly_spaced(unicodedata.normalize("NFKC", html.unescape(answer)))
    text = _REASONING_END.sub("", _REASONING.sub("", text))
    text = _SPECIAL_TOKEN.sub("", _FINAL_CHANNEL.sub("", _REASONING_CUT_OFF.sub("", text)))
    text = _ANSWER_TAG.sub(r"\1", text)
    text = _QUOTES_AND_EMPHASIS.sub("", _GREATER.sub(">", text)).replace("_", " ")
    return _without_counters(_NOTE_IN_PARENTHESES.sub("", text)).strip()


def _plainly_spaced(text: str) -> str:
    """Single spaces, no empty lines: what follows must not take minutes over a model that writes blanks."""
    return "\n".join(" ".join(line.split()) for line in text.splitlines() if line.strip())


def find_mentions(text: str) -> list[Mention]:
    """Every id in `text` (as `final_text` returns it), in order."""
    return [_mention(match) for match in _ID.finditer(text)]


def find_chains(text: str, mentions: list[Mention]) -> Iterator[Chain]:
    """The chains of at least two mentions, the plainer the later: marked ones that begin lines or JSON
    objects; all those between which only separators stand; the same without the bare numbers."""
    dash_is_range = ">" in text or "," in text
    marked = [mention for mention in mentions if mention.marked]
    linked = (_beginnings(text, marked), *_links(text, mentions), *_links(text, marked))
    return (_chain(text, chained, dash_is_range) for chained in linked if len(chained) > 1)


def _links(text: str, mentions: list[Mention]) -> list[list[Mention]]:
    """Groups of mentions between which only separators stand."""
    links: list[list[Mention]] = []
    for mention in mentions:
        if links and _linked(text, links[-1][-1], mention):
            links[-1].append(mention)
        else:
            links.append([mention])
    return links


def _without_counters(text: str) -> str:
    """Drop `1.` of `1. [3]`: numbers that count 1, 2, 3 before ids, lest they be taken for ids."""
    expected = 1

    def drop(match: re.Match[str]) -> str:
        nonlocal expected
        number = int((match["rank"] or match["before_id"] or match["line"])[:10])
        if number not in (1, expected):
            return match[0]
        expected = number + 1
        return ""

    return _COUNTER.sub(drop, text)


def _mention(match: re.Match[str]) -> Mention:
    if match["first"]:
        ids = range(_number(match["first"]), _number(match["last"]) + 1)
    else:
        number = _number(re.sub(r"\D", "", match["marked"] or match["bare"]))
        ids = range(number, number + 1)
    return Mention(ids, match["bare"] is None, match.start(), match.end())


def _number(digits: str) -> int:
    """No pool has more than nine digits' worth of passages; longer ones only must stay out of range."""
    return int(digits[:10])


def _linked(text: str, left: Mention, right: Mention) -> bool:
    """Whether only a separator stands between two mentions, or a remark and one `>`."""
    gap = text[left.end : right.begin]
    if not gap:
        return left.marked and right.marked
    if "\n" in gap and not _REST_OF_ENTRY.match(text, right.end):
        return False  # the right one begins a sentence
    if _SEPARATOR.fullmatch(gap) or _RANGE.fullmatch(gap):
        return True
    return left.marked and right.marked and gap.count(">") == 1 and "\n" not in gap and len(gap) <= 200


def _beginnings(text: str, marked: list[Mention]) -> list[Mention]:
    """Ids that begin a line or a JSON object, with a remark behind them. Where they only count up, or have
    ranks beside them, their places say nothing: they are remarks on the passages as they came. Then none."""
    first = [
        mention
        for mention in marked
        if _BULLET.fullmatch(text[_begin_of_line(text, mention.begin) : mention.begin])
    ]
    ids = [mention.ids.start for mention in first]
    return [] if ids == sorted(ids) or _RANK_BESIDE.search(text) else first


def _begin_of_line(text: str, place: int) -> int:
    return max(text.rfind("\n", 0, place), text.rfind("{", 0, place)) + 1


def _chain(text: str, mentions: list[Mention], dash_is_range: bool) -> Chain:
    ids: list[int] = []
    listed: list[bool] = []
    for previous, mention in zip([None, *mentions], mentions, strict=False):
        ranges = [mention.ids]
        if previous and _is_range(text[previous.end : mention.begin], dash_is_range):
            ranges.insert(0, range(previous.ids.stop, mention.ids.start))
        for number, each in enumerate(ranges, start=1):
            ids += each[:LONGEST_RANGE]
            listed += [number == len(ranges) and len(each) == 1] * len(each[:LONGEST_RANGE])
    marked = all(mention.marked for mention in mentions)
    return Chain(tuple(ids), tuple(listed), marked, mentions[0].begin, mentions[-1].end)


def _is_range(gap: str, dash_is_range: bool) -> bool:
    return bool(_RANGE.fullmatch(gap)) and (dash_is_range or not _DASH.fullmatch(gap))
