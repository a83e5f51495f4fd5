"""Passages that visitors paste, upload or send, and what they are told about those that cannot be used."""

import pytest
from passages import InputError, Passage, listed_passages, pasted_passages, uploaded_passages


def written(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_each_pasted_line_is_a_passage_numbered_by_its_line():
    assert pasted_passages(" Mars is red. \n\r\nVenus is hot.") == [
        Passage("1", "", "Mars is red."),
        Passage("3", "", "Venus is hot."),
    ]


def test_nothing_pasted_gives_no_passage():
    assert pasted_passages(" \n ") == []


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "a.txt",
            "\ufeffMars is red.\r\n\nVenus is hot.\n",
            [("1", "", "Mars is red."), ("3", "", "Venus is hot.")],
        ),
        (
            "a.jsonl",
            '{"_id": "m", "title": "Mars", "text": "It is red."}\n{"_id": 7, "text": "Hot.", "metadata": {}}\n',
            [("m", "Mars", "It is red."), ("7", "", "Hot.")],
        ),
        (
            "a.tsv",
            "m\tMars is red.\nv\tVenus\tIt is hot.\n",
            [("m", "", "Mars is red."), ("v", "Venus", "It is hot.")],
        ),
    ],
)
def test_an_upload_is_read_by_its_file_type(tmp_path, name, content, expected):
    assert uploaded_passages(written(tmp_path, name, content)) == [Passage(*fields) for fields in expected]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.pkl", b"\x80\x04", "a.pkl: unknown file type; upload a .txt, .jsonl or .tsv file."),
        ("a.txt", b"M\xe4rz", "a.txt is not UTF-8 text; convert it first."),
        ("a.txt", "\n \n", "a.txt holds no passage; put one on each line."),
        ("a.txt", "a\n" * 1001, "More than 1,000 passages in a.txt; leave some out."),
        ("a.txt", "a" * 20_001, "a.txt line 1: longer than 20,000 characters; split it."),
        ("a.txt", ("a" * 20_000 + "\n") * 101, "More than 2,000,000 characters in a.txt; leave some out."),
        ("a.jsonl", '{"_id": "1", "text": "x"}\n{"_id"', "a.jsonl line 2: not JSON."),
        ("a.jsonl", "[" * 100_000, "a.jsonl line 1: not JSON."),
        ("a.jsonl", "1" * 10_000, "a.jsonl line 1: not JSON."),
        ("a.jsonl", '{"text": "x"}', 'a.jsonl line 1: expected an object with "_id" and "text".'),
        ("a.jsonl", '{"_id": "1", "text": ["x"]}', 'a.jsonl line 1: "title" and "text" must be strings.'),
        (
            "a.jsonl",
            '{"_id": "1", "text": "\\ud800"}',
            "a.jsonl line 1: holds characters that are not valid text.",
        ),
        ("a.jsonl", '{"_id": "1", "title": "x"}', "a.jsonl line 1: empty text."),
        ("a.tsv", "only one", "a.tsv line 1: 1 column(s); expected id, text or id, title, text."),
    ],
)
def test_an_upload_that_cannot_be_used_is_refused_with_the_place_and_the_mend(
    tmp_path, name, content, message
):
    with pytest.raises(InputError) as refused:
        uploaded_passages(written(tmp_path, name, content))
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "The list of passages is empty; give at least one."),
        (["x", " "], "passage 2: empty text."),
    ],
)
def test_a_list_of_passages_holds_texts(texts, message):
    with pytest.raises(InputError) as refused:
        listed_passages(texts)
    assert str(refused.value) == message
