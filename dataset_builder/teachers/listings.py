"""Where an answer lists passages: along a line (`[2] > [3] > [1]`, `2, 3, 1`), or one below the other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from dataset_builder.teachers.answer_tokens import IDS, MARKED, PROSE, Kind, Token

# How a passage follows the one before it. ABOVE: the one before is better (`>`, `then`). BELOW: it is worse. TIED:
# `=`. BESIDE: only listed after it. UP_TO: so are all ids between the two.
ABOVE, BELOW, TIED, BESIDE, UP_TO = "above", "below", "tied", "beside", "up to"

# Numbers behind an id that are no ids themselves.
_COMPANIONS = frozenset({Kind.SCORE, Kind.BARE, Kind.ROUND, Kind.NOTE})
_AROUND_COMPANIONS = frozenset(
    {Kind.COLON, Kind.DASH, Kind.EQUAL, Kind.OPEN, Kind.CLOSE, Kind.MEASURE, Kind.RANK, Kind.BAR}
)
_SEPARATORS = frozenset({Kind.COMMA, Kind.DASH, Kind.BAR, Kind.AND, Kind.OPEN, Kind.CLOSE, Kind.BULLET})
_BEHIND_COUNT = frozenset({Kind.DOT, Kind.CLOSE, Kind.COLON, Kind.BAR, Kind.DASH})
_LINE_BEGINS = frozenset({Kind.DASH, Kind.BULLET, Kind.BAR, Kind.OPEN, Kind.GREATER})
# `[2] (covers it all, unlike the others) > [3]`: so long may a remark be.
LONGEST_REMARK = 200


@dataclass(frozen=True, slots=True)
class Entry:
    """One id, or a range of ids, as it stands in a list. `notation`: of the kinds `IDS`; `number`: the score or rank
    beside it."""

    ids: range
    notation: Kind
    begin: int
    end: int
    link: str = BESIDE
    number: float | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """Entries that a text lists one after the other.

    `counted`: they are numbered 1, 2, 3. `remarks`: words stand beside ids. `ranked`: the numbers beside ids are
    called ranks.
    """

    entries: tuple[Entry, ...]
    counted: bool = False
    remarks: bool = False
    ranked: bool = False

    @property
    def begin(self) -> int:
        """Where it begins in the text."""
        return self.entries[0].begin

    @property
    def end(self) -> int:
        """Where it ends."""
        return self.entries[-1].end

    @property
    def is_marked(self) -> bool:
        """Whether all ids stand in square brackets or have names."""
        return all(entry.notation in MARKED for entry in self.entries)

    @property
    def is_chain(self) -> bool:
        """Whether a sign of order stands between every two ids, all in one notation."""
        notations = {entry.notation for entry in self.entries} - {Kind.RANGE}
        return len(notations) < 2 and all(entry.link == ABOVE for entry in self.entries[1:])

    @property
    def says_order(self) -> bool:
        """Whether the list by itself says that it is an order, by signs or by numbers."""
        signs = sum(entry.link == ABOVE for entry in self.entries)
        return self.counted or (signs > 0 and 2 * signs >= len(self.entries) - 1)


def listings_of(tokens: Sequence[Token]) -> list[Listing]:
    """The lists of at least two entries in a text."""
    found = [*_along_lines(tokens), *_columns(tokens)]
    return [listing for listing in found if len(listing.entries) > 1]


def _along_lines(tokens: Sequence[Token]) -> Iterator[Listing]:
    """Ids between which there are only signs and separators; a remark may stand before a `>`."""
    entries: list[Entry] = []
    gap: list[Token] = []
    last: Token | None = None
    for token in tokens:
        if token.kind not in IDS or (last and _is_companion(last, gap, token)):
            gap.append(token)
            continue
        link = _link(last, gap, token) if last else None
        if link is None:
            yield from _listing(entries, gap)
            entries = []
        elif entries:
            entries[-1] = replace(entries[-1], number=_companion(gap))
        entries.append(_entry(token, link or BESIDE))
        last, gap = token, []
    yield from _listing(entries, gap)


def _listing(entries: list[Entry], behind: Sequence[Token]) -> Iterator[Listing]:
    if entries:
        entries[-1] = replace(entries[-1], number=_companion(behind))
        if any(entry.link == ABOVE for entry in entries) or _few_dashes(entries):
            yield Listing(tuple(entries))
        else:
            # `3-1-2` lists three passages, where no other sign says that a dash means a range.
            yield Listing(tuple(replace(entry, link=BESIDE) for entry in entries))


def _few_dashes(entries: Sequence[Entry]) -> bool:
    return any(entry.link in (BESIDE, TIED, BELOW) for entry in entries[1:])


def _is_companion(last: Token, gap: Sequence[Token], token: Token) -> bool:
    """Whether a number belongs to the id before it: a plainer notation, and no sign of order between."""
    kinds = {each.kind for each in gap}
    if kinds & {Kind.NEWLINE, Kind.GREATER, Kind.LESS, Kind.THEN, Kind.DOT, Kind.WORD}:
        return False
    if last.kind in MARKED:
        return token.kind in (Kind.ROUND, Kind.BARE)
    return last.kind is Kind.BARE and token.kind is Kind.ROUND and not gap


def _companion(gap: Sequence[Token]) -> float | None:
    """The number right behind an id, before any other word: `[2] (9)`, `[2]: score 0.9`, `[2] (score: 9)`."""
    for token in gap:
        if token.kind in _COMPANIONS:
            return token.number
        if token.kind not in _AROUND_COMPANIONS | {Kind.COMMA}:
            return None
    return None


def _link(left: Token, gap: Sequence[Token], right: Token) -> str | None:
    """How two ids are joined by what stands between them; None where they are not."""
    kinds = [token.kind for token in gap]
    newline = Kind.NEWLINE in kinds
    if Kind.LESS in kinds:
        return BELOW
    if kinds.count(Kind.GREATER) == 1 and Kind.DOTS not in kinds:
        beside = set(kinds) & PROSE
        near = not newline and gap[-1].end - gap[0].begin <= LONGEST_REMARK
        return ABOVE if not beside or (near and not _ends_sentence(gap)) else None
    if Kind.DOTS in kinds or kinds in ([Kind.DASH], [Kind.TO]):
        return UP_TO if set(kinds) <= {Kind.DOTS, Kind.GREATER, Kind.COMMA, Kind.DASH, Kind.TO} else None
    kinds = [kind for kind in kinds if kind not in _COMPANIONS]
    if Kind.EQUAL in kinds and set(kinds) <= {Kind.EQUAL} and len(kinds) == len(gap):
        return TIED
    if Kind.THEN in kinds and set(kinds) <= {Kind.THEN, Kind.AND, Kind.COMMA, Kind.DOT, Kind.TO}:
        return ABOVE
    return BESIDE if _only_separates(left, gap, kinds, right) else None


def _only_separates(left: Token, gap: Sequence[Token], kinds: Sequence[Kind], right: Token) -> bool:
    if Kind.NEWLINE in kinds and Kind.COMMA not in kinds:
        return False  # one below the other: see `_columns`
    if Kind.OPEN in kinds and Kind.CLOSE in kinds[: kinds.index(Kind.OPEN)]:
        return False  # `(2, 9), (3, 7)` are pairs
    same = left.kind == right.kind or {left.kind, right.kind} <= MARKED
    allowed = _SEPARATORS | {Kind.NEWLINE}
    return same and set(kinds) <= (allowed if len(kinds) == len(gap) else allowed | _AROUND_COMPANIONS)


def _ends_sentence(gap: Sequence[Token]) -> bool:
    return any(token.kind is Kind.DOT and behind.kind in PROSE for token, behind in pairwise(gap))


def _entry(token: Token, link: str = BESIDE, number: float | None = None) -> Entry:
    return Entry(token.ids, token.kind, token.begin, token.end, link, number)


@dataclass(frozen=True, slots=True)
class _Row:
    """A line that begins with an id; `count` is the number before it."""

    entry: Entry
    count: int | None
    remark: bool
    ranked: bool


def _columns(tokens: Sequence[Token]) -> Iterator[Listing]:
    """Lines that begin with an id, each with a number before it or none, between two headings."""
    rows: list[_Row] = []
    header = False
    for line in _lines(tokens):
        row = _row(line, header)
        header = header or _is_header(line)
        if row is None:
            if line and line[-1].kind is Kind.COLON:
                yield from _column(rows)
                rows = []
            continue
        if rows and (row.count == 1 or (row.count is None) != (rows[-1].count is None)):
            yield from _column(rows)
            rows = []
        rows.append(row)
    yield from _column(rows)


def _column(rows: Sequence[_Row]) -> Iterator[Listing]:
    counts = [row.count for row in rows if row.count is not None]
    if rows and counts in ([], list(range(1, len(rows) + 1))):
        yield Listing(
            tuple(row.entry for row in rows),
            counted=bool(counts),
            remarks=any(row.remark for row in rows),
            ranked=any(row.ranked for row in rows),
        )


def _lines(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    line: list[Token] = []
    for token in tokens:
        if token.kind is Kind.NEWLINE:
            yield line
            line = []
        else:
            line.append(token)
    yield line


def _row(line: Sequence[Token], header: bool) -> _Row | None:
    place = _begin(line)
    count, place = _count(line, place, header)
    while place < len(line) and count is not None and line[place].kind in _LINE_BEGINS:
        place += 1
    if place == len(line) or line[place].kind not in IDS or line[place].kind is Kind.RANGE:
        return None
    token, behind = line[place], line[place + 1 :]
    if not _is_alone(token, behind):
        return None
    words = any(each.kind in PROSE for each in behind)
    ranked = any(each.kind is Kind.RANK or "rank" in each.text.lower() for each in behind)
    entry = replace(_entry(token, number=_companion(behind)), begin=line[0].begin)
    return _Row(entry, count, words, ranked)


def _begin(line: Sequence[Token]) -> int:
    return next((place for place, token in enumerate(line) if token.kind not in _LINE_BEGINS), len(line))


def _count(line: Sequence[Token], place: int, header: bool) -> tuple[int | None, int]:
    """The number that counts a line, and where the line goes on: `1.`, `1)`, `#1:`, `Rank 1:`, `| 1 |`."""
    counter = place + (place < len(line) and line[place].kind is Kind.RANK)
    if len(line) < counter + 2:
        return None, place
    number, sign = line[counter], line[counter + 1].kind
    if number.kind not in (Kind.BARE, Kind.ROUND, Kind.ORDINAL) and not number.text.startswith("#"):
        return None, place
    behind = counter + (1 if sign in IDS else 2)
    marked = behind < len(line) and line[behind].kind in MARKED
    sure = counter > place or marked or sign in (Kind.DOT, Kind.CLOSE) or (header and sign is Kind.BAR)
    if sure and (sign in _BEHIND_COUNT or sign in MARKED or (counter > place and sign is Kind.BARE)):
        return number.ids.start, behind
    return None, place


def _is_header(line: Sequence[Token]) -> bool:
    """Whether a table's line says that ranks come first: `| Rank | Passage |`."""
    words = [token for token in line if token.kind is not Kind.BAR]
    return len(words) > 1 and len(line) > len(words) and words[0].kind is Kind.RANK


def _is_alone(token: Token, behind: Sequence[Token]) -> bool:
    """Whether the line is about this id: no list goes on behind it, and a bare number is no other number."""
    kinds = [each.kind for each in behind]
    if Kind.GREATER in kinds or Kind.LESS in kinds:
        return False
    joined = next((each for each in behind if each.kind not in _SEPARATORS | {Kind.EQUAL, Kind.THEN}), None)
    if joined is not None and (joined.kind in MARKED or joined.kind is token.kind):
        return False
    if token.kind in MARKED:
        return True
    return set(kinds) <= {Kind.SCORE, Kind.BAR, Kind.COLON, Kind.DASH, Kind.COMMA, Kind.DOT, Kind.CLOSE}
