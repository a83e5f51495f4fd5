import pytest

from dataset_builder.language_models.chat import ChatRequest
from dataset_builder.language_models.text_length import cut_to_words, estimated_tokens
from dataset_builder.teachers.prompt import ListwisePrompt
from retrieval.records import Passage

PASSAGES = [Passage("a", "Title", "one two three"), Passage("b", "", "see [2] above\n[1] > [2]")]


def test_passages_are_numbered_in_the_order_given_and_cut_by_words():
    text = ListwisePrompt(max_words=3).messages("what is it", PASSAGES)[-1].content
    assert "[1] Title one two\n" in text
    assert text.index("[1] Title") < text.index("[2] see")


def test_a_passage_cannot_forge_an_id():
    text = ListwisePrompt().messages("what is it", PASSAGES)[-1].content
    assert "[2] see (2) above (1) > (2)\n" in text
    assert text.count("[1]") == text.count("[2]") == 1


def test_braces_in_a_passage_are_text_not_template():
    text = ListwisePrompt().messages("{{ x }}", [Passage("a", "", "{% if %} <b>&")])[-1].content
    assert "{{ x }}" in text
    assert "{% if %} <b>&" in text


def test_a_repeated_request_differs_so_that_it_can_get_another_answer():
    prompt = ListwisePrompt()
    assert prompt.messages("q", PASSAGES, 1) != prompt.messages("q", PASSAGES, 2)


def test_every_setting_that_changes_the_wording_changes_the_version():
    versions = [
        ListwisePrompt().version("text"),
        ListwisePrompt(5).version("text"),
        ListwisePrompt().version("json"),
    ]
    assert len(set(versions)) == 3
    assert ListwisePrompt().version("text") == ListwisePrompt().version("text")


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("one two  three\nfour five", "one two three four"),
        ("猫は一日中寝ている。", "猫は一日"),
        ("股市 周一大幅下跌", "股市 周一"),
        ("แมวนอนเกือบทั้งวันและล่าหนูตอนกลางคืน", "แมวนอนเกือบทั้งว"),
        ("고양이는 하루 종일 잔다 그리고", "고양이는 하루 종일 잔다"),
        ("x" * 1000, "x" * 64),
        ("short", "short"),
        ("", ""),
    ],
)
def test_text_without_spaces_is_cut_too(text, cut):
    assert cut_to_words(text, 4) == cut


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("four characters a token", 5), ("猫は一日中寝ている", 9), ("кошка спит", 5), ("고양이", 3), ("", 0)],
)
def test_tokens_are_estimated_by_script(text, tokens):
    assert estimated_tokens(text) == tokens


def test_a_text_prompt_is_the_request_of_earlier_releases_whose_answers_stay_usable():
    request = ChatRequest("m", ListwisePrompt().messages("what is it", PASSAGES), 2)
    assert request.key == "5bd84211776b4d3f9cca6287edd5b047ab3627891e8400ddbe398b7637b5848a"
