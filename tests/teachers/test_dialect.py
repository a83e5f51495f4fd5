"""Parameters that a server does not take are learnt from its refusal."""

import pytest

from dataset_builder.language_models.dialect import ServerDialect
from dataset_builder.language_models.faults import fault_in
from dataset_builder.language_models.ledger import Ledger

PAYLOAD = {"model": "m", "messages": [], "temperature": 0.0, "max_completion_tokens": 9, "thinking_budget": 5}


def refusal(message, param=None):
    return fault_in({"error": {"message": message, "param": param}}, 400)


@pytest.mark.parametrize(
    ("message", "param", "changed"),
    [
        ("Unsupported value: 'temperature' does not support 0.0", "temperature", {"temperature": None}),
        ("`temperature` may only be set to 1 when thinking is enabled", None, {"temperature": None}),
        (
            "Unrecognized request argument supplied: max_completion_tokens",
            None,
            {"max_completion_tokens": None, "max_tokens": 9},
        ),
        ("Unknown parameter", "thinking.budget_tokens", {"thinking": None, "thinking_budget": 5}),
    ],
)
def test_a_refused_parameter_is_sent_in_another_spelling_or_left_out(message, param, changed):
    dialect = ServerDialect(Ledger(), "s", "m")
    sent = dialect.body(PAYLOAD)
    assert sent["thinking"] == {"type": "enabled", "budget_tokens": 5}
    assert dialect.learn(refusal(message, param), sent)
    expected = {name: value for name, value in {**sent, **changed}.items() if value is not None}
    assert dialect.body(PAYLOAD) == expected


def test_what_is_learnt_is_remembered_for_this_server_and_model(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        dialect = ServerDialect(ledger, "s", "m")
        assert dialect.learn(refusal("temperature", "temperature"), dialect.body(PAYLOAD))
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        assert "temperature" not in ServerDialect(ledger, "s", "m").body(PAYLOAD)
        assert "temperature" in ServerDialect(ledger, "s", "other").body(PAYLOAD)


def test_a_refusal_of_what_was_sent_before_it_was_learnt_asks_again_and_teaches_nothing_more():
    dialect = ServerDialect(Ledger(), "s", "m")
    sent = dialect.body(PAYLOAD)
    refused = refusal("Unsupported parameter: 'max_completion_tokens'", "max_completion_tokens")
    assert dialect.learn(refused, sent)
    dialect.taken = True
    assert dialect.learn(refused, sent)
    assert dialect.body(PAYLOAD)["max_tokens"] == 9


def test_what_the_server_took_once_is_not_what_it_rejects():
    dialect = ServerDialect(Ledger(), "s", "m")
    dialect.taken = True
    assert not dialect.learn(refusal("a passage on temperature is not allowed"), dialect.body(PAYLOAD))
    assert not dialect.learn(refusal("bad", "messages[0].content"), dialect.body(PAYLOAD))
