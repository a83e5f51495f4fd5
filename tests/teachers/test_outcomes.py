"""What becomes of single requests and of the build, with the real client against a real HTTP server."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from dataset_builder.language_models.answer_cache import AnswerCache
from dataset_builder.language_models.budget import Budget, BudgetReached
from dataset_builder.language_models.chat import Sampling
from dataset_builder.language_models.ledger import Ledger
from dataset_builder.language_models.live import LiveModel
from dataset_builder.language_models.openai_server import OpenAIServer
from dataset_builder.language_models.prices import Price
from dataset_builder.language_models.rate_limit import RateLimit
from dataset_builder.teachers.listwise import ListwiseSettings
from dataset_builder.teachers.llm_teacher import LLMTeacher
from retrieval.errors import InputError
from tests.teachers.llm_answers import FORMS, REJECTIONS, STOPS, ranking_ids
from tests.teachers.llm_stand_in import StandIn


@pytest.fixture
def build(serve, tmp_path):
    """`build(stand_in)`: a teacher with the answers and the ledger of one build, opened anew."""

    def make(stand_in, settings=ListwiseSettings("gpt-4o-mini"), concurrency=4, max_cost=None, **how):  # noqa: B008
        limit = RateLimit(how.pop("requests_per_minute", None), how.pop("tokens_per_minute", None), 1.0)
        cache = AnswerCache(how.pop("answers", tmp_path / "answers"))
        ledger = Ledger(tmp_path / how.pop("ledger", "ledger.sqlite"))
        budget = Budget(cache, settings.model, Price.of(settings.model), max_cost, ledger, 1.0)
        server = OpenAIServer(
            stand_in if isinstance(stand_in, str) else serve(stand_in), **{"timeout": 30.0, **how}
        )
        return LLMTeacher(settings, LiveModel(cache, budget, server, concurrency, limit))

    return make


def statuses(labelled):
    return [example.label_status for example in labelled]


@pytest.mark.parametrize("rejection", REJECTIONS)
def test_a_rejected_request_drops_its_pool_and_no_other(build, pools, rejection):
    stand_in = StandIn(script=[None, None, rejection])
    labelled = list(build(stand_in, concurrency=1).label(pools(4)))
    assert statuses(labelled) == ["ok", "rejected", "ok", "ok"]
    assert labelled[1].teacher_order is None
    assert stand_in.served[rejection] == 1


def test_another_run_asks_a_rejected_request_again_and_pays_for_nothing_else(build, pools):
    stand_in = StandIn(script=[None, None, "invalid_prompt"])
    list(build(stand_in, concurrency=1).label(pools(3)))
    assert statuses(build(stand_in).label(pools(3))) == ["ok", "ok", "ok"]
    assert sum(stand_in.asked.values()) == 7
    assert set(stand_in.answered.values()) == {1}


def test_many_rejections_among_more_answers_do_not_stop_a_build(build, pools):
    stand_in = StandIn(rejected_rate=0.15)
    labelled = list(build(stand_in, concurrency=16).label(pools(80)))
    assert set(statuses(labelled)) == {"ok", "rejected"}
    assert statuses(labelled).count("rejected") > 10


def test_a_server_that_rejects_most_requests_ends_the_build_in_its_own_words(build, pools):
    stand_in = StandIn(rejected_rate=1.0)
    with pytest.raises(
        InputError, match=r"rejects \d+ of \d+ requests.*Invalid prompt: flagged as a violation"
    ):
        list(build(stand_in, concurrency=2).label(pools(100)))
    assert 10 <= sum(stand_in.asked.values()) < 20


@pytest.mark.parametrize(
    ("stop", "words"),
    [
        ("401", "does not accept the key"),
        ("402", "no quota left.*Insufficient Balance"),
        ("403", "territory not supported"),
        ("404", "The model `x` does not exist"),
        ("insufficient_quota", "no quota left.*run the same command again"),
    ],
)
def test_what_no_request_will_get_past_ends_the_build_at_once(build, pools, stop, words):
    assert stop in STOPS
    stand_in = StandIn(script=[None, stop])
    with pytest.raises(InputError, match=words):
        list(build(stand_in, concurrency=1).label(pools(5)))
    assert sum(stand_in.asked.values()) == 2


def lengthened(example, times):
    """The example with each passage's text so many times over."""
    longer = (
        replace(each, passage=replace(each.passage, text=each.passage.text * times))
        for each in example.passages
    )
    return replace(example, passages=tuple(longer))


