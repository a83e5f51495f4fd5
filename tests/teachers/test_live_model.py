"""The real client against a real HTTP server, which injects the faults of real ones."""

import subprocess
import sys
import time

import pytest

from dataset_builder.language_models.answer_cache import AnswerCache
from dataset_builder.language_models.budget import Budget, BudgetReached
from dataset_builder.language_models.conversation import replay
from dataset_builder.language_models.live import LiveModel
from dataset_builder.language_models.openai_server import OpenAIServer
from dataset_builder.language_models.prices import Price
from dataset_builder.ranking_example import RankingExample
from dataset_builder.teachers.listwise import ListwiseSettings
from dataset_builder.teachers.llm_teacher import LLMTeacher
from retrieval.errors import InputError
from tests.teachers.llm_answers import FAULTS
from tests.teachers.llm_server import StandInServer
from tests.teachers.llm_stand_in import StandIn


@pytest.fixture
def teacher(serve, cache, settings):
    def make(stand_in, max_cost=None, concurrency=4, settings=settings, **server):
        budget = Budget(cache, settings.model, Price.of(settings.model), max_cost)
        where = OpenAIServer(serve(stand_in), **{"timeout": 30.0, **server})
        return LLMTeacher(settings, LiveModel(cache, budget, where, concurrency))

    return make


def test_pools_come_out_in_order_with_the_order_the_server_gave(teacher, stand_in, pools, expected, settings):
    examples = pools(7)
    labelled = list(teacher(stand_in).label(iter(examples)))
    assert [example.query.query_id for example in labelled] == [f"q{number}" for number in range(7)]
    assert [example.teacher_order for example in labelled] == [expected(each, settings) for each in examples]
    assert {example.label_status for example in labelled} == {"ok"}
    assert {example.teacher for example in labelled} == {settings.name}
    assert sum(stand_in.asked.values()) == 14


def test_one_pool_can_be_ordered_by_itself(teacher, stand_in, pools, expected, settings):
    (example,) = pools(1)
    answer = teacher(stand_in).order(example.query.text, [found.passage for found in example.passages])
    assert answer.order == expected(example, settings)


def test_no_more_calls_run_at_once_than_asked_for(teacher, pools):
    stand_in = StandIn(delay=0.05)
    list(teacher(stand_in, concurrency=3).label(pools(12)))
    assert stand_in.most_concurrent == 3


def test_structured_output_goes_through(teacher, stand_in, pools, expected):
    settings = ListwiseSettings("gpt-4o-mini", answer_format="json")
    (example,) = pools(1)
    (labelled,) = teacher(stand_in, settings=settings).label([example])
    assert labelled.teacher_order == expected(example, settings)


@pytest.mark.parametrize(("first", "structured"), [(None, 6), ("no_schema", 0)])
def test_whether_the_server_keeps_to_a_schema_is_found_out_once_and_replayed(
    teacher, cache, pools, expected, first, structured
):
    stand_in = StandIn(script=[first])
    settings = ListwiseSettings("gpt-4o-mini", answer_format="auto")
    examples = pools(3)
    labelled = list(teacher(stand_in, settings=settings, concurrency=1).label(examples))
    text = ListwiseSettings("gpt-4o-mini")
    assert [example.teacher_order for example in labelled] == [expected(each, text) for each in examples]
    assert sum(stand_in.asked.values()) == 1 + 6
    replayed = [replay(settings.begin(each), cache) for each in examples]
    assert [answer.order for _, answer in replayed] == [example.teacher_order for example in labelled]
    windows = [exchange.request for exchanges, _ in replayed for exchange in exchanges[1:]]
    assert sum(bool(request.fields) for request in windows) == structured


@pytest.mark.parametrize("fault", FAULTS)
def test_no_fault_loses_a_query(teacher, pools, expected, settings, fault):
    stand_in = StandIn(script=[fault], hang=1.5)
    (example,) = pools(1)
    (labelled,) = teacher(stand_in, timeout=1.0).label([example])
    assert labelled.label_status == ("repaired" if fault == "repeats" else "ok")
    assert labelled.teacher_order == expected(example, settings)
    assert stand_in.served[fault] == 1


def test_ten_percent_faults_lose_no_query_and_pay_nothing_twice(teacher, pools, expected, settings):
    stand_in = StandIn(fault_rate=0.1, hang=2.4, seed=3)
    examples = pools(60)
    labelled = list(teacher(stand_in, concurrency=16, timeout=2.0).label(examples))
    assert [example.teacher_order for example in labelled] == [expected(each, settings) for each in examples]
    assert set(stand_in.answered.values()) == {1}
    assert sum(stand_in.served.values()) - stand_in.served["ok"] > 5


def test_retry_after_is_waited_for(teacher, pools):
    stand_in = StandIn(script=["429"], retry_after="0.7")
    asked = teacher(stand_in)
    (example,) = pools(1, num_passages=5)
    begin = time.monotonic()
    list(asked.label([example]))
    assert 0.7 <= time.monotonic() - begin < 3


