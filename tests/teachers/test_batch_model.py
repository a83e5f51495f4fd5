"""The Batch API, with the real client against a real HTTP server."""

import json
from dataclasses import replace

import pytest

from dataset_builder.language_models.answer_cache import AnswerCache
from dataset_builder.language_models.batch import BatchModel
from dataset_builder.language_models.budget import Budget, BudgetReached
from dataset_builder.language_models.openai_batches import OpenAIProvider
from dataset_builder.language_models.openai_server import OpenAIServer
from dataset_builder.language_models.prices import Price
from dataset_builder.teachers.llm_teacher import LLMTeacher
from retrieval.errors import InputError
from tests.teachers.kills import Killed, kill_at
from tests.teachers.llm_answers import FORMS
from tests.teachers.llm_stand_in import StandIn


@pytest.fixture
def teacher(serve, settings, tmp_path):
    def make(stand_in, max_cost=None, sleep=lambda seconds: None, task="batches", earlier=(), **limits):
        cache = AnswerCache(tmp_path / "answers")
        budget = Budget(cache, settings.model, Price.of(settings.model), max_cost)
        provider = OpenAIProvider(OpenAIServer(serve(stand_in), timeout=5.0, max_retries=2))
        limits = replace(provider.limits, **limits)
        model = BatchModel(cache, budget, provider, tmp_path / task, 0.0, limits, sleep, earlier)
        return LLMTeacher(settings, model)

    return make


def orders(labelled):
    return [example.teacher_order for example in labelled]


def test_two_windows_take_two_rounds_and_give_the_same_orders(teacher, stand_in, pools, expected, settings):
    labelled = list(teacher(stand_in).label(iter(pools(6))))
    assert orders(labelled) == [expected(example, settings) for example in pools(6)]
    assert stand_in.counts()["batches"] == 2
    assert set(stand_in.answered.values()) == {1}


def test_requests_are_sharded_by_number_and_by_bytes(teacher, stand_in, pools):
    list(teacher(stand_in, requests=4).label(pools(6)))
    assert [len(text.splitlines()) for text in stand_in.files.values() if "custom_id" in text][:2] == [4, 2]
    assert stand_in.counts()["batches"] == 4


def test_no_file_exceeds_the_limit_of_bytes(teacher, stand_in, pools):
    list(teacher(stand_in, size=4_000).label(pools(6)))
    requests = [text for text in stand_in.files.values() if '"method"' in text]
    assert len(requests) > 2
    assert max(len(text.encode()) for text in requests) <= 4_000


@pytest.mark.parametrize("outcome", ["half_errors", "expired"])
def test_what_a_batch_did_not_answer_is_sent_again_and_the_rest_is_kept(
    teacher, pools, expected, settings, outcome
):
    stand_in = StandIn(batch_script=[outcome])
    labelled = list(teacher(stand_in).label(pools(6)))
    assert orders(labelled) == [expected(example, settings) for example in pools(6)]
    assert set(stand_in.answered.values()) == {1}


def test_unusable_answers_are_asked_for_again_in_another_round(teacher, pools, expected, settings):
    stand_in = StandIn(script=["refusal", "empty"])
    labelled = list(teacher(stand_in).label(pools(3)))
    assert orders(labelled) == [expected(example, settings) for example in pools(3)]
    assert stand_in.counts()["batches"] == 3


def test_a_round_without_any_answer_stops_with_the_servers_words(teacher, pools):
    stand_in = StandIn(batch_script=["failed"])
    with pytest.raises(InputError, match="token_limit_exceeded"):
        list(teacher(stand_in).label(pools(2)))


@pytest.mark.parametrize("poll", [1, 2, 3])
def test_a_restart_goes_on_with_the_batches_it_submitted(teacher, pools, expected, settings, poll):
    stand_in = StandIn(batch_polls=2)
    with pytest.raises(Killed):
        list(teacher(stand_in, sleep=kill_at(poll)).label(pools(4)))
    labelled = list(teacher(stand_in).label(pools(4)))
    assert orders(labelled) == [expected(example, settings) for example in pools(4)]
    assert stand_in.counts()["batches"] == 2
    assert set(stand_in.answered.values()) == {1}


def test_what_tasks_of_an_earlier_run_submitted_is_collected_and_not_paid_again(
    teacher, pools, expected, settings, tmp_path
):
    stand_in = StandIn(batch_polls=2)
    for task, own in (("0-of-2", pools(4)[::2]), ("1-of-2", pools(4)[1::2])):
        with pytest.raises(Killed):
            list(teacher(stand_in, sleep=kill_at(1), task=task).label(own))
    earlier = [tmp_path / "0-of-2", tmp_path / "1-of-2"]
    labelled = list(teacher(stand_in, task="0-of-1", earlier=earlier).label(pools(4)))
    assert orders(labelled) == [expected(example, settings) for example in pools(4)]
    assert set(stand_in.answered.values()) == {1}


