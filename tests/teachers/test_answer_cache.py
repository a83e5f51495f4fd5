import json

from dataset_builder.language_models.answer_cache import AnswerCache
from dataset_builder.language_models.chat import ChatAnswer, ChatRequest, Message, Sampling


def request(text="hello", **changes):
    return ChatRequest("m", (Message("user", text),), 3, **changes)


ANSWER = ChatAnswer("[1] > [2]", prompt_tokens=7, completion_tokens=5)


def test_an_answer_is_found_again_by_another_process_and_run(tmp_path):
    with AnswerCache(tmp_path) as first:
        first.put(request().key, "m", ANSWER)
    with AnswerCache(tmp_path) as second:
        assert second.get(request()) == ANSWER
        assert second.paid[("m", False)].prompt_tokens == 7


def test_the_key_is_model_and_payload(tmp_path):
    keys = {
        request().key,
        request("other").key,
        request(sampling=Sampling(temperature=None)).key,
        request(sampling=Sampling(max_tokens=9)).key,
        request(fields=("a",)).key,
        ChatRequest("n", request().messages, 3).key,
    }
    assert len(keys) == 6
    assert request().key == request().key


def test_a_line_cut_off_by_a_kill_never_counted(tmp_path):
    with AnswerCache(tmp_path) as cache:
        cache.put(request("a").key, "m", ANSWER)
        cache.put(request("b").key, "m", ANSWER)
    (path,) = tmp_path.glob("*.jsonl")
    path.write_bytes(path.read_bytes()[:-10])
    with AnswerCache(tmp_path) as reopened:
        assert reopened.get(request("a")) == ANSWER
        assert reopened.get(request("b")) is None
        reopened.put(request("b").key, "m", ANSWER)
    assert len(AnswerCache(tmp_path)) == 2


def test_the_answers_of_a_process_that_runs_at_the_same_time_are_seen(tmp_path):
    times = iter(range(0, 100, 2))
    one, other = AnswerCache(tmp_path, lambda: next(times)), AnswerCache(tmp_path)
    other.put(request().key, "m", ANSWER)
    assert one.get(request()) is None
    one.look()
    one.look()
    assert one.get(request()) == ANSWER
    assert one.paid[("m", False)].answers == 1


def test_the_first_answer_stays_and_both_are_counted_as_paid(tmp_path):
    with AnswerCache(tmp_path) as cache:
        cache.put(request().key, "m", ANSWER)
        cache.put(request().key, "m", ChatAnswer("later"))
        assert cache.get(request()) == ANSWER
        assert cache.paid[("m", False)].answers == 2


def test_the_file_is_plain_json_lines(tmp_path):
    with AnswerCache(tmp_path) as cache:
        cache.put(request().key, "m", ChatAnswer("é\n"))
    (path,) = tmp_path.glob("*.jsonl")
    assert json.loads(path.read_text())["text"] == "é\n"
