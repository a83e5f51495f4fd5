import subprocess
import sys

import pytest

from dataset_builder.language_models.budget import Budget, BudgetReached
from dataset_builder.language_models.chat import ChatAnswer, ChatRequest, Message
from dataset_builder.language_models.cost import estimate
from dataset_builder.language_models.ledger import Call, Ledger
from dataset_builder.language_models.prices import Price
from dataset_builder.teachers.listwise import ListwiseSettings
from retrieval.errors import InputError
from tests.teachers.llm_server import StandInServer
from tests.teachers.llm_stand_in import StandIn

PRICE = Price(prompt=1.0, completion=2.0)


def test_prices_are_per_million_tokens_and_half_in_a_batch():
    assert PRICE.cost(1_000_000, 500_000) == 2.0
    assert PRICE.cost(1_000_000, 500_000, batch=True) == 1.0


def test_a_dated_model_has_its_familys_price_and_another_model_none():
    assert Price.of("gpt-4o-2024-08-06") == Price.of("gpt-4o") != Price.of("gpt-4o-mini")
    assert Price.of("my-own-model") is None


def test_an_estimate_counts_two_calls_for_thirty_passages(pools, settings, cache):
    planned = estimate(map(settings.begin, pools(5)), cache, PRICE)
    assert (planned.queries, planned.calls) == (5, 10)
    assert planned.completion_tokens == 10 * 20 * 5
    assert planned.cost == pytest.approx((planned.prompt_tokens + 2 * planned.completion_tokens) / 1e6)
    assert "10 calls" in str(planned)


def test_an_estimate_leaves_out_what_is_paid_and_counts_every_ranking(pools, settings, cache):
    thrice = ListwiseSettings("gpt-4o-mini", shuffle=True, num_rankings=3)
    assert estimate(map(thrice.begin, pools(5)), cache, PRICE).calls == 30
    assert estimate(map(settings.begin, pools(5)), cache, None).cost is None


def test_an_estimate_counts_once_what_all_pools_ask(pools, cache):
    auto = ListwiseSettings("gpt-4o-mini", answer_format="auto")
    assert estimate(map(auto.begin, pools(5)), cache, PRICE).calls == 1 + 10


def test_the_cap_counts_what_earlier_runs_paid_and_names_the_mend(cache):
    cache.put("key", "m", ChatAnswer("", prompt_tokens=600_000))
    Budget(cache, "m", PRICE, max_cost=1.0).check()
    cache.put("other", "m", ChatAnswer("", prompt_tokens=600_000))
    with pytest.raises(BudgetReached, match=r"\$1\.2000 are spent.*raise max_cost"):
        Budget(cache, "m", PRICE, max_cost=1.0).check()


def test_a_cap_without_a_price_is_refused(cache):
    with pytest.raises(InputError, match="price"):
        Budget(cache, "m", None, max_cost=1.0)


def test_what_a_model_that_runs_here_answered_is_counted_by_use_not_by_calls_that_a_kill_cut_off(cache):
    request, answer = ChatRequest("m", (Message("user", "q"),)), ChatAnswer("a")
    ledger = Ledger()
    for _ in range(2):  # the first one's sender dies, the second is answered
        ledger.begin(Call("server", "m", request.key, 1, 1), 0.0)
    cache.put(request.key, "m", answer)
    paid, unpaid = (Budget(cache, "m", None, ledger=ledger, is_paid=is_paid) for is_paid in (True, False))
    unpaid.use(request, answer)
    unpaid.note_uses()
    assert paid.describe().startswith("2 answers, 0.00M tokens (it uses 1 answers")
    assert unpaid.describe() == "1 answers, 0.00M tokens"


SPEND = """
import sys
from pathlib import Path
sys.path[:0] = [{here!r}]
from tests.teachers.example_pools import make_pool
from dataset_builder.language_models.answer_cache import AnswerCache
from dataset_builder.language_models.budget import Budget
from dataset_builder.language_models.ledger import Ledger
from dataset_builder.language_models.live import LiveModel
from dataset_builder.language_models.openai_server import OpenAIServer
from dataset_builder.language_models.prices import Price
from dataset_builder.teachers.listwise import ListwiseSettings
from dataset_builder.teachers.llm_teacher import LLMTeacher
from retrieval.errors import InputError
settings, folder, first = ListwiseSettings("gpt-4o-mini"), Path({folder!r}), int(sys.argv[1])
cache = AnswerCache(folder / "answers")
budget = Budget(cache, settings.model, Price.of(settings.model), {cap}, Ledger(folder / "ledger.sqlite"))
teacher = LLMTeacher(settings, LiveModel(cache, budget, OpenAIServer({url!r}), 16))
try:
    list(teacher.label(make_pool(first + number, 30) for number in range(200)))
except InputError as reached:
    print(reached)
"""


@pytest.mark.slow
def test_eight_tasks_at_once_spend_at_most_the_cap_and_one_call(tmp_path, request):
    cap, prompt, answer = 5e-3, 253, 100
    with StandInServer(StandIn(delay=0.1)) as server:
        code = SPEND.format(here=str(request.path.parent), folder=str(tmp_path), url=server.url, cap=cap)
        command = [sys.executable, "-c", code]
        tasks = [
            subprocess.Popen([*command, str(1000 * task)], stdout=subprocess.PIPE, text=True)
            for task in range(8)
        ]
        said = [task.communicate()[0] for task in tasks]
        tokens = server.stand_in.completed
    price = Price.of("gpt-4o-mini")
    paid = price.cost(tokens["prompt_tokens"], tokens["completion_tokens"])
    assert all("raise max_cost to continue" in each for each in said)
    assert 0.9 * cap < paid <= cap + price.cost(prompt, answer)
