import gzip
import json

import pyarrow
import pytest
from pyarrow import parquet

from dataset_builder.commands.flags import parser
from retrieval.corpus import corpus_files, corpus_name, read_corpus
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


def test_a_tsv_without_header_has_two_or_three_columns_and_quotes_that_are_quotes(tmp_path):
    (tmp_path / "c.tsv").write_text('1\tsay "hi\n2\ttitle\ttext\n3\t"All quoted." "Twice."\n4\t"One."\n')
    assert list(read_corpus(tmp_path / "c.tsv")) == [
        Passage("1", "", 'say "hi'),
        Passage("2", "title", "text"),
        Passage("3", "", '"All quoted." "Twice."'),
        Passage("4", "", '"One."'),
    ]


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ('id\ttext\ttitle\n1\t"People call it ""the big one""."\tCrane\n',
         Passage("1", "Crane", 'People call it "the big one".')),
        ("docid\ttext\n1\tA crane.\n", Passage("1", "", "A crane.")),
        ("\ufeffTitle\tURL\tPID\tContents\n\"A\nB\"\tx\t1\tA crane.\n", Passage("1", "A\nB", "A crane.")),
        ('"id"\t"text"\n"1"\t"A crane."\n', Passage("1", "", "A crane.")),
        ('1\t"A crane."\n', Passage("1", "", "A crane.")),
        ('1\t"A ""crane""."\n', Passage("1", "", 'A "crane".')),
    ],
)  # fmt: skip
def test_a_tsv_is_read_as_its_header_and_its_quotes_say(tmp_path, table, expected):
    (tmp_path / "c.tsv").write_text(table)
    assert list(read_corpus(tmp_path / "c.tsv")) == [expected]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('id\ttext\n1\t"A" crane\n', "line 2: quotes that are not CSV's"),
        ('id\ttext\n1\tA crane.\n2\t"A crane.\n3\tx\n', "line 3: quotes that are not CSV's"),
        ("id\ttext\n1\tA\tcrane\n", "line 2: 3 columns; expected id, text, by tabs"),
    ],
)
def test_a_row_that_is_not_what_the_header_says_is_refused(tmp_path, table, message):
    (tmp_path / "c.tsv").write_text(table)
    with pytest.raises(InputError, match=message):
        list(read_corpus(tmp_path / "c.tsv"))


@pytest.mark.parametrize("keys", [("_id", "text"), ("id", "contents"), ("docid", "text"), ("doc_id", "body")])
def test_json_is_read_under_beir_s_names_and_pyserini_s(tmp_path, keys):
    (tmp_path / "c.JSONL").write_text(json.dumps(dict(zip(keys, (7, " one "), strict=True))) + "\n")
    assert list(read_corpus(tmp_path / "c.JSONL")) == [Passage("7", "", "one")]


def test_a_folder_of_texts_has_paths_as_ids(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "d.txt").mkdir()
    (tmp_path / "b" / "x.txt").write_text("second\nline")
    (tmp_path / "a.md").write_text("first")
    (tmp_path / "b" / "My notes.TXT").write_text("third")
    (tmp_path / "LOUD.MD").write_text("fourth")
    assert {(p.docid, p.text) for p in read_corpus(tmp_path)} == {
        ("a.md", "first"),
        ("b/x.txt", "second\nline"),
        ("b/My%20notes.TXT", "third"),
        ("LOUD.MD", "fourth"),
    }
    assert [p.docid for p in read_corpus(tmp_path / "b" / "*.txt")] == ["x.txt"]


def test_several_files_are_one_corpus(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text(LINE.replace('"a"', f'"{name}"'))
    (tmp_path / "README.md").write_text("what these are")
    a, b = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    for corpus in (f"{a},{b}", f"{a}, {b}", f"{tmp_path}/*.jsonl", tmp_path):
        assert [passage.docid for passage in read_corpus(corpus)] == ["a", "b"]
        assert corpus_files(corpus) == [a, b]
    arguments = parser().parse_args(["build", "--corpus", str(b), str(a)])
    assert [passage.docid for passage in read_corpus(arguments.corpus)] == ["b", "a"]
    assert corpus_name(f"{a},{b}") == "a.jsonl, b.jsonl"


def test_a_folder_that_may_be_one_corpus_or_another_is_refused(tmp_path):
    (tmp_path / "a.jsonl").write_text(LINE)
    (tmp_path / "notes.txt").write_text("text")
    with pytest.raises(InputError, match=r"holds texts \(notes.txt\) and tables \(a.jsonl\); say which"):
        list(read_corpus(tmp_path))
    (tmp_path / "queries.jsonl").write_text(LINE)
    with pytest.raises(InputError, match=r"has queries.jsonl but no corpus.jsonl"):
        list(read_corpus(tmp_path))


def test_a_parquet_file_is_a_corpus(tmp_path):
    table = pyarrow.table({"docid": [1, 2], "title": ["T", None], "text": ["one", "two"], "size": [1.0, 2.0]})
    parquet.write_table(table, tmp_path / "c.parquet")
    assert list(read_corpus(tmp_path / "c.parquet")) == [Passage("1", "T", "one"), Passage("2", "", "two")]
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "c.parquet").read_bytes()[:-20])
    with pytest.raises(InputError, match=r"cut.parquet after row 0: no Parquet that can be read"):
        list(read_corpus(tmp_path / "cut.parquet"))
    parquet.write_table(pyarrow.table({"text": ["one"]}), tmp_path / "idless.parquet")
    with pytest.raises(InputError, match=r"idless.parquet row 1: .*the id is a string or a whole number"):
        list(read_corpus(tmp_path / "idless.parquet"))


def test_title_only_passages_are_passages_and_empty_ones_are_counted(tmp_path):
    lines = (
        LINE + '{"_id": "b", "title": "Only a title", "text": ""}\n{"_id": "c", "text": " "}\n{"_id": "d"}\n'
    )
    (tmp_path / "c.jsonl").write_text(lines)
    store = PassageStore.build(tmp_path / "p.sqlite", read_corpus(tmp_path / "c.jsonl"))
    assert [(passage.docid, passage.contents) for passage in store] == [
        ("a", "T one two"),
        ("b", "Only a title"),
    ]
    assert store.num_empty == PassageStore(tmp_path / "p.sqlite").num_empty == 2
    assert store.rows(["b"]) == [1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LINE + "{oops\n", "c.jsonl line 2: not JSON"),
        ("[1]\n", 'c.jsonl line 1: expected an object with "_id"'),
        ('{"text": "x"}\n', 'c.jsonl line 1: expected an object with "_id"'),
        ('{"_id": 1.5, "text": "x"}\n', "the id is a string or a whole number"),
        ('{"_id": "a", "text": " "}\n', "holds no passage"),
        ('{"_id": "a", "text": 5}\n', 'c.jsonl line 1: "text" must be a string'),
        ('{"_id": "a b", "text": "x"}\n', "white space"),
        ('{"_id": "", "text": "x"}\n', "the id is empty"),
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
    for name, message in [
        ("c.csv", "unknown file type"),
        ("*.tsv", "does not exist"),
        ("a,b", "a does not exist"),
    ]:
        with pytest.raises(InputError, match=message):
            list(read_corpus(str(tmp_path / name)))


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
