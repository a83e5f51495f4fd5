"""Answers as models write them. Orders are given as ids (from 1), as in the answer."""

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dataset_builder.teachers.permutation import parse_permutation
from tests.teachers.ranking_answers import NO_ORDERS, ORDERS


def read(answer, num_passages=3):
    permutation = parse_permutation(answer, num_passages)
    order = permutation.order
    return permutation.status, None if order is None else [index + 1 for index in order]


WHOLE = [
    "[3] > [1] > [2]",
    "\n[3]>[1]>[2]\n",
    "[3] [1] [2]",
    "[3][1][2]",
    "3 > 1 > 2",
    "3, 1, 2",
    "3 1 2",
    "3-1-2",
    "[3, 1, 2]",
    "[3 > 1] > 2",
    "[3] > 1 > [2]",
    "(3) > (1) > (2)",
    "［3］＞［1］＞［2］",
    "[3] → [1] → [2]",
    "[3] ≻ [1] ≻ [2]",
    "[3] &gt; [1] &gt; [2]",
    "**[3]** > **[1]** > **[2]**",
    "`[3] > [1] > [2]`",
    "```\n[3] > [1] > [2]\n```",
    "```json\n[3, 1, 2]\n```",
    '{"ranking": [3, 1, 2]}',
    '{"ranking": ["[3]", "[1]", "[2]"]}',
    '[{"id": 3}, {"id": 1}, {"id": 2}]',
    '[{"rank": 1, "passage": 3}, {"rank": 2, "passage": 1}, {"rank": 3, "passage": 2}]',
    '[{"passage_id": 3, "score": 0.9}, {"passage_id": 1, "score": 0.5}, {"passage_id": 2, "score": 0.1}]',
    "Passage 3 > Passage 1 > Passage 2",
    "Passage [3] > Passage [1] > Passage [2]",
    "passage_3 > passage_1 > passage_2",
    "[Passage 3] > [Passage 1] > [Passage 2]",
    "Doc3 > Doc1 > Doc2",
    "#3 > #1 > #2",
    "1. [3]\n2. [1]\n3. [2]",
    "1. Passage 3\n2. Passage 1\n3. Passage 2",
    "1. 3\n2. 1\n3. 2",
    "1) [3]: says it all\n2) [1]: unlike [3], says 2 things\n3) [2]: says nothing",
    "Rank 1: [3]\nRank 2: [1]\nRank 3: [2]",
    "Rank 1: 3\nRank 2: 1\nRank 3: 2",
    "| Rank | Passage |\n|---|---|\n| 1 | [3] |\n| 2 | [1] |\n| 3 | [2] |",
    "- [3]\n- [1]\n- [2]",
    "3\n1\n2",
    "[3] (best by far) > [1] (like [3], but shorter) > [2] (off topic)",
    "[3] Top 2 cats > [1] Dogs > [2] Mice",
    "Sure! Here is the ranking of the 3 passages:\n\n[3] > [1] > [2]\n\nPassage [1] was hard.",
    "The best is [3], then [1], followed by [2].",
    "I have read [1], [2] and [3]. The ranking: [3] > [1] > [2]",
    "[3] > [1] > [2]\n\nThe passages [1], [2], [3] were all considered.",
    "[3] > [1] > [2]\n\nRemarks:\n[2] is off topic.\n[1] is short.\n[3] says it all.",
    "The top 3 [3] > [1] > [2]",
    "Rank: 3, 1, 2",
    "[3] \\> [1] \\> [2]",
    "Candidate 3 > Candidate 1 > Candidate 2",
    "Draft: [1] > [3] > [2]. Final: [3] > [1] > [2]",
    "<think>[1] > [2] > [3]? No, [2] > [1].</think>\n[3] > [1] > [2]",
    "so [1] > [2] > [3]</think>[3] > [1] > [2]",
    "<|channel|>analysis<|message|>[1] > [2] > [3]<|end|><|channel|>final<|message|>[3] > [1] > [2]",
    "<answer>[3] > [1] > [2]</answer>",
    "[3] > [1] > [2]<|im_end|>",
    "Sorry for the wait! [3] > [1] > [2]",
]


