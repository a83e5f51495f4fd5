import pytest

from dataset_builder.language_models.chat import ChatAnswer
from dataset_builder.language_models.cost import Budget, BudgetReached, Price, estimate
from dataset_builder.teachers.listwise import ListwiseSettings
from retrieval.errors import InputError

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


def test_the_cap_counts_what_earlier_runs_paid_and_names_the_mend(cache):
    budget = Budget(cache, "m", PRICE, max_cost=1.0)
    budget.check()
    cache.put("key", "m", ChatAnswer("", prompt_tokens=600_000))
    budget.check()
    with pytest.raises(BudgetReached, match="raise max_cost"):
        budget.check(planned=0.5)
    cache.put("other", "m", ChatAnswer("", prompt_tokens=600_000))
    with pytest.raises(BudgetReached, match=r"\$1\.2000 are spent"):
        budget.check()


def test_a_cap_without_a_price_is_refused(cache):
    with pytest.raises(InputError, match="price"):
        Budget(cache, "m", None, max_cost=1.0)
