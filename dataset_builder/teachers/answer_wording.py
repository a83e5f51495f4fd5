"""What the words of an answer say about the list in it: that it is declined, tied, in no order, or worst first."""

import re

_REFUSAL = re.compile(
    r"\bsorry\b|\bapologi[sz]e|\bas an ai\b|\bas a language model\b"
    r"|\b(?:i|we)\s+(?:can\s?not|can'?t|won'?t|will not|must decline|refuse|decline)\b(?!\s+help\s+(?:but|\w+ing))"
    r"|\b(?:i'?m|(?:i|we)\s+(?:am|are))\s+(?:unable|not able)\b"
    r"|\b(?:unable to|can\s?not|can'?t)\s+(?:assist|help(?!\s+(?:but|\w+ing))|comply|rank|provide|process|fulfil"
    r"|complete|engage)"
    r"|\bagainst (?:my|our|the) (?:guidelines|polic)|\b(?:not|n't)\s+(?:feel\s+)?comfortable\b"
    r"|抱歉|对不起|无法|申し訳|できません|\bleider\b|\blo siento\b|\bje ne peux pas\b|\bdésolé",
    re.I,
)

_HIGH = r"(?:most|highest|best|strongest|greatest|highly|higher|better|top(?!\s+\d)|more|high|very)"
_LOWEST = r"(?:least|lowest|worst|weakest|poorest|smallest|minimum)"
_LOW = rf"(?:{_LOWEST}|lower|less|low|bottom|irrelevant|unrelated|not\s+(?:at all\s+)?relevant)"
_TO = r"(?:to|down to|up to|towards?|until|through|→|>|-|–)"
_ORDER = r"(?:order\w*|relevan\w+|scores?|importance|usefulness|quality|rank\w*)"
_ORDERED = r"(?:order\w*|sort\w*|rank\w*|list\w*|arrang\w*)"
_RISING = r"(?:ascend\w*|increas\w*|rising|growing)"
_THE = r"(?:with|from|by|is|being|at|means|the|one|item|entry|passage|of|list|in|=)"
# Between two words of one sentence; TIGHT, of one clause.
_GAP, _TIGHT = r"[^\w.!?\n]{1,6}", r"[^\w.!?\n,;]{1,6}"
_FEW = rf"(?:{_GAP}\w+){{0,4}}?{_GAP}"

