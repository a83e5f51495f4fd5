"""Limits a minute, simulated call by call, with a clock of the test's own."""

import asyncio
import random

import pytest

from dataset_builder.language_models.ledger import DONE, Call, Ledger
from dataset_builder.language_models.rate_limit import Gate, RateLimit, pause_of, retry_after
from retrieval.errors import InputError


def call(tokens=100):
    return Call("server", "m", "key", tokens - 50, 50)


def sent_within(limit, seconds, latency, tokens=100):
    """(time that the server counts, tokens) of all calls that are sent when they may be; the server counts each at
    any time between its sending and its answer."""
    ledger, now, counted, flying = Ledger(), 1000.0, [], []
    chance = random.Random(0)
    while now < 1000.0 + seconds:
        for begun, number in [each for each in flying if each[0] + latency <= now]:
            ledger.end(number, DONE, begun + latency)
            flying.remove((begun, number))
        wait = limit.seconds_to_wait(ledger, call(tokens), now)
        if wait:
            now += min(wait, 0.25)
            continue
        flying.append((now, ledger.begin(call(tokens), now)))
        counted.append((now + chance.random() * latency, tokens))
    return sorted(counted)


def most_in_a_minute(counted):
    return max(sum(tokens for at, tokens in counted if begin <= at < begin + 60) for begin, _ in counted)


@pytest.mark.parametrize(("latency", "fewest"), [(0.1, 230), (20.0, 170)])
def test_no_minute_has_more_requests_than_allowed_whenever_the_server_counts_them(latency, fewest):
    counted = [(at, 1) for at, _ in sent_within(RateLimit(requests_per_minute=60), 240, latency)]
    assert most_in_a_minute(counted) <= 60
    assert len(counted) >= fewest


@pytest.mark.parametrize("latency", [0.1, 20.0])
def test_no_minute_has_more_tokens_than_allowed(latency):
    counted = sent_within(RateLimit(tokens_per_minute=20_000), 240, latency, tokens=700)
    assert 15_000 <= most_in_a_minute(counted) <= 20_000


def test_calls_are_spread_over_the_minute():
    counted = sent_within(RateLimit(requests_per_minute=60), 20, 0.1)
    assert 19 <= len(counted) <= 21


def test_a_call_that_no_minute_has_room_for_is_said_up_front():
    with pytest.raises(InputError, match="--tokens_per_minute is 99"):
        RateLimit(tokens_per_minute=99).seconds_to_wait(Ledger(), call(100), 0.0)


def test_a_pause_holds_for_every_process_of_the_build(tmp_path):
    one, other = Ledger(tmp_path / "l.sqlite"), Ledger(tmp_path / "l.sqlite")
    one.pause("server", 130.0)
    one.pause("server", 120.0)
    assert RateLimit().seconds_to_wait(other, call(), 129.5) == 0.5
    assert RateLimit().seconds_to_wait(other, call(), 130.0) == 0.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "20"}, 20.0),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}, 90.0),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(headers, seconds):
    assert retry_after(headers, now=10.0) == seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m30s"}, 90.0),
        ({"x-ratelimit-remaining-requests": "5", "x-ratelimit-reset-requests": "1m30s"}, 0.0),
        (
            {
                "x-ratelimit-remaining-tokens": "500",
                "x-ratelimit-limit-tokens": "60500",
                "x-ratelimit-reset-tokens": "60s",
            },
            0.5,
        ),
        ({"x-ratelimit-remaining-tokens": "x", "x-ratelimit-reset-tokens": "6ms"}, 0.0),
    ],
)
def test_announced_limits_are_heeded_before_they_are_met(headers, seconds):
    assert pause_of(headers, tokens=1000) == pytest.approx(seconds)


def test_a_busy_server_gets_half_as_many_calls_at_once_and_slowly_more_again():
    async def play():
        gate = Gate(32)
        gate.busy()
        gate.busy()
        halved = gate.allowed
        for _ in range(16):
            gate.answered()
        return halved, gate.allowed

    halved, later = asyncio.run(play())
    assert halved == 16
    assert 16.9 < later < 17