@pytest.mark.parametrize("answer", WHOLE)
def test_an_answer_that_lists_every_id_once_is_ok(answer):
    assert read(answer) == ("ok", [3, 1, 2])


def test_the_first_stage_order_is_ok_where_the_model_states_it():
    assert read("[1] > [2] > [3]") == ("ok", [1, 2, 3])


@pytest.mark.parametrize(
    ("answer", "num_passages", "order"),
    [
        ("[3] > [1] > [3] > [2]", 3, [3, 1, 2]),
        ("[3] [2] > [4] > [1] > [3]", 4, [3, 2, 4, 1]),
        ("[3] > [7] > [1] > [2]", 3, [3, 1, 2]),
        ("[3] > [0] > [1] > [2]", 3, [3, 1, 2]),
        ("[3] > [1] > [2] > [" + "9" * 5000 + "]", 3, [3, 1, 2]),
        ("[4] > [2]", 4, [4, 2, 1, 3]),
        ("4 > 2 > 3 > ...", 5, [4, 2, 3, 1, 5]),
        ("[3] > [1] > [4] > [5", 6, [3, 1, 4, 5, 2, 6]),
        ('{"ranking": [4, 2, 3', 4, [4, 2, 3, 1]),
        ("[6] > [2] > [8] > [3] - [5] > [7] > [1]", 8, [6, 2, 8, 3, 4, 5, 7, 1]),
        ("[6] > [2] > [8] > [3] > [3-5] > [7] > [1]", 8, [6, 2, 8, 3, 4, 5, 7, 1]),
        ("[6] > [2] > [1] > [3] > ... > [8]", 8, [6, 2, 1, 3, 4, 5, 7, 8]),
    ],
)
def test_repair_keeps_the_listed_order_and_appends_the_missing(answer, num_passages, order):
    assert read(answer, num_passages) == ("repaired", order)


def test_an_id_that_may_be_cut_off_is_not_read_as_another_one():
    listed = [20, 19, 18, 17, 16, 14, 13, 12, 11, 10]
    cut_off = " > ".join(f"[{number}]" for number in listed) + " > [2"
    status, order = read(cut_off.replace("[20]", "[9]"), 20)
    assert (status, order) == ("repaired", [9, *listed[1:], 1, 2, 3, 4, 5, 6, 7, 8, 15, 20])


@pytest.mark.parametrize(
    "answer",
    [
        "I'm sorry, but I can't assist with that.",
        "I’m sorry, I cannot help.",
        "I cannot rank passages [1], [2] and [3].",
        "I apologize, but passages [1], [2], [3] violate the policy.",
        "As an AI language model, I don't have opinions.",
        "I am unable to rank these.",
        "<think>hm</think>I won't do this.",
    ],
)
def test_a_refusal_is_never_an_order(answer):
    assert read(answer) == ("refused", None)


@pytest.mark.parametrize(
    ("answer", "num_passages"),
    [
        ("", 3),
        (" \n", 3),
        ("null", 3),
        ("[] > [] > []", 3),
        ("No passage is relevant.", 3),
        ("[2]", 3),
        ("[4] > [2]", 5),
        ("<think>[3] > [1] > [2]", 3),
        ("[1] - [20]", 20),
        ("All passages 1 to 20 are relevant.", 20),
        ("[0] > [2] > [1]", 3),
        ("[3] < [1] < [2]", 3),
        ("From least to most relevant: [3], [1], [2]", 3),
        ('{"1": 3, "2": 1, "3": 2}', 3),
        ("Passage 1: about cats.\nPassage 2: about dogs.\nPassage 3: about mice.", 3),
        ("1. The passage about cats\n2. The passage about dogs\n3. The other one", 3),
        ('[{"id": 1, "score": 3}, {"id": 2, "score": 9}, {"id": 3, "score": 5}]', 3),
        ('[{"id": 2, "rank": 3}, {"id": 1, "rank": 1}, {"id": 3, "rank": 2}]', 3),
        ("Highly relevant: [3], [1]\nSomewhat relevant: [5], [4], [2]", 5),
    ],
)
def test_an_answer_without_a_ranking_is_unusable_not_the_first_stage_order(answer, num_passages):
    assert read(answer, num_passages) == ("unusable", None)


