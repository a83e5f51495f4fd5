"""Pointwise scores: their arithmetic, and a real language model behind the embedded server."""

import math

import pytest

from dataset_builder.language_models.answer_cache import AnswerCache
from dataset_builder.language_models.budget import Budget
from dataset_builder.language_models.chat import ChatAnswer
from dataset_builder.language_models.conversation import advance, replay
from dataset_builder.language_models.embedded import EmbeddedServer, PromptReuse
from dataset_builder.language_models.live import LiveModel
from dataset_builder.language_models.openai_server import OpenAIServer
from dataset_builder.teachers.llm_teacher import LLMTeacher
from dataset_builder.teachers.pointwise import PointwiseSettings, log_odds
from retrieval.errors import InputError
from tests.teachers.example_pools import make_pool

MODEL = "SmolLM2-135M-Instruct"


def test_all_spellings_of_a_word_count():
    candidates = {"Yes": math.log(0.3), " yes": math.log(0.2), "No": math.log(0.25), "Maybe": math.log(0.05)}
    assert log_odds(candidates) == pytest.approx(math.log(0.5 / 0.25))


def test_a_word_that_is_not_among_the_candidates_is_no_likelier_than_the_last_of_them():
    assert log_odds({"Yes": -0.1, "The": -3.0, "A": -5.0}) == pytest.approx(4.9)
    assert log_odds({"The": -3.0, "A": -5.0}) == 0


def test_each_passage_is_asked_for_by_itself_and_the_order_is_that_of_the_scores():
    conversation = PointwiseSettings("m").begin(make_pool(0, 3))
    request = advance(conversation, None)
    for score in (-1.0, 2.0, 0.5):
        body = request.payload()
        assert (body["logprobs"], body["top_logprobs"], body["max_completion_tokens"]) == (True, 20, 1)
        request = advance(conversation, ChatAnswer("Yes", first_token={"Yes": score, "No": 0.0}))
    assert request.order == (1, 2, 0)
    assert request.scores == pytest.approx((-1.0, 2.0, 0.5))


def test_a_refusal_gives_the_pool_no_order():
    conversation = PointwiseSettings("m").begin(make_pool(0, 3))
    advance(conversation, None)
    answer = advance(conversation, ChatAnswer("", refusal="no"))
    assert (answer.order, answer.label_status) == (None, "refused")


def test_a_server_without_log_probabilities_is_refused():
    conversation = PointwiseSettings("m").begin(make_pool(0, 3))
    advance(conversation, None)
    with pytest.raises(InputError, match="without log-probabilities"):
        advance(conversation, ChatAnswer("Yes"))


def test_a_real_model_scores_through_the_embedded_server_and_is_not_asked_twice(cache):
    pools = [make_pool(number, 2) for number in range(2)]
    settings = PointwiseSettings(MODEL)
    with EmbeddedServer(MODEL) as url:
        model = LiveModel(cache, Budget(cache, MODEL, None), OpenAIServer(url), 1)
        labelled = list(LLMTeacher(settings, model).label(pools))
        assert len(cache) == 4
        assert list(LLMTeacher(settings, model).label(pools)) == labelled
        assert len(cache) == 4
    for example in labelled:
        assert all(math.isfinite(score) for score in example.teacher_scores)
        assert len(set(example.teacher_scores)) == 2
        _, answer = replay(settings.begin(example), cache)
        assert answer.scores == example.teacher_scores


def test_an_embedded_models_answer_does_not_depend_on_the_prompt_before(tmp_path):
    pools = [make_pool(number, 2) for number in range(2)]
    reuse = PromptReuse()
    asked = iter(range(100))

    def label(order, own_fields):
        with AnswerCache(tmp_path / str(next(asked))) as anew:
            server = OpenAIServer(url, own_fields=own_fields)
            model = LiveModel(anew, Budget(anew, MODEL, None), server, 1)
            return [
                example.teacher_scores for example in LLMTeacher(PointwiseSettings(MODEL), model).label(order)
            ]

    with EmbeddedServer(MODEL) as url:
        alone = label(pools, lambda _: {"cache_prompt": False})
        assert label(pools[::-1], reuse.fields) == alone[::-1]
        assert label(pools[:1], reuse.fields) == alone[:1]
        assert label([make_pool(0, 1)] * 2, reuse.fields) == [(alone[0][0],)] * 2