# Taken away first, so that `from most to least` is not found to begin with `least`.
_BEST_FIRST = re.compile(
    rf"\b{_HIGH}\b(?:{_GAP}\w+){{0,5}}?{_GAP}{_TO}(?:{_GAP}\w+){{0,3}}?{_GAP}{_LOW}\b"
    rf"|\b{_HIGH}\b(?:{_TIGHT}\w+){{0,3}}?{_TIGHT}first\b|\b{_LOW}\b(?:{_TIGHT}\w+){{0,3}}?{_TIGHT}last\b",
    re.I,
)
_WORST_FIRST = re.compile(
    rf"\b{_LOWEST}\b(?:{_GAP}\w+){{0,4}}?{_GAP}{_TO}{_GAP}(?:the{_GAP})?(?:{_HIGH}|relevant)\b"
    rf"|\b{_LOW}{_GAP}{_TO}{_GAP}(?:the{_GAP})?(?:{_HIGH}|relevant)\b"
    rf"|\bfrom{_GAP}(?:the{_GAP})?(?:{_LOWEST}|bottom)\b"
    rf"|\bfrom{_GAP}(?:the{_GAP})?{_LOW}(?:{_GAP}\w+){{0,3}}?{_GAP}{_TO}{_GAP}(?:the{_GAP})?{_HIGH}\b"
    rf"|\b{_LOW}\b{_FEW}(?:(?:comes?|goes|placed|listed)\s+)?first\b"
    rf"|\b{_HIGH}\b{_FEW}last\b"
    rf"|\b(?:first|beginning|begins?|starts?|starting|left|leftmost|top)\b(?:{_GAP}{_THE}){{1,4}}{_GAP}{_LOW}\b"
    rf"|\b(?:last|ending|ends?|finish\w*|right|rightmost)\b(?:{_GAP}{_THE}){{1,4}}{_GAP}{_HIGH}\b"
    rf"|\b{_LOW}\b{_FEW}(?:at|on){_GAP}(?:the{_GAP})?(?:very{_GAP})?(?:top|start|beginning|front|head|left)\b"
    rf"|\b{_HIGH}\b{_FEW}(?:at|on|in){_GAP}(?:the{_GAP})?(?:very{_GAP})?(?:end|bottom|right|back|tail)\b"
    rf"|\b{_RISING}{_GAP}(?:\w+{_GAP})?order\b|\bascending\b"
    rf"|\b(?:in|by|of|with){_GAP}(?:the{_GAP})?{_RISING}(?:{_GAP}\w+){{0,3}}?{_GAP}{_ORDER}"
    rf"|\b{_ORDERED}(?:{_GAP}\w+){{0,4}}?{_GAP}{_RISING}\b"
    rf"|\brelevan\w+{_GAP}(?:\w+{_GAP})?(?:rises|increases|grows|improves|goes up)\b"
    rf"|\b(?:descending|decreasing)(?:{_GAP}\w+){{0,2}}?{_GAP}irrelevan"
    rf"|\b(?:more|better|higher)\b{_FEW}than{_GAP}(?:the{_GAP})?(?:(?:one|passage){_GAP})?"
    rf"(?:before|previous|preceding)\b"
    rf"|\bthe{_GAP}(?:later|further|farther|higher{_GAP}the{_GAP}(?:position|place|rank|number)){_FEW}"
    rf"the{_GAP}(?:more|better)\b"
    r"|\b(?:revers\w*|invers\w*|inverted|backwards?)\b|\bbottom[\s-]+(?:to[\s-]+top|up)\b|\bupside down\b"
    rf"|\b1{_GAP}(?:(?:is|being|means){_GAP})?(?:the{_GAP})?{_LOWEST}\b"
    r"|\baufsteigend|\bumgekehrt|\b(?:schlechteste|unwichtigste)\w*\W+zuerst|\bascendente|\bcreciente|\bcrescente"
    r"|\bcroissant|\bde (?:menos|menor) a (?:más|mayor)\b|\bdu moins\b|\bam wenigsten\b.{0,40}\b(?:bis|zuerst)\b"
    r"|\bпо возрастанию|升序|昇順|오름차순|从低到高|由低到高|从最不|由最不|从差到|低い順|逆順|倒序",
    re.I,
)
_NO_ORDER = re.compile(
    rf"\b(?:no|any|random)\b(?:{_GAP}\w+){{0,2}}?{_GAP}(?:order|ranking)\b"
    rf"|\bnot{_GAP}(?:listed{_GAP})?in{_GAP}(?:\w+{_GAP})?order\b"
    rf"|\border{_GAP}(?:does\W?n.?t|does not|is not|isn.?t)\b|\brandom(?:ly)?\b|\barbitrar\w+"
    r"|\b(?:not|un)[\s-]?(?:ranked|ordered|sorted)\b|\bcan\s?not be (?:ranked|ordered|sorted)\b"
    r"|\bequal(?:ly)?\b|\bsame (?:level|degree|relevan\w+|score|rank|amount|extent)|\bno (?:clear )?difference"
    rf"|\b(?:tied?|ties|tying|identical(?:ly)?|indistinguishable|equivalent(?:ly)?)\b|\bsimilarly{_GAP}relevan"
    rf"|\bgleich\w*{_GAP}relevan|\bmisma relevancia|\bigual(?:mente)?\b|\bégalement pertinent|同样|相同|同等",
    re.I,
)
_AS_SHOWN = re.compile(
    r"\b(?:original|given|initial|input|default|provided|presented|numerical|numeric|alphabetical|chronological)"
    rf"{_GAP}order|\border{_GAP}(?:\w+{_GAP})?"
    r"(?:they|in which they|that they|as(?!\s+follows)|given|shown|presented|provided|listed)\b(?!\s+below)"
    r"|\b(?:unchanged|as is)\b|\b(?:left|leave|kept|keep|not change|not alter)(?:ed|d)? (?:the|their|this) order\b",
    re.I,
)
_DENIAL = re.compile(
    r"\b(?:none|neither|nor|nothing|irrelevant|unrelated|no)\b|\b(?:not|n't)\b|没有|不相关|\bkeine?\b|\bninguno|\baucun",
    re.I,
)
_DENIAL_OF_ALL = re.compile(
    rf"\b(?:none|neither|nothing)\b|\bno{_GAP}(?:\w+{_GAP})?(?:passages?|ranking|order|documents?|one)\b"
    rf"|\b(?:all|any)\b(?:{_GAP}\w+){{0,5}}?{_GAP}(?:irrelevant|unrelated|not)\b|都不",
    re.I,
)
_SUPERLATIVE = r"[^\w\n.]{0,4}(?:the\s+)?(?:%s)"
_NOTED_WORST = re.compile(_SUPERLATIVE % rf"{_LOWEST}\b", re.I)
_NOTED_BEST = re.compile(
    _SUPERLATIVE % r"(?:best|highest)\b|most\s+(?:relevan\w+|useful|helpful|important)\b", re.I
)
_ORDER_WORD = re.compile(
    r"\b(?:re-?)?rank\w*|\border\w*|\bsort\w*|\bpermutation|\bdescending|\bbest\b|\bmost\b|\btop\b|\bfinal\b|\banswer\b"
    r"|\b(?:results?|output|json)\b|\bRang\w*|\bReihenfolge|\bclassement|\borden\b|\bclassifica|\bпорядок|排序|排名|順位|순위",
    re.I,
)
_PLAIN_ORDER_WORD = re.compile(r"\b(?:re-?)?rank\w*|\border\w*|\bsort\w*|\bpermutation|排序|排名|順位", re.I)
_SCORES = re.compile(r"\b(?:scores|ratings|grades|labels)\b", re.I)
_COLON = re.compile(r"[:=\n][ \[({|-]*$")
_LEADS_TO = re.compile(r"(?:[:=\n]|\b(?:is|are|as follows))[ \[({|-]*$", re.I)
_IS_LOW = re.compile(rf"\b{_LOW}\b", re.I)
_IS_HIGH = re.compile(rf"\b{_HIGH}\b", re.I)
_SENTENCE_END = re.compile(r"[.!?。](?=\s|$)|\n")
_QUANTIFIER = re.compile(r"\b(?:all|every|each|any|both|they|these|everything)\b", re.I)