@pytest.mark.parametrize("answer", ORDERS)
def test_an_order_in_a_models_ordinary_words_is_ok(answer):
    assert read(answer, 5) == ("ok", [4, 2, 5, 1, 3])


@pytest.mark.parametrize("answer", NO_ORDERS)
def test_scores_ties_refusals_and_worst_first_are_never_an_order(answer):
    status, order = read(answer, 5)
    assert order is None
    assert status in ("refused", "unusable")


def test_a_few_ties_stand_as_shown_and_are_counted():
    permutation = parse_permutation("[4] > [5] = [2] > [1] > [3]", 5)
    assert (permutation.status, permutation.order) == ("repaired", (3, 1, 4, 0, 2))
    assert permutation.levels == (3, 1, 4, 0, 1)
    assert permutation.repaired == (1, 4)


@pytest.mark.parametrize(
    "piece", ["[", "(", "1 ", "rank ", "passage id ", "<think>", " ", "\n", "[1] > ", "(a", "..."]
)
def test_a_model_that_repeats_itself_for_ever_is_read_in_seconds(piece):
    begin = time.process_time()
    check_honest("rank" + piece * 5000 + "x", 20)
    assert time.process_time() - begin < 5


def check_honest(answer, num_passages):
    permutation = parse_permutation(answer, num_passages)
    if permutation.order is None:
        assert permutation.status in ("refused", "unusable")
    else:
        assert permutation.status in ("ok", "repaired")
        assert sorted(permutation.order) == list(range(num_passages))
        assert permutation.missing == tuple(sorted(permutation.missing))
        assert permutation.status == "repaired" or not permutation.missing


@settings(deadline=None)
@given(st.text(), st.integers(1, 30))
def test_any_text_gives_a_permutation_or_an_honest_state(answer, num_passages):
    check_honest(answer, num_passages)


# fmt: off
PIECES = st.sampled_from([
    "[1]", "[2]", "[3]", "[1", "2]", "20", "0", "-", "[2-9]", " > ", ", ", "\n", "...", "Passage ", ": ",
    "{", "}", "<think>", "</think>", "1. ",
    "rank 2", "(", ")", "sorry", "٣", "²", "[[", "to", "```", '"id": ', "}, {", "|",
])
# fmt: on


@settings(deadline=None)
@given(st.lists(PIECES, max_size=40).map("".join), st.integers(1, 25))
@example("[9999999999-99999999999999]", 3)
def test_any_mixture_of_notations_gives_a_permutation_or_an_honest_state(answer, num_passages):
    check_honest(answer, num_passages)


@settings(deadline=None)
@given(
    st.permutations(range(1, 31)),
    st.sampled_from([" > ", ", ", ">", "\n", " "]),
    st.sampled_from(["[{}]", "{}"]),
)
def test_a_whole_list_in_any_notation_is_read_as_written(ids, separator, notation):
    answer = separator.join(notation.format(number) for number in ids)
    assert read(answer, 30) == ("ok", ids)


@settings(deadline=None)
@given(st.permutations(range(1, 21)), st.integers(10, 19), st.lists(st.integers(-5, 60), max_size=5))
def test_repair_never_reorders_what_was_listed(ids, kept, noise):
    listed = [number for number in ids[:kept]]
    outside = [number for number in noise if number > 20] + listed[:2]
    status, order = read(" > ".join(f"[{number}]" for number in [*listed, *outside]), 20)
    assert status == "repaired"
    assert order == listed + sorted(ids[kept:])
