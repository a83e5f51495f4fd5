"""Rankings that a model writes as JSON: lists of ids, of objects, and maps."""

import json
import re
from collections.abc import Iterator, Sequence

from dataset_builder.teachers.answer_tokens import Kind
from dataset_builder.teachers.listings import Entry, Listing

Json = dict[str, object] | list[object]

_ID_KEY = re.compile(r"\b(?:id|identifier|passage|document|doc|docid|number|index|item|candidate)\w*$", re.I)
_RANK_KEY = re.compile(r"\b(?:rank|position|place|order)\w*$", re.I)
_SCORE_KEY = re.compile(r"score|relevan|rating|confidence|grade|probability|points|weight|similarity", re.I)
_ORDER_KEY = re.compile(
    r"rank|order|sort|permutation|result|answer|output|passages|documents|ids\b|identifiers", re.I
)
_NAMED_ID = re.compile(
    r"^\s*(?:\[\s*(\d+)\s*\]|(?:passage|document|doc|id|item|p|d)\W*\[?(\d+)\]?|#(\d+))\s*$", re.I
)
_ANY_ID = re.compile(r"^\W*(?:(?:passage|document|doc|id|item|p|d)\W*)?(\d+)\W*$", re.I)
_COUNT = re.compile(r"^\W*(?:rank|position|place|top)[\W_]*(\d+)\W*$", re.I)
MOST_VALUES = 1000


def json_listing(text: str) -> tuple[bool, Listing | None, int, int]:
    """Whether `text` holds a JSON document with objects or lists of lists in it, the list of passages it means, None
    where it means none for sure, and where it begins and ends.

    Plain lists of ids are left to `listings_of`, which reads them like any other text.
    """
    values = list(_values(text))
    objects = [(value, begin, end) for value, begin, end in values if isinstance(value, dict)]
    if len(objects) > 1 and len(objects) == len(values):
        values = [([value for value, _, _ in objects], objects[0][1], objects[-1][2])]
    nested = [each for each in values if isinstance(each[0], dict) or _is_nested(each[0])]
    if not nested:
        return False, None, 0, 0
    value, begin, end = nested[-1]
    found = _entries(value)
    if found is None or len(nested) > 1:
        return True, None, begin, end
    entries, counted, ranked = found
    placed = tuple(Entry(range(i, i + 1), Kind.NAMED, begin, end, number=number) for i, number in entries)
    return True, Listing(placed, counted=counted, ranked=ranked) if placed else None, begin, end


def _values(text: str) -> Iterator[tuple[Json, int, int]]:
    """The outermost JSON objects and lists in a text, with their places."""
    decoder = json.JSONDecoder()
    place = 0
    for _ in range(MOST_VALUES):
        begin = min((at for at in (text.find("{", place), text.find("[", place)) if at >= 0), default=-1)
        if begin < 0:
            return
        try:
            value, place = decoder.raw_decode(text, begin)
        except (ValueError, RecursionError):
            place = begin + 1
        else:
            yield value, begin, place


def _is_nested(value: Json) -> bool:
    return len(value) > 1 and any(isinstance(each, dict | list) for each in value)


_Entries = tuple[list[tuple[int, float | None]], bool, bool]


def _entries(value: object) -> _Entries | None:
    """Ids with the numbers beside them, whether they are counted, and whether the numbers are ranks."""
    if isinstance(value, list):
        return _of_list(value)
    if isinstance(value, dict):
        lists = {key: each for key, each in value.items() if isinstance(each, list)}
        if not lists:
            return _of_map(value)
        named = [
            each
            for key, each in lists.items()
            if _is_order_key(key) or (len(lists) == 1 and not _SCORE_KEY.search(key))
        ]
        found = _of_list(named[0]) if len(named) == 1 else None
        return (found[0], True, found[2]) if found else None
    return None


def _is_order_key(key: str) -> bool:
    return bool(_ORDER_KEY.search(key)) and not re.search(r"scores|ratings|grades", key, re.I)


def _of_list(values: Sequence[object]) -> _Entries | None:
    ids = [_id(each, _ANY_ID) for each in values]
    known = [number for number in ids if number is not None]
    if len(known) == len(ids):
        return [(number, None) for number in known], False, False
    rows = [_row(each) for each in values if isinstance(each, dict)]
    found = [row for row in rows if row is not None]
    if len(found) < len(values):
        return None
    kinds = {ranked for _, number, ranked in found if number is not None}
    return (
        ([(number, beside) for number, beside, _ in found], False, kinds == {True})
        if len(kinds) < 2
        else None
    )


def _row(row: dict[str, object]) -> tuple[int, float | None, bool] | None:
    """A passage's id, its rank or score, and whether that is a rank."""
    ids = [
        number
        for key, each in row.items()
        if _ID_KEY.search(key) and (number := _id(each, _ANY_ID)) is not None
    ]
    if len(ids) != 1:
        return None
    for pattern in (_RANK_KEY, _SCORE_KEY):
        for key, each in row.items():
            if pattern.search(key) and not _ID_KEY.search(key) and _is_number(each):
                return ids[0], float(str(each)), pattern is _RANK_KEY
    return ids[0], None, False


def _of_map(values: dict[str, object]) -> _Entries | None:
    """`{"rank 1": 3}` and `{"passage 3": 0.9}`; a map from numbers to numbers may mean either."""
    counts = [match and int(match[1][:10]) for key in values if (match := _COUNT.match(key)) or True]
    ids = [_id(each, _ANY_ID) for each in values.values()]
    marked = [_id(each, _NAMED_ID) if isinstance(each, str) else None for each in values.values()]
    in_turn = list(range(1, len(ids) + 1))
    if None not in ids and (counts == in_turn or (None not in marked and [*map(str, in_turn)] == [*values])):
        return [(number, None) for number in ids if number is not None], True, False
    keys = [_id(key, _NAMED_ID) for key in values]
    if None in keys or not all(map(_is_number, values.values())):
        return None
    return (
        [(n, float(str(each))) for n, each in zip(keys, values.values(), strict=True) if n is not None],
        False,
        False,
    )


def _id(value: object, pattern: re.Pattern[str]) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    match = pattern.match(str(value))
    return int(next(digits for digits in match.groups() if digits)[:10]) if match else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
