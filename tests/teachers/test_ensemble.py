"""Several teachers as one, computed by hand."""

import pytest

from dataset_builder.teacher_name import Member, ensemble_name
from dataset_builder.teachers import TeacherAnswer, best_first, labelled
from dataset_builder.teachers.ensemble import EnsembleTeacher, RetrieverTeacher, normalised
from retrieval.errors import InputError
from retrieval.records import Hit
from tests.teachers.example_pools import make_pool


class Says:
    """Gives every pool this answer."""

    name = "says"

    def __init__(self, answer):
        self.answer = answer

    def label(self, examples):
        return (labelled(example, self.answer, self.name) for example in examples)

    def order(self, query, passages):
        return self.answer


def test_scores_are_normalised_weighted_and_summed():
    teacher = EnsembleTeacher(
        "e", [(Says(best_first([1.0, 3.0])), 1.0), (Says(best_first([50.0, -50.0])), 0.5)]
    )
    (example,) = teacher.label([make_pool(0, 2)])
    assert example.teacher_scores == pytest.approx((-0.5, 0.5))
    assert (example.teacher_order, example.label_status, example.teacher) == ((1, 0), "ok", "e")
    passages = [found.passage for found in example.passages]
    assert teacher.order("q", passages).scores == example.teacher_scores


def test_an_order_without_scores_counts_by_its_ranks():
    assert normalised(TeacherAnswer((2, 0, 1), "ok")).tolist() == pytest.approx([0.0, -1.2247449, 1.2247449])


def test_a_member_that_finds_all_alike_says_nothing():
    assert normalised(best_first([2.0, 2.0, 2.0])).tolist() == [0, 0, 0]


def test_a_pool_that_a_member_gives_no_order_has_none_and_a_repaired_one_says_so():
    good, refused = Says(best_first([1.0, 2.0])), Says(TeacherAnswer(None, "refused"))
    repaired = Says(TeacherAnswer((1, 0), "repaired"))
    (none,) = EnsembleTeacher("e", [(good, 1.0), (refused, 1.0)]).label([make_pool(0, 2)])
    assert (none.teacher_order, none.label_status) == (None, "refused")
    (mended,) = EnsembleTeacher("e", [(good, 1.0), (repaired, 1.0)]).label([make_pool(0, 2)])
    assert mended.label_status == "repaired"


def test_a_passage_beyond_a_retrievers_depth_has_its_lowest_score():
    pool = make_pool(0, 3)
    docids = [found.passage.docid for found in pool.passages]

    class Finds:
        name = "bm25"

        def search(self, queries, k):
            return [[Hit(docids[2], 9.0), Hit(docids[0], 4.0)] for _ in queries]

    (example,) = RetrieverTeacher(Finds()).label([pool])
    assert example.teacher_scores == (4.0, 4.0, 9.0)


def test_members_are_named_with_their_weights():
    members = [Member.parse("reranker:all-MiniLM-L6-v2"), Member.parse("bm25=0.5")]
    assert ensemble_name(members) == "ensemble: 1 x reranker:all-MiniLM-L6-v2 + 0.5 x bm25"


@pytest.mark.parametrize("text", ["bm25=0", "bm25=much", "bm25=inf", "nobody=1", "ensemble=1", "run:x=1"])
def test_what_is_no_member_is_refused(text):
    with pytest.raises(InputError, match=r"ensemble|not known"):
        Member.parse(text)