def test_a_prompt_that_is_too_long_is_asked_again_with_shorter_passages(build, pools, capfd):
    (pool,) = pools(1)
    long_pool = lengthened(pool, 25)
    stand_in = StandIn(context=1000)
    (labelled,) = build(stand_in).label([long_pool])
    assert labelled.label_status == "ok"
    assert labelled.passages == long_pool.passages
    assert stand_in.served["too_long"] >= 2
    assert "--max_words or --window_size" in capfd.readouterr().err
    assert sum(stand_in.answered.values()) == 2


def test_prompts_that_are_too_long_at_any_length_end_the_build_with_the_flags_to_lower(build, pools):
    stand_in = StandIn(context=10)
    with pytest.raises(
        InputError, match=r"maximum context length is 10 tokens.*--max_words or --window_size"
    ):
        list(build(stand_in, concurrency=2).label(pools(40)))


def test_a_request_that_always_fails_while_others_are_answered_is_given_up(build, pools):
    stand_in = StandIn(rejected_rate=0.02, rejection="500")
    labelled = list(build(stand_in, concurrency=8, max_retries=2).label(pools(60)))
    assert statuses(labelled).count("rejected") == 3
    assert statuses(labelled).count("ok") == 57


@pytest.mark.parametrize("form", FORMS)
def test_a_stored_answer_can_be_read_again_whatever_its_form_was(build, pools, form):
    stand_in = StandIn(script=[form])
    list(build(stand_in).label(pools(1)))
    assert statuses(build(stand_in).label(pools(1))) == ["ok"]
    assert sum(stand_in.asked.values()) == 2


def test_a_stored_answer_that_cannot_be_read_is_set_aside_and_asked_again(build, pools, tmp_path):
    stand_in = StandIn()
    list(build(stand_in).label(pools(2)))
    (path,) = (tmp_path / "answers").glob("*.jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[0]["text"] = [{"type": "text", "text": rows[0]["text"]}]
    rows[1]["prompt_tokens"] = None
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "no JSON\n")
    again = build(stand_in)
    assert len(again.model.cache.unreadable) == 3
    assert statuses(again.label(pools(2))) == ["ok", "ok"]
    assert sum(stand_in.asked.values()) == 6


def test_parameters_that_a_model_refuses_are_found_out_once(build, serve, pools):
    stand_in = StandIn(refuses=("temperature", "max_completion_tokens"))
    url = serve(stand_in)
    settings = ListwiseSettings("gpt-4o-mini", sampling=Sampling(max_tokens=900))
    for number in (3, 4):
        assert statuses(build(url, settings, concurrency=1).label(pools(number))) == ["ok"] * number
    assert stand_in.served["refused_parameter"] == 2
    assert sum(stand_in.asked.values()) == 2 + 8


AUTO = ListwiseSettings("gpt-4o-mini", answer_format="auto")
JSON = ListwiseSettings("gpt-4o-mini", answer_format="json")
SCHEMALESS = {"refuses": ("response_format",)}


@pytest.mark.parametrize(("how", "probes"), [({}, 1), (SCHEMALESS, 1), ({"script": ["500"] * 3}, 3)])
def test_what_a_server_can_do_is_asked_once_by_all_conversations_and_runs(build, pools, how, probes):
    stand_in = StandIn(delay=0.05, **how)
    assert statuses(build(stand_in, AUTO, concurrency=16, max_retries=2).label(pools(20))) == ["ok"] * 20
    assert sum(stand_in.asked.values()) == probes + 40
    assert statuses(build(stand_in, AUTO, concurrency=16).label(pools(20))) == ["ok"] * 20
    assert sum(stand_in.asked.values()) == probes + 40
    assert set(stand_in.answered.values()) == {1}


def test_two_tasks_that_begin_together_ask_once_what_a_server_can_do(build, serve, pools):
    stand_in = StandIn(delay=0.2)
    url, both = serve(stand_in), list(pools(4))

    def task(own):
        return statuses(build(url, AUTO).label(own))

    with ThreadPoolExecutor() as threads:
        assert list(threads.map(task, (both[:2], both[2:]))) == [["ok"] * 2] * 2
    assert set(stand_in.answered.values()) == {1}


def test_a_schema_that_is_rejected_for_a_window_asks_it_in_text_and_drops_no_pool(build, pools):
    stand_in = StandIn(script=[None, *["no_schema", None] * 15])
    labelled = list(build(stand_in, AUTO, concurrency=1).label(pools(15, num_passages=5)))
    assert statuses(labelled) == ["ok"] * 15
    assert sum(stand_in.asked.values()) == 1 + 15 + 15


