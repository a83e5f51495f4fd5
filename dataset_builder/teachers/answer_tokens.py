"""The words of a ranking answer: ids of passages, other numbers, the signs between them, and prose."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

_NAME = (
    "passages?|paragraphs?|documents?|docs?|texts?|results?|snippets?|candidates?|options?|items?|entry|psg|chunks?"
    r"|articles?|excerpts?|sources?|identifiers?|ids?|no\.?|absatz|dokument|documento|pasaje|texte?|段落|文档|文書"
)
_LABEL = rf"(?:(?<![^\W\d_])(?:{_NAME})[ \t]*(?:[:#=][ \t]*)?|(?<![^\W\d_])[pd](?=\d)|\#)"

# The first that fits. NAMED to BARE are the notations of an id, the surest first.
_TOKEN = re.compile(
    rf"""
      (?P<RANGE>   \[\s*\d+\s*[-–—]\s*\d+\s*\] )
    | (?P<NAMED>   {_LABEL}{{0,3}} \[\s* {_LABEL}{{0,3}} \d+ \s*\] | \(\s* {_LABEL}{{1,3}} \d+ \s*\)
                 | {_LABEL}{{1,3}} \d+ (?![^\W_]|\.\d) )
    | (?P<ROUND>   \(\s*\d+\s*\) )
    | (?P<NOTE>    \( (?=[^()\n]*[^\W\d_]) [^()\n]* \) )
    | (?P<SCORE>   [-+]?\d+\.\d+ % ? | \d+\s*% | (?<!/)\b\d+\s*/\s*(?:5|10|100)\b(?!\s*/) )
    | (?P<BARE>    (?<![\w.])\d+(?!\w|\.\d) )
    | (?P<ORDINAL> \b\d+(?:st|nd|rd|th)\b )
    | (?P<GREATER> > )
    | (?P<LESS>    < )
    | (?P<EQUAL>   = )
    | (?P<DOTS>    \.\.\.+ | … )
    | (?P<DOT>     [.!?。] )
    | (?P<COLON>   : )
    | (?P<DASH>    [-–—]+ )
    | (?P<BAR>     \| )
    | (?P<COMMA>   [,;&/、،] )
    | (?P<BULLET>  [•·◦▪+\#] )
    | (?P<OPEN>    [\[({{] )
    | (?P<CLOSE>   [\])}}] )
    | (?P<NEWLINE> \n )
    | (?P<THEN>    \b(?:then|followed[ ]by|next|finally|lastly|afterwards)\b )
    | (?P<AND>     \b(?:and|und|et|y)\b )
    | (?P<TO>      \b(?:to|through|until)\b )
    | (?P<RANK>    \b(?:rank\w*|position|place|top)\b )
    | (?P<MEASURE> \b(?:relevance|relevancy|relevant|scores?|scored|rating|rated|points?|pts|confidence|grade
                     |probability|similarity|weight)\b )
    | (?P<WORD>    \w+ )
    | (?P<OTHER>   \S )
    """,
    re.I | re.X,
)


class Kind(Enum):
    """What a token is; the names are those of the groups above."""

    RANGE = auto()
    NAMED = auto()
    ROUND = auto()
    NOTE = auto()
    SCORE = auto()
    BARE = auto()
    ORDINAL = auto()
    GREATER = auto()
    LESS = auto()
    EQUAL = auto()
    DOTS = auto()
    DOT = auto()
    COLON = auto()
    DASH = auto()
    BAR = auto()
    COMMA = auto()
    BULLET = auto()
    OPEN = auto()
    CLOSE = auto()
    NEWLINE = auto()
    THEN = auto()
    AND = auto()
    TO = auto()
    RANK = auto()
    MEASURE = auto()
    WORD = auto()
    OTHER = auto()


IDS = frozenset({Kind.RANGE, Kind.NAMED, Kind.ROUND, Kind.BARE})
MARKED = frozenset({Kind.RANGE, Kind.NAMED})
PROSE = frozenset({Kind.WORD, Kind.OTHER, Kind.THEN, Kind.TO, Kind.MEASURE, Kind.RANK, Kind.NOTE})


@dataclass(frozen=True, slots=True)
class Token:
    """A token, with its place in the text."""

    kind: Kind
    text: str
    begin: int
    end: int

    @property
    def ids(self) -> range:
        """The ids that a token of one of the kinds `IDS` names."""
        numbers = [_number(digits) for digits in re.findall(r"\d+", self.text)]
        return range(numbers[0], numbers[-1] + 1)

    @property
    def number(self) -> float | None:
        """The first number in a token: a score, a rank."""
        found = re.search(r"[-+]?\d+(?:\.\d+)?", self.text)
        return float(found[0][:20]) if found else None


def tokens_of(text: str) -> Iterator[Token]:
    """The tokens of `text`, as `plain_text` leaves it."""
    for match in _TOKEN.finditer(text):
        yield Token(Kind[match.lastgroup or "OTHER"], match[0], match.start(), match.end())


def _number(digits: str) -> int:
    """No pool has more than nine digits' worth of passages; longer ones only must stay out of range."""
    return int(digits[:10])
