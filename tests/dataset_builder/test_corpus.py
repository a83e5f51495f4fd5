import gzip
import json

import pytest

from retrieval.corpus import read_corpus
from retrieval.errors import InputError
from retrieval.passage_store import DuplicateDocid, PassageStore
from retrieval.records import Passage

LINE = '{"_id": "a", "title": "T", "text": "one two"}\n'


def test_a_beir_file_is_read_plain_and_compressed(tmp_path):
    (tmp_path / "corpus.jsonl").write_text(LINE)
    with gzip.open(tmp_path / "zipped.jsonl.gz", "wt") as file:
        file.write(LINE)
    expected = [Passage("a", "T", "one two")]
    assert list(read_corpus(tmp_path / "corpus.jsonl")) == expected
    assert list(read_corpus(tmp_path / "zipped.jsonl.gz")) == expected
    assert list(read_corpus(tmp_path)) == expected
    assert expected[0].contents == "T one two"


def test_a_tsv_has_two_or_three_columns_and_no_quoting(tmp_path):
    (tmp_path / "c.tsv").write_text('1\tsay "hi\n2\ttitle\ttext\n')
    assert list(read_corpus(tmp_path / "c.tsv")) == [
        Passage("1", "", 'say "hi'),
        Passage("2", "title", "text"),
    ]


def test_a_folder_of_texts_has_paths_as_ids(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x.txt").write_text("second\nline")
    (tmp_path / "a.md").write_text("first")
    assert [(p.docid, p.text) for p in read_corpus(tmp_path)] == [
        ("a.md", "first"),
        ("b/x.txt", "second\nline"),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LINE + "{oops\n", "c.jsonl line 2: not JSON"),
        ("[1]\n", 'c.jsonl line 1: expected an object with "_id"'),
        ('{"text": "x"}\n', 'c.jsonl line 1: expected an object with "_id"'),
        ('{"_id": "a", "text": " "}\n', "c.jsonl line 1: passage 'a' has no text"),
        ('{"_id": "a", "text": 5}\n', 'c.jsonl line 1: "title" and "text" must be strings'),
        ('{"_id": "a b", "text": "x"}\n', "white space"),
        ('{"_id": "a", "text": "\\ud800"}\n', "half a surrogate pair"),
        ("", "holds no passage"),
    ],
)
def test_bad_json_lines_name_file_and_line(tmp_path, content, message):
    (tmp_path / "c.jsonl").write_text(content)
    with pytest.raises(InputError) as error:
        list(read_corpus(tmp_path / "c.jsonl"))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_files_that_are_no_corpus_are_refused(tmp_path):
    (tmp_path / "c.csv").write_text("a,b\n")
    (tmp_path / "latin.tsv").write_bytes("1\tcafé\n".encode("latin-1"))
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(LINE.encode() * 1000)[:40])
    (tmp_path / "wide.tsv").write_text("1\t2\t3\t4\n")
    for name, message in [
        ("none.jsonl", "does not exist"),
        ("c.csv", "unknown file type"),
        ("latin.tsv", "latin.tsv line 1: not UTF-8"),
        ("cut.jsonl.gz", "cannot be read"),
        ("wide.tsv", "wide.tsv line 1: 4 columns"),
    ]:
        with pytest.raises(InputError, match=message):
            list(read_corpus(tmp_path / name))


def test_the_store_finds_passages_by_id_and_row(tmp_path, planets):
    store = PassageStore.build(tmp_path / "p.sqlite", read_corpus(planets))
    rows = [json.loads(line) for line in planets.read_text().splitlines()]
    assert len(store) == 10
    assert [passage.docid for passage in store] == [row["_id"] for row in rows]
    assert [passage.docid for passage in store.get(["mars", "earth"])] == ["mars", "earth"]
    assert store.rows(["mars", "mercury"]) == [3, 0]
    assert store.docids([3, 0]) == ["mars", "mercury"]
    assert store.at(2).docid == "earth"
    with pytest.raises(KeyError):
        store.get(["pluto"])


def test_a_failed_store_leaves_no_file(tmp_path):
    with pytest.raises(DuplicateDocid):
        PassageStore.build(tmp_path / "p.sqlite", [Passage("a", "", "x"), Passage("a", "", "y")])
    assert not (tmp_path / "p.sqlite").exists()