def test_rejected_pools_are_counted_also_where_a_schema_was_tried_first(build, pools):
    stand_in = StandIn(script=[None], fault_rate=1.0, faults=("invalid_prompt",))
    with pytest.raises(InputError, match=r"rejects 10 of 10 requests.*Invalid prompt"):
        list(build(stand_in, AUTO, concurrency=1).label(pools(30)))


@pytest.mark.parametrize(("number", "concurrency"), [(1, 1), (40, 16)])
def test_a_schema_that_is_demanded_of_a_server_without_ends_the_build_and_names_the_flag(
    build, pools, number, concurrency
):
    stand_in = StandIn(**SCHEMALESS)
    with pytest.raises(InputError, match=r"response_format.*--answer_format text") as failure:
        list(build(stand_in, JSON, concurrency=concurrency).label(pools(number)))
    assert "\n" not in str(failure.value)
    assert not stand_in.answered


def test_a_prompt_that_is_rejected_under_a_demanded_schema_drops_its_pool_alone(build, pools):
    stand_in = StandIn(script=[None, None, "invalid_prompt"])
    assert statuses(build(stand_in, JSON, concurrency=1).label(pools(3))) == ["ok", "rejected", "ok"]


def test_a_prompt_that_is_too_long_is_cut_also_behind_a_rejected_probe(build, pools):
    stand_in = StandIn(context=1000, **SCHEMALESS)
    (labelled,) = build(stand_in, AUTO).label([lengthened(pools(1)[0], 25)])
    assert labelled.label_status == "ok"
    assert stand_in.served["refused_parameter"] == 1


def test_a_server_that_allows_fewer_calls_is_waited_for(build, pools):
    stand_in = StandIn(requests_per_minute=5, minute=1.0, retry_after="0.6")
    labelled = list(build(stand_in, concurrency=16, max_retries=1).label(pools(10, num_passages=5)))
    assert statuses(labelled) == ["ok"] * 10
    assert stand_in.served["rate_limit"] > 0


def test_calls_that_are_planned_ahead_meet_no_limit(build, pools):
    stand_in = StandIn()
    begun = time.monotonic()
    list(build(stand_in, requests_per_minute=600).label(pools(20, num_passages=5)))
    assert 1.9 <= time.monotonic() - begun < 6


def test_the_same_request_is_paid_once_however_many_pools_make_it_at_once(build, pools):
    stand_in = StandIn(delay=0.1)
    twice = pools(1, num_passages=5) * 6
    assert statuses(build(stand_in, concurrency=6).label(twice)) == ["ok"] * 6
    assert sum(stand_in.asked.values()) == 1


def test_answers_that_another_build_paid_for_do_not_count_against_the_cap(build, pools, tmp_path):
    stand_in = StandIn()
    list(build(stand_in).label(pools(3)))
    other = build(stand_in, max_cost=1e-4, ledger="other.sqlite")
    assert statuses(other.label(pools(3))) == ["ok"] * 3
    assert other.model.budget.spent == 0.0
    assert other.model.budget.describe().startswith("0 answers, 0.00M tokens, $0.00 (it uses 6 answers")
    with pytest.raises(BudgetReached):
        list(build(stand_in, max_cost=1e-4, ledger="other.sqlite").label(pools(9)))


def test_a_cap_reserves_what_is_in_flight(build, pools):
    stand_in = StandIn(delay=0.05)
    teacher = build(stand_in, concurrency=16, max_cost=3e-3)
    with pytest.raises(BudgetReached, match="raise max_cost to continue"):
        list(teacher.label(pools(60)))
    paid = Price.of("gpt-4o-mini").cost(
        stand_in.completed["prompt_tokens"], stand_in.completed["completion_tokens"]
    )
    assert 2.7e-3 < paid <= 3e-3
    assert teacher.model.budget.spent == pytest.approx(paid)


def test_a_call_whose_answer_was_lost_stays_reserved(build, pools, tmp_path):
    stand_in = StandIn(script=["cut_off_body"])
    teacher = build(stand_in)
    list(teacher.label(pools(1, num_passages=5)))
    ((batch, flying, lost),) = teacher.model.budget.ledger.unsettled("gpt-4o-mini", sent_after=0.0)
    assert (batch, flying, lost.answers, lost.completion_tokens) == (False, False, 1, 25)


def test_the_stand_in_ranks_what_it_is_shown(build, pools):
    request = next(ListwiseSettings("m").begin(pools(1, num_passages=3)[0]))
    assert sorted(ranking_ids(request.payload())) == [1, 2, 3]
