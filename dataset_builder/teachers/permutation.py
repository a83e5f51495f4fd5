"""Reads a language model's ranking answer into a permutation of the passages it was shown.

Listwise permutation generation asks for `[2] > [3] > [1]` (Sun et al., "Is ChatGPT Good at Search?",
EMNLP 2023). What comes back is untrusted text. Their parser falls back to the first-stage order where it
finds nothing, so that the retriever's order is written as the teacher's label; this one never does, and what is not
surely an order, best first, is no order.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from dataset_builder.teachers import answer_wording as wording
from dataset_builder.teachers.answer_text import plain_text, without_reasoning
from dataset_builder.teachers.answer_tokens import IDS, MARKED, PROSE, Token, tokens_of
from dataset_builder.teachers.json_listings import json_listing
from dataset_builder.teachers.listings import BELOW, TIED, UP_TO, Entry, Listing, listings_of

# `[1-9999999999]` must not fill the memory; nobody shows a model more passages at once.
LONGEST_RANGE = 1000
# Words that say nothing about a list.
_BARE_WORDS = frozenset(
    {"json", "boxed", "text", "markdown", "plaintext", "ranking", "rank", "order", "answer"}
)


@dataclass(frozen=True, slots=True)
class Permutation:
    """What an answer says.

    `levels`: for each passage, as shown, its level from 0, the most relevant; those that share one are not told
    apart, and the missing share the last. None where the answer gave no order. `missing`: the indices the answer left
    out. `repaired`: the indices whose places it did not give for sure: missing, tied, repeated or within a range.
    """

    levels: tuple[int, ...] | None
    status: str
    missing: tuple[int, ...] = ()
    repaired: tuple[int, ...] = ()

    @property
    def order(self) -> tuple[int, ...] | None:
        """Indices from 0, most relevant first, within a level as shown: a permutation; None where there is none."""
        if self.levels is None:
            return None
        return tuple(sorted(range(len(self.levels)), key=self.levels.__getitem__))


def parse_permutation(answer: str, num_passages: int) -> Permutation:
    """Read a ranking of the passages with the ids 1 to `num_passages` out of `answer`.

    Ids are read in any common notation (`[2] > [1]`, `2, 1`, `Passage 2 > Passage 1`, a numbered list, a table,
    JSON), with prose, remarks or reasoning around them; the list with most ids counts, of equals one that says by
    its signs that it is an order, then the later.

    Returns:
        A permutation whose status is
        `ok`: every id is listed exactly once, and no other number;
        `repaired`: at least half of the ids (and at least two) are listed. Repeats after the first and
        ids out of range are dropped, an id that may be cut off at the very end too. The missing are
        appended as they were shown; ids that only lie within a range (`[6] - [20]`) stand where it stands, and a few
        that are tied (`[2] = [1]`) stand as shown;
        `refused`: the model declines; no order;
        `unusable`: anything else, no order: empty, only reasoning, too few ids, ids that count from 0,
        worst first, ties, passages that are only named or remarked on one by one, scores or ranks that do not follow
        the list, or several groups of which none holds all ids, so that nobody can tell the order between them.
    """
    said = without_reasoning(answer)
    found = _found_in(said, num_passages)
    if found is None or not _is_order(found, num_passages):
        return Permutation(None, "refused" if wording.declines(plain_text(said)) else "unusable")
    return _levelled(found.listing, num_passages)


@dataclass(frozen=True, slots=True)
class _Found:
    """A list, and the plain text before it, of it and behind it."""

    listing: Listing
    before: str
    own: str
    behind: str

    @property
    def text(self) -> str:
        return self.before + self.own + self.behind

    @property
    def behind_first(self) -> str:
        """What stands behind the first id."""
        return self.own[self.listing.entries[0].end - self.listing.begin :]

    @property
    def ids(self) -> list[int]:
        return [number for number, _, _ in _placements(self.listing)]

    @property
    def as_shown(self) -> bool:
        """Whether the ids only count up, as the passages were shown."""
        return self.ids == sorted(self.ids)


def _found_in(said: str, num_passages: int) -> _Found | None:
    is_json, listing, begin, end = json_listing(said)
    if is_json:
        before, own, behind = map(plain_text, (said[:begin], said[begin:end], said[end:]))
        return _Found(listing, f"{before}\n", own, f"\n{behind}") if listing else None
    text = plain_text(said)
    listing = _longest(text, list(tokens_of(text)), num_passages)
    if listing is None:
        return None
    return _Found(listing, text[: listing.begin], text[listing.begin : listing.end], text[listing.end :])


def _longest(text: str, tokens: Sequence[Token], num_passages: int) -> Listing | None:
    ids = [token for token in tokens if token.kind in IDS]
    if num_passages == 1 and [token.ids for token in ids] == [range(1, 2)]:
        return Listing((Entry(range(1, 2), ids[0].kind, ids[0].begin, ids[0].end),))
    found = [_without_cut_off_id(listing, text, num_passages) for listing in listings_of(tokens)]
    return max(
        sorted((each for each in found if each.entries), key=lambda listing: -listing.begin),
        key=lambda listing: (len(_listed(listing, num_passages)), listing.says_order),
        default=None,
    )


def _is_order(found: _Found, num_passages: int) -> bool:
    """Whether a list is surely an order of enough passages, best first."""
    listing = found.listing
    counts_from_zero = 0 in found.ids and num_passages not in found.ids
    return (
        _enough(listing, num_passages)
        and not counts_from_zero
        and all(entry.link != BELOW for entry in listing.entries)
        and _numbers_agree(listing)
        and (listing.counted or _is_tidy(found, num_passages))
        and not (wording.introduces_scores(found.before) and not listing.is_marked)
        and not _lacks_named(found, num_passages)
        and not wording.is_worst_first(found.text)
        and not wording.notes_worst_first(found.behind_first, found.behind)
        and not wording.is_unordered(found.text, len(found.before), len(found.before + found.own))
        and not wording.introduces_worst(found.before)
        and not wording.is_as_shown(wording.introduction(found.before))
        and (listing.says_order or _stands_for_itself(found))
        and not (found.as_shown and num_passages > 1 and _says_nothing(found))
    )


def _enough(listing: Listing, num_passages: int) -> bool:
    levels = sum(entry.link != TIED for entry in listing.entries)
    least = min(num_passages, max(2, math.ceil(num_passages / 2)))
    return len(_listed(listing, num_passages)) >= least and levels >= least


def _is_tidy(found: _Found, num_passages: int) -> bool:
    """Whether no number in a list can be a score: only marked ids, or a whole chain, may repeat or be out of range."""
    if found.listing.is_marked and found.listing.says_order:
        return True
    good = {number for number in found.ids if 1 <= number <= num_passages}
    odd = len(found.ids) - len(good)
    return 2 * odd < len(good) if found.listing.is_chain else not odd


def _numbers_agree(listing: Listing) -> bool:
    """Whether the scores or ranks beside the ids follow the list: scores fall, ranks count from 1."""
    numbers = [entry.number for entry in listing.entries if entry.number is not None]
    in_turn = [float(count) for count in range(1, len(numbers) + 1)]
    if len(numbers) < 2:
        return not numbers or listing.says_order
    if numbers == in_turn:
        return listing.ranked or listing.says_order
    falls = numbers == sorted(numbers, reverse=True) and numbers[0] > numbers[-1]
    backwards = listing.ranked or (numbers == in_turn[::-1] and not listing.says_order)
    return falls and not backwards and (listing.is_marked or not all(map(float.is_integer, numbers)))


def _lacks_named(found: _Found, num_passages: int) -> bool:
    """Whether ids that the list lacks are named before it, or listed behind it: nobody can tell where they belong."""
    before, behind = list(tokens_of(found.before)), list(tokens_of(found.behind))
    if found.listing.is_marked:
        elsewhere = [token.ids for token in before if token.kind in MARKED]
        elsewhere += [entry.ids for each in listings_of(behind) for entry in each.entries]
    else:
        elsewhere = [token.ids for token in [*before, *behind] if token.kind in IDS]
    named = {ids.start for ids in elsewhere if len(ids) == 1 and 1 <= ids.start <= num_passages}
    return bool(named - set(found.ids))


def _says_nothing(found: _Found) -> bool:
    """Whether passages that are listed as they were shown are only remarked on, declined or called irrelevant."""
    text = found.before + "\n" + found.behind
    numbered_remarks = found.listing.counted and found.listing.remarks
    return numbered_remarks or wording.denies_all(text) or wording.declines(text) or wording.is_as_shown(text)


def _stands_for_itself(found: _Found) -> bool:
    """Whether a list without signs of order is the whole answer, or its first lines, or is announced as an order."""
    before, behind = (any(map(_says_something, tokens_of(text))) for text in (found.before, found.behind))
    remarks = found.listing.remarks
    if not remarks and not before and not behind:
        return True
    if found.as_shown:
        return not remarks and wording.introduces_order(found.before, plainly=True)
    own_lines = not before and re.match(r"[ .)\]}]*\n", found.behind)
    return (
        bool(own_lines)
        or wording.introduces_order(found.before)
        or (remarks and not wording.denies(found.before))
    )


def _says_something(token: Token) -> bool:
    return token.kind in IDS or (token.kind in PROSE and token.text.lower() not in _BARE_WORDS)


def _listed(listing: Listing, num_passages: int) -> set[int]:
    """The ids in range that the list gives by themselves."""
    return {
        number for number, by_itself, _ in _placements(listing) if by_itself and 1 <= number <= num_passages
    }


def _placements(listing: Listing) -> Iterator[tuple[int, bool, bool]]:
    """Each id, whether it is given by itself, not only within a range, and whether it is tied with the one before."""
    before = range(0)
    for entry in listing.entries:
        between = range(before.stop, entry.ids.start) if entry.link == UP_TO else range(0)
        for number in between[:LONGEST_RANGE]:
            yield number, False, False
        for number in entry.ids[:LONGEST_RANGE]:
            yield number, len(entry.ids) == 1, entry.link == TIED
        before = entry.ids


def _without_cut_off_id(listing: Listing, text: str, num_passages: int) -> Listing:
    """Drop a last id that may be the beginning of a missing one: `... > [1` of `... > [15]`."""
    if listing.end != len(text) or not text[-1].isdigit():
        return listing
    ids = [entry.ids.start for entry in listing.entries]
    repeated = listing.entries[-1].notation is not listing.entries[0].notation and ids[-1] in ids[:-1]
    last = str(ids[-1])
    missing = set(range(1, num_passages + 1)) - set(ids)
    if not repeated and not any(str(number).startswith(last) for number in missing):
        return listing
    return replace(listing, entries=listing.entries[:-1])


def _levelled(listing: Listing, num_passages: int) -> Permutation:
    placements = list(_placements(listing))
    listed = _listed(listing, num_passages)
    levels: dict[int, int] = {}
    doubtful: set[int] = set()
    for level, (number, by_itself, tied) in enumerate(placements):
        if not 1 <= number <= num_passages or (not by_itself and number in listed):
            continue
        if not by_itself or number - 1 in levels:
            doubtful.add(number - 1)
        before = placements[level - 1][0] - 1
        levels.setdefault(number - 1, levels.get(before, level) if tied else level)
    shared = Counter(levels.values())
    missing = tuple(sorted(set(range(num_passages)) - set(levels)))
    doubtful |= {index for index, level in levels.items() if shared[level] > 1} | set(missing)
    whole = not doubtful and len(placements) == num_passages
    full = tuple(levels.get(index, len(placements)) for index in range(num_passages))
    return Permutation(full, "ok" if whole else "repaired", missing, tuple(sorted(doubtful)))
