import json

import pytest

from dataset_builder.language_models.chat import ChatAnswer
from dataset_builder.language_models.conversation import advance
from dataset_builder.teachers.listwise import ListwiseSettings, rank_pool
from retrieval.errors import InputError
from retrieval.records import Passage

# Place i has relevance (7 * i) % 30: a fixed, shuffled truth that the scripted model knows.
PASSAGES = [Passage(f"d{place}", "", f"relevance {7 * place % 30:02d}") for place in range(30)]
TRUTH = tuple(sorted(range(30), key=lambda place: -(7 * place % 30)))


def shown_relevances(request):
    lines = request.messages[-1].content.splitlines()
    return [int(line.split()[-1]) for line in lines if line.startswith("[") and "relevance" in line]


def perfect(request, number):
    relevances = shown_relevances(request)
    ids = sorted(range(1, len(relevances) + 1), key=lambda place: -relevances[place - 1])
    return ChatAnswer(" > ".join(f"[{place}]" for place in ids))


def drive(model, settings, passages=PASSAGES):
    """Answers every request with `model(request, number)`; returns the order and the requests."""
    ranking = rank_pool("q", passages, settings)
    requests = []
    step = advance(ranking, None)
    while not hasattr(step, "label_status"):
        requests.append(step)
        step = advance(ranking, model(step, len(requests)))
    return step, requests


def after(faults, model=perfect):
    return lambda request, number: faults[number - 1] if number <= len(faults) else model(request, number)


SETTINGS = ListwiseSettings("m")
SHUFFLED = ListwiseSettings("m", shuffle=True)


@pytest.mark.parametrize(
    "settings", [SETTINGS, SHUFFLED, ListwiseSettings("m", shuffle=True, num_rankings=3)]
)
def test_a_perfect_model_has_the_ten_best_first_whatever_it_is_shown(settings):
    answer, requests = drive(perfect, settings)
    assert answer.order[:10] == TRUTH[:10]
    assert answer.label_status == "ok"
    assert len(requests) == 2 * settings.num_rankings


def test_a_pool_within_the_window_takes_one_call_and_one_passage_none():
    assert len(drive(perfect, SETTINGS, PASSAGES[:20])[1]) == 1
    answer, requests = drive(perfect, SETTINGS, PASSAGES[:1])
    assert (answer.order, requests) == ((0,), [])


def test_the_shuffle_is_the_same_for_the_same_seed_only():
    first = [request.key for request in drive(perfect, SHUFFLED)[1]]
    assert first == [request.key for request in drive(perfect, SHUFFLED)[1]]
    assert first != [
        request.key for request in drive(perfect, ListwiseSettings("m", shuffle=True, seed=1))[1]
    ]


def test_missing_ids_keep_the_first_stage_order_also_where_the_prompt_was_shuffled():
    ten = " > ".join(f"[{place}]" for place in range(1, 11))
    answer, requests = drive(lambda request, number: ChatAnswer(ten), SHUFFLED, PASSAGES[:20])
    shown = shown_relevances(requests[0])
    relevances = [7 * place % 30 for place in answer.order]
    assert relevances[:10] == shown[:10]
    assert list(answer.order[10:]) == sorted(answer.order[10:])
    assert answer.label_status == "repaired"


def test_an_unusable_answer_is_asked_for_again_in_other_words():
    answer, requests = drive(after([ChatAnswer(""), ChatAnswer("I'm sorry.")]), SETTINGS)
    assert answer.order[:10] == TRUTH[:10]
    assert len(requests) == 4
    assert len({request.key for request in requests}) == 4


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (ChatAnswer("", finish_reason="length"), "unusable"),
        (ChatAnswer("I cannot help."), "refused"),
        (ChatAnswer("", refusal="no"), "refused"),
        (ChatAnswer("[1] > [2]", finish_reason="content_filter"), "refused"),
    ],
)
def test_a_pool_is_given_up_after_the_last_attempt_without_an_order(fault, status):
    answer, requests = drive(lambda request, number: fault, ListwiseSettings("m", attempts=3))
    assert (answer.order, answer.label_status) == (None, status)
    assert len(requests) == 3