def test_what_is_paid_is_not_asked_again_by_another_run(serve, pools, settings, tmp_path):
    stand_in = StandIn()
    url = serve(stand_in)
    orders = []
    for _ in range(2):
        with AnswerCache(tmp_path) as cache:
            teacher = LLMTeacher(
                settings, LiveModel(cache, Budget(cache, settings.model, None), OpenAIServer(url))
            )
            orders.append([example.teacher_order for example in teacher.label(pools(4))])
    assert orders[0] == orders[1]
    assert sum(stand_in.asked.values()) == 8


def test_a_query_that_is_always_refused_comes_out_without_an_order(teacher, pools):
    stand_in = StandIn(fault_rate=1.0, faults=("refusal",))
    (labelled,) = teacher(stand_in).label(pools(1))
    assert (labelled.teacher_order, labelled.label_status) == (None, "refused")
    assert sum(stand_in.asked.values()) == 5


def test_a_content_filter_is_a_refusal(teacher, pools):
    stand_in = StandIn(fault_rate=1.0, faults=("content_filter",))
    (labelled,) = teacher(stand_in).label(pools(1))
    assert (labelled.teacher_order, labelled.label_status) == (None, "refused")


def test_a_server_that_stays_down_ends_in_one_line_and_keeps_the_answers(teacher, pools, cache):
    stand_in = StandIn(script=[None, None], fault_rate=1.0, faults=("500",))
    with pytest.raises(InputError, match="still fails after 1 retries"):
        list(teacher(stand_in, concurrency=1, max_retries=1).label(pools(3)))
    assert len(cache) == 2


def test_a_wrong_key_is_named_but_not_shown(teacher, pools, monkeypatch, capfd, cache):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    stand_in = StandIn(script=["401"])
    with pytest.raises(InputError, match="OPENAI_API_KEY") as caught:
        list(teacher(stand_in, concurrency=1).label(pools(1)))
    written = b"".join(path.read_bytes() for path in cache.folder.glob("*"))
    assert "sk-secret" not in str(caught.value) + "".join(capfd.readouterr()) + written.decode()


def test_openai_itself_needs_a_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(InputError, match="export it"):
        OpenAIServer().check()


def test_the_cap_stops_new_calls_and_keeps_those_in_flight(teacher, pools, cache):
    stand_in = StandIn(delay=0.02)
    one_call = 20 * 5 * 0.60 / 1e6
    with pytest.raises(BudgetReached, match="raise max_cost"):
        list(teacher(stand_in, max_cost=10 * one_call).label(pools(50)))
    answered = sum(stand_in.answered.values())
    assert len(cache) == answered < 20


def test_the_raw_answers_of_a_query_can_be_replayed_offline(teacher, stand_in, pools, cache, settings):
    (example,) = pools(1)
    exchanges, pending = replay(settings.begin(example), cache)
    assert (exchanges, pending.num_listed) == ([], 20)
    (labelled,) = teacher(stand_in).label([example])
    exchanges, answer = replay(settings.begin(example), cache)
    assert answer.order == labelled.teacher_order
    assert [exchange.answer.text.count(">") for exchange in exchanges] == [19, 19]


RUN = """
import sys
from pathlib import Path
sys.path[:0] = [{here!r}]
from tests.teachers.example_pools import make_pool
from dataset_builder.language_models.answer_cache import AnswerCache
from dataset_builder.language_models.budget import Budget
from dataset_builder.teachers.listwise import ListwiseSettings
from dataset_builder.language_models.live import LiveModel
from dataset_builder.language_models.openai_server import OpenAIServer
from dataset_builder.teachers.llm_teacher import LLMTeacher
settings = ListwiseSettings("gpt-4o-mini")
cache = AnswerCache(Path({folder!r}))
model = LiveModel(cache, Budget(cache, settings.model, None), OpenAIServer({url!r}), 4)
teacher = LLMTeacher(settings, model)
for example in teacher.label(make_pool(number, 30) for number in range(60)):
    print(example.query.query_id, example.teacher_order, flush=True)
"""


@pytest.mark.slow
def test_a_kill_repays_at_most_the_calls_in_flight_and_changes_no_byte(tmp_path, request):
    def run(folder, url, kill_after=None):
        code = RUN.format(here=str(request.path.parent), folder=str(tmp_path / folder), url=url)
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
            lines = []
            for line in process.stdout:
                lines.append(line)
                if len(lines) == kill_after:
                    process.kill()
            return lines

    with StandInServer(StandIn(delay=0.02)) as whole, StandInServer(StandIn(delay=0.02)) as killed:
        unbroken = run("whole", whole.url)
        for kill_after in (5, 20, 40):
            run("killed", killed.url, kill_after)
        assert run("killed", killed.url) == unbroken
        repaid = sum(killed.stand_in.answered.values()) - len(killed.stand_in.answered)
        assert len(unbroken) == 60
        assert len(killed.stand_in.answered) == 120
        assert repaid <= 3 * 4


def test_a_record_never_changes_but_for_the_label(teacher, stand_in, pools):
    (example,) = pools(1)
    (labelled,) = teacher(stand_in).label([example])
    assert isinstance(labelled, RankingExample)
    assert (labelled.query, labelled.passages, labelled.retriever) == (
        example.query,
        example.passages,
        example.retriever,
    )
