"""Reads a language model's ranking answer into a permutation of the passages it was shown.

Listwise permutation generation asks for `[2] > [3] > [1]` (Sun et al., "Is ChatGPT Good at Search?",
EMNLP 2023). What comes back is untrusted text. Their parser falls back to the first-stage order where it
finds nothing, so that the retriever's order is written as the teacher's label; this one never does.
"""

import math
import re
from dataclasses import dataclass

from dataset_builder.teachers.passage_ids import Chain, Mention, final_text, find_chains, find_mentions

_REFUSAL = re.compile(
    r"\bsorry\b|\bapologi[sz]e|\bas an ai\b|\bas a language model\b"
    r"|\b(?:i|we)\s+(?:can\s?not|can'?t|won'?t|will not|must decline|refuse|decline)\b"
    r"|\b(?:i'?m|(?:i|we)\s+(?:am|are))\s+(?:unable|not able)\b"
    r"|\b(?:unable to|can\s?not|can'?t)\s+(?:assist|help|comply|rank|provide|process|fulfil|complete|engage)"
    r"|\bagainst (?:my|our|the) (?:guidelines|polic)|\b(?:not|n't)\s+(?:feel\s+)?comfortable\b|抱歉|对不起",
    re.I,
)
_REVERSED = re.compile(
    r"\b(?:least|lowest|worst)\b.{0,20}\bto\b.{0,20}\b(?:most|highest|best)\b|\bascending\b", re.I
)
_MAP_OF_NUMBERS = re.compile(r"\d\s*:\s*\d")


@dataclass(frozen=True, slots=True)
class Permutation:
    """What an answer says.

    `order`: indices from 0, most relevant first, a permutation; None where the answer gave none.
    `missing`: the indices the answer left out, which end `order` in the order they were shown in.
    """

    order: tuple[int, ...] | None
    status: str
    missing: tuple[int, ...] = ()


def parse_permutation(answer: str, num_passages: int) -> Permutation:
    """Read a ranking of the passages with the ids 1 to `num_passages` out of `answer`.

    Ids are read in any common notation (`[2] > [1]`, `2, 1`, `Passage 2 > Passage 1`, a numbered list, a
    JSON array), with prose, code fences, remarks or reasoning around them; the longest chain counts, of
    equally long ones one with `>` before one without (passages may also be just enumerated), then the later.

    Returns:
        A permutation whose status is
        `ok`: every id is listed exactly once, and no other number;
        `repaired`: at least half of the ids (and at least two) are listed. Repeats after the first and
        ids out of range are dropped, an id that may be cut off at the very end too. The missing are
        appended as they were shown; ids that only lie within a range (`[6] - [20]`) stand where it stands;
        `refused`: the model declines; no order;
        `unusable`: anything else, no order: empty, only reasoning, too few ids, ids that count from 0,
        worst first, remarks on the passages one by one as they were shown, maps of numbers, or several
        groups of which none holds all ids, so that nobody can tell the order between them.
    """
    text = final_text(answer)
    chain = _best_chain(text, num_passages)
    refusal = bool(_REFUSAL.search(answer.replace("’", "'")))
    if chain is None or (refusal and list(chain.ids) == sorted(chain.ids)):
        return Permutation(None, "refused" if refusal else "unusable")
    return _repair(chain, num_passages)


def _best_chain(text: str, num_passages: int) -> Chain | None:
    mentions = find_mentions(text)
    if num_passages == 1 and [mention.ids for mention in mentions] == [range(1, 2)]:
        return Chain((1,), (True,), True, 0, len(text))
    chains = [_without_cut_off_id(chain, text, num_passages) for chain in find_chains(text, mentions)]
    best = max(
        reversed(chains),
        key=lambda chain: (len(_listed(chain, num_passages)), ">" in text[chain.begin : chain.end]),
        default=None,
    )
    return best if best and _is_ranking(best, text, mentions, num_passages) else None


def _is_ranking(chain: Chain, text: str, mentions: list[Mention], num_passages: int) -> bool:
    listed = _listed(chain, num_passages)
    enough = len(listed) >= max(2, math.ceil(num_passages / 2))
    counts_from_zero = 0 in chain.ids and num_passages not in chain.ids
    is_reversed = bool(_REVERSED.search(text))
    is_map = not chain.marked and bool(_MAP_OF_NUMBERS.search(text))
    return (
        enough
        and not counts_from_zero
        and not is_map
        and not is_reversed
        and not _ids_before(chain, mentions, num_passages)
    )


def _ids_before(chain: Chain, mentions: list[Mention], num_passages: int) -> set[int]:
    """Ids named before the chain that it lacks: a more relevant group, or a remark? Nobody can tell."""
    before = [mention.ids for mention in mentions if mention.marked and mention.end <= chain.begin]
    named = {ids.start for ids in before if len(ids) == 1 and 1 <= ids.start <= num_passages}
    return named - set(chain.ids)


def _listed(chain: Chain, num_passages: int) -> set[int]:
    """The ids in range that the chain gives by themselves."""
    return {
        number
        for number, by_itself in zip(chain.ids, chain.listed, strict=True)
        if by_itself and 1 <= number <= num_passages
    }


def _without_cut_off_id(chain: Chain, text: str, num_passages: int) -> Chain:
    """Drop a last id that may be the beginning of a missing one: `... > [1` of `... > [15]`."""
    if chain.end != len(text) or not text[-1].isdigit():
        return chain
    last = str(chain.ids[-1])
    missing = set(range(1, num_passages + 1)) - set(chain.ids)
    if not any(str(number).startswith(last) for number in missing):
        return chain
    return Chain(chain.ids[:-1], chain.listed[:-1], chain.marked, chain.begin, chain.end)


def _repair(chain: Chain, num_passages: int) -> Permutation:
    listed = _listed(chain, num_passages)
    in_place = (
        number
        for number, by_itself in zip(chain.ids, chain.listed, strict=True)
        if 1 <= number <= num_passages and (by_itself or number not in listed)
    )
    order = [number - 1 for number in dict.fromkeys(in_place)]
    missing = tuple(sorted(set(range(num_passages)) - set(order)))
    whole = len(listed) == num_passages == len(chain.ids)
    return Permutation((*order, *missing), "ok" if whole else "repaired", missing)