def test_one_failed_ranking_of_several_fails_the_pool_without_paying_for_the_rest():
    settings = ListwiseSettings("m", shuffle=True, num_rankings=3, attempts=1)
    answer, requests = drive(after([], lambda request, number: ChatAnswer("")), settings)
    assert (answer.order, len(requests)) == (None, 1)


def scored(request, number=0):
    """What a server that keeps to the schema answers: the relevance that the passage tells."""
    relevances = shown_relevances(request) or [9, 1]
    return ChatAnswer(json.dumps(dict(zip(request.fields, relevances, strict=True))))


def test_structured_output_asks_for_a_number_a_passage():
    settings = ListwiseSettings("m", answer_format="json")
    answer, (request,) = drive(scored, settings, PASSAGES[:3])
    assert (answer.order, answer.label_status, answer.repaired_places) == ((2, 1, 0), "ok", 0)
    schema = request.payload()["response_format"]["json_schema"]["schema"]
    assert schema["properties"] == {f"passage_{number}": {"type": "integer"} for number in (1, 2, 3)}
    assert schema["required"] == ["passage_1", "passage_2", "passage_3"]
    assert '"passage_1" to "passage_3"' in request.messages[-1].content


@pytest.mark.parametrize(
    "first",
    [
        ChatAnswer("", rejection="response_format is not supported"),
        ChatAnswer("Passage [1] answers it."),
        ChatAnswer('{"ranking": [1, 2]}'),
    ],
)
def test_auto_asks_in_text_where_the_server_keeps_to_no_schema(first):
    settings = ListwiseSettings("m", answer_format="auto")
    model = lambda request, number: perfect(request, number) if request.num_listed else first  # noqa: E731
    answer, requests = drive(model, settings)
    assert answer.order[:10] == TRUTH[:10]
    assert not any(request.fields for request in requests if request.num_listed)
    assert requests[0].fields == ("passage_1", "passage_2")


def test_auto_asks_for_scores_where_the_server_keeps_to_the_schema_and_its_first_request_is_always_the_same():
    settings = ListwiseSettings("m", answer_format="auto")
    answer, requests = drive(scored, settings)
    assert answer.order[:10] == TRUTH[:10]
    assert [len(request.fields) for request in requests] == [2, 20, 20]
    assert requests[0].key == drive(scored, settings, PASSAGES[:5])[1][0].key


def test_a_model_that_scores_all_alike_is_asked_for_a_list_in_the_end():
    settings = ListwiseSettings("m", answer_format="auto")

    def alike(request, number):
        if not request.fields:
            return perfect(request, number)
        return ChatAnswer(json.dumps({name: 5 for name in request.fields}))

    answer, requests = drive(alike, settings, PASSAGES[:20])
    assert answer.order == tuple(sorted(range(20), key=lambda place: -(7 * place % 30)))
    assert [len(request.fields) for request in requests] == [2, 20, 20, 0]


def test_what_an_answer_ties_keeps_the_first_stage_order_also_where_the_prompt_was_shuffled():
    settings = ListwiseSettings("m", shuffle=True, answer_format="json")

    def in_pairs(request, number):
        scores = [relevance // 2 for relevance in shown_relevances(request)]
        return ChatAnswer(json.dumps(dict(zip(request.fields, scores, strict=True))))

    answer, _ = drive(in_pairs, settings, PASSAGES[:20])
    assert answer.order == tuple(sorted(range(20), key=lambda place: -(7 * place % 30 // 2)))
    assert answer.label_status == "repaired"
    assert answer.repaired_places == sum(
        1
        for place in range(20)
        if any(7 * place % 30 // 2 == 7 * other % 30 // 2 for other in range(20) if other != place)
    )


def test_places_that_no_answer_gave_are_counted_over_all_windows():
    answer, _ = drive(
        lambda request, number: ChatAnswer("[2] > [1] > [3] > [4] > [5] > [6] > [7] > [8] > [9] > [10]"),
        SETTINGS,
    )
    assert (answer.label_status, answer.repaired_places) == ("repaired", 20)


@pytest.mark.parametrize("changes", [{"step": 20}, {"attempts": 0}, {"num_rankings": 2}, {"num_rankings": 0}])
def test_settings_that_make_no_sense_are_refused(changes):
    with pytest.raises(InputError):
        ListwiseSettings("m", **changes)