def declines(text: str) -> bool:
    """Whether the words decline or apologize."""
    return bool(_REFUSAL.search(text.replace("’", "'")))


def is_worst_first(text: str) -> bool:
    """Whether the words say that lists begin with the worst."""
    return bool(_WORST_FIRST.search(_BEST_FIRST.sub(" ", text)))


def notes_worst_first(behind_first: str, behind_last: str) -> bool:
    """Whether the first passage is noted to be the worst, or the last the best: `[3] (least relevant) > [1]`."""
    return bool(_NOTED_WORST.match(behind_first) or _NOTED_BEST.match(behind_last))


def is_unordered(text: str, begin: int, end: int) -> bool:
    """Whether the words around the list from `begin` to `end` take its order back: ties, chance.

    A remark behind the list about some of its passages does not.
    """
    for match in _NO_ORDER.finditer(text):
        sentence = text[_sentence_begin(text, match.start()) : _sentence_end(text, match.end())]
        if match.start() < end or _QUANTIFIER.search(sentence) or not re.search(r"\d", sentence):
            return True
    return False


def is_as_shown(text: str) -> bool:
    """Whether the words say that the order is the one that the passages were shown in."""
    return bool(_AS_SHOWN.search(text))


def denies(text: str) -> bool:
    """Whether the words say that something is not so."""
    return bool(_DENIAL.search(text))


def denies_all(text: str) -> bool:
    """Whether the words say that no passage is relevant."""
    return bool(_DENIAL_OF_ALL.search(text))


def introduces_order(before: str, plainly: bool = False) -> bool:
    """Whether the clause right before a list announces an order: `the best are`, or `plainly`: `the ranking:`."""
    clause = introduction(before).rpartition(", ")[2] if not plainly else introduction(before)
    word, leads = (_PLAIN_ORDER_WORD, _COLON) if plainly else (_ORDER_WORD, _LEADS_TO)
    return bool(word.search(clause) and leads.search(clause)) and not _DENIAL.search(clause)


def introduces_scores(before: str) -> bool:
    """Whether the words right before a list announce scores, which may look like ids."""
    return bool(_SCORES.search(introduction(before)))


def introduces_worst(before: str) -> bool:
    """Whether the words right before a list speak of the worst alone: `Least relevant: [3] > [1]`."""
    intro = introduction(before)
    return bool(_IS_LOW.search(intro)) and not _IS_HIGH.search(intro)


def introduction(before: str) -> str:
    """The sentence or line that leads up to a list."""
    ends = [match.end() for match in _SENTENCE_END.finditer(before.rstrip(" [({-|\n>#:.!"))]
    return before[ends[-1] if ends else 0 :]


def _sentence_begin(text: str, place: int) -> int:
    ends = [match.end() for match in _SENTENCE_END.finditer(text, 0, place)]
    return ends[-1] if ends else 0


def _sentence_end(text: str, place: int) -> int:
    match = _SENTENCE_END.search(text, place)
    return match.start() if match else len(text)