def test_a_kill_right_after_the_batch_was_created_does_not_create_it_again(teacher, pools, tmp_path):
    stand_in = StandIn(batch_polls=2)
    with pytest.raises(Killed):
        list(teacher(stand_in, sleep=kill_at(1)).label(pools(4)))
    state = tmp_path / "batches" / "batches.json"
    (submitted,) = json.loads(state.read_text())
    state.write_text(json.dumps([{**submitted, "state": "submitting", "batch_id": ""}]))
    list(teacher(stand_in).label(pools(4)))
    assert stand_in.counts()["batches"] == 2


def test_a_batch_whose_creation_was_not_answered_is_found_not_created_again(teacher, pools):
    stand_in = StandIn(lost_creations=1)
    assert statuses(teacher(stand_in).label(pools(4))) == ["ok"] * 4
    assert stand_in.counts()["batches"] == 2


def test_answers_that_were_stored_before_a_kill_are_not_counted_again(teacher, pools, tmp_path):
    stand_in = StandIn(batch_polls=2)
    with pytest.raises(Killed):
        list(teacher(stand_in, sleep=kill_at(1)).label(pools(4)))
    state = tmp_path / "batches" / "batches.json"
    begun = state.read_text()
    with pytest.raises(Killed):
        list(teacher(stand_in, sleep=kill_at(2)).label(pools(4)))
    state.write_text(begun)
    last = teacher(stand_in)
    list(last.label(pools(4)))
    assert last.model.cache.paid[("gpt-4o-mini", True)].answers == 8


def test_a_round_beyond_the_cap_is_not_submitted(teacher, stand_in, pools):
    with pytest.raises(BudgetReached, match="more are planned"):
        list(teacher(stand_in, max_cost=1e-5).label(pools(4)))
    assert stand_in.counts()["batches"] == 0


def test_batches_count_at_half_the_price(teacher, stand_in, pools):
    batched = teacher(stand_in)
    list(batched.label(pools(2)))
    paid = batched.model.cache.paid[("gpt-4o-mini", True)]
    full = Price.of("gpt-4o-mini").cost(paid.prompt_tokens, paid.completion_tokens)
    assert batched.model.budget.spent == pytest.approx(full / 2)


def statuses(labelled):
    return [example.label_status for example in labelled]


def test_a_rejected_request_drops_its_pool_and_no_other(teacher, pools):
    stand_in = StandIn(rejected_rate=0.1)
    labelled = list(teacher(stand_in).label(pools(40)))
    assert 0 < statuses(labelled).count("rejected") < 15
    assert set(statuses(labelled)) == {"ok", "rejected"}
    assert set(stand_in.asked.values()) == {1}


def test_a_server_that_rejects_most_requests_ends_the_build_in_its_own_words(teacher, pools):
    with pytest.raises(InputError, match=r"rejects 11 of 20 requests.*Invalid prompt"):
        list(teacher(StandIn(rejected_rate=1.0)).label(pools(20)))


def test_a_request_that_fails_in_three_batches_is_given_up(teacher, pools):
    stand_in = StandIn(rejected_rate=0.1, rejection="500")
    labelled = list(teacher(stand_in).label(pools(20)))
    assert set(statuses(labelled)) == {"ok", "rejected"}
    assert max(stand_in.asked.values()) == 3


@pytest.mark.parametrize("form", FORMS)
def test_an_answer_in_another_form_is_read(teacher, pools, form):
    stand_in = StandIn(script=[form])
    assert statuses(teacher(stand_in).label(pools(2))) == ["ok", "ok"]
    assert set(stand_in.answered.values()) == {1}


def test_parameters_that_a_model_refuses_are_found_out_once(teacher, pools):
    stand_in = StandIn(refuses=("temperature",))
    assert statuses(teacher(stand_in).label(pools(3))) == ["ok"] * 3
    assert stand_in.counts()["batches"] == 3


def test_files_of_the_queues_size_are_submitted_one_after_another(teacher, pools):
    stand_in = StandIn(batch_polls=2)
    assert statuses(teacher(stand_in, queued_tokens=1_500).label(pools(9))) == ["ok"] * 9
    assert stand_in.most_queued == 4
    assert stand_in.counts()["batches"] == 6


def test_what_a_batch_may_cost_is_reserved_while_it_is_out(teacher, pools, tmp_path):
    stand_in = StandIn(batch_polls=5)
    submitting = teacher(stand_in, max_cost=1.0, sleep=kill_at(1))
    with pytest.raises(Killed):
        list(submitting.label(pools(4)))
    ((batch, flying, reserved),) = submitting.model.budget.ledger.unsettled("gpt-4o-mini", sent_after=0.0)
    assert (batch, flying, reserved.answers) == (True, False, 4)
    assert submitting.model.budget.spent == 0.0
