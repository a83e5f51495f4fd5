import pytest

from dataset_builder.language_models.chat import ChatAnswer
from dataset_builder.language_models.conversation import advance
from dataset_builder.teachers.listwise import ListwiseSettings, rank_pool
from dataset_builder.teachers.prompt import ListwisePrompt
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


def test_structured_output_asks_for_json_with_the_windows_ids():
    settings = ListwiseSettings("m", prompt=ListwisePrompt(structured=True))
    json_model = lambda request, number: ChatAnswer('{"ranking": [3, 1, 2]}')  # noqa: E731
    answer, (request,) = drive(json_model, settings, PASSAGES[:3])
    assert answer.order == (2, 0, 1)
    ranking = request.payload()["response_format"]["json_schema"]["schema"]["properties"]["ranking"]
    assert ranking["items"]["enum"] == [1, 2, 3]


@pytest.mark.parametrize("changes", [{"step": 20}, {"attempts": 0}, {"num_rankings": 2}, {"num_rankings": 0}])
def test_settings_that_make_no_sense_are_refused(changes):
    with pytest.raises(InputError):
        ListwiseSettings("m", **changes)
