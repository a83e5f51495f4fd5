"""Every reader against every kind of file of real life: read right, or refused in one line with file and line."""

import gzip
import io
import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from dataset_builder.queries.decontamination import ExcludedQueries
from retrieval.corpus import read_corpus
from retrieval.errors import InputError
from retrieval.judgments import read_qrels
from retrieval.queries import read_queries
from retrieval.records import Hit, Passage
from retrieval.trec_run import read_ranked_run, read_run

PASSAGES = [Passage("é1", "", "one two"), Passage("2", "", "three")]
QUERIES = {"é1": "one two", "2": "three"}
JSON_LINES = '{"_id": "é1", "text": "one two"}\n{"_id": "2", "text": "three"}\n'
TSV = "é1\tone two\n2\tthree\n"
RUN = "é1 Q0 a 1 2 x\né1 Q0 b 2 1 x\n"
HITS = {"é1": [Hit("a", 2.0), Hit("b", 1.0)]}


class Kind(NamedTuple):
    """A kind of file: its name, how it is read, a good one, and what that gives."""

    name: str
    read: Callable[[Path], object]
    good: str
    found: object


def passages(path):
    return list(read_corpus(path))


def excluded(path):
    found = ExcludedQueries.read([str(path)])
    return ["two one" in found, "THREE" in found, "four" in found]


KINDS = {
    "corpus": Kind("corpus.jsonl", passages, JSON_LINES, PASSAGES),
    "table": Kind("corpus.tsv", passages, TSV, PASSAGES),
    "text": Kind("text.txt", passages, "é1 one\ntwo\n", [Passage("text.txt", "", "é1 one\ntwo")]),
    "queries": Kind("queries.jsonl", read_queries, JSON_LINES, QUERIES),
    "topics": Kind("topics.tsv", read_queries, TSV, QUERIES),
    "judgments": Kind("test.tsv", read_qrels, "query-id\tcorpus-id\tscore\né1\ta\t2\n", {"é1": {"a": 2}}),
    "qrels": Kind("qrels.txt", read_qrels, "é1 0 a 2\né1 0 b 0\n", {"é1": {"a": 2, "b": 0}}),
    "run": Kind("run.txt", read_run, RUN, HITS),
    "ranking": Kind("run.txt", read_ranked_run, RUN, HITS),
    "excluded": Kind("queries.jsonl", excluded, JSON_LINES, [True, True, False]),
    "excluded topics": Kind("topics.tsv", excluded, TSV, [True, True, False]),
}
GOOD = {
    "as it is": lambda text: text.encode(),
    "byte order mark": lambda text: text.encode("utf-8-sig"),
    "a mark in the middle": lambda text: text.replace("\n", "\n\ufeff", 1).encode(),
    "CRLF": lambda text: text.replace("\n", "\r\n").encode(),
    "blank last lines": lambda text: f"{text}\n  \n\r\n".encode(),
    "no last line end": lambda text: text.rstrip("\n").encode(),
    "gzip": lambda text: gzip.compress(text.encode()),
    "gzip in two parts": lambda text: b"".join(gzip.compress(part) for part in text.encode().splitlines(True)),
}  # fmt: skip


def cut(text):
    whole = gzip.compress(os.urandom(100_000).hex().encode() + text.encode())
    return whole[: len(whole) // 2]


def wrong_checksum(text):
    data = bytearray(gzip.compress(text.encode()))
    data[-8] ^= 255
    return bytes(data)


def wrong_blocks(text):
    data = bytearray(gzip.compress(text.encode()))
    data[10:14] = b"\xff" * 4
    return bytes(data)


def zipped(text):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("file", text)
    return data.getvalue()


BAD = {
    "Latin-1": (lambda text: text.encode("latin-1"), r" line \d: not UTF-8 text \(byte 0xe9\) but Latin-1"),
    "UTF-16": (lambda text: text.encode("utf-16"), " line 1: UTF-16 text; convert it first"),
    "big UTF-16": (
        lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
        " line 1: UTF-16 text; convert it first",
    ),
    "UTF-16 without a mark": (
        lambda text: text.replace("é", "e").encode("utf-16-le"),
        " line 1: holds a NUL",
    ),
    "gzipped UTF-16": (
        lambda text: gzip.compress(text.encode("utf-16")),
        " line 1: UTF-16 text; convert it first",
    ),
    "old Mac": (
        lambda text: text.replace("\n", "\r").encode(),
        " line 1: lines end with a carriage return alone",
    ),
    "cut gzip": (cut, r" after line \d: damaged or cut gzip"),
    "wrong checksum": (wrong_checksum, r" after line \d: damaged or cut gzip"),
    "wrong blocks": (wrong_blocks, " after line 0: damaged or cut gzip"),
    "zip": (zipped, " line 1: a zip archive; unpack it first"),
    "Parquet": (lambda text: b"PAR1" + text.encode(), " line 1: a Parquet file"),
}
ENTRIES = {
    "folder": (lambda path: path.mkdir(), "is a folder, not a file|holds no passage"),
    "nothing": (lambda path: None, "does not exist"),
    "broken link": (lambda path: path.symlink_to("nowhere"), "is a link to a file that does not exist"),
    "unreadable": (lambda path: path.symlink_to("/proc/self/mem"), " after line 0: cannot be read"),
    "pipe": (lambda path: os.mkfifo(path), "is a device or a pipe, not a file"),
    "empty": (lambda path: path.touch(), "holds no passage|holds no query|holds no judgment|is empty"),
}
DIGITS = "7" * 5000
DEEP = "[" * 100_000 + "]" * 100_000
LINES = {
    "corpus": [f'{{"_id": {DIGITS}, "text": "x"}}', f'{{"_id": "1", "text": {DEEP}}}', "{", "[]", '{"_id": true}'],
    "table": ["1", "1\t2\t3\t4", "a b\ttext", "\ttext"],
    "queries": [f'{{"_id": {DIGITS}, "text": "x"}}', f'{{"_id": "1", "text": {DEEP}}}', '{"_id": "1", "text": null}',
                '{"_id": "a b", "text": "x"}', '{"_id": "é1", "text": "another"}', '{"_id": "\\ud800", "text": "x"}'],
    "topics": ["1", "1\t2\t3", "a b\ttext"],
    "judgments": [f"1\ta\t{DIGITS}", "1\ta", "é1\ta\t1", "a b\ta\t1", "1\ta b\t1", "1\ta\t1_0", "1\ta\thigh", "\ta\t1"],
    "qrels": [f"1 0 a {DIGITS}", "1 0 a b 1", "é1 0 a 1", "1 0 a nan"],
    "run": [f"1 Q0 a 1 {DIGITS} x", "1 Q0 a 1 nan x", "1 Q0 a 1 inf x", "1 Q0 a 1 1_0 x", "é1 Q0 a 3 1 x", "1 a 2"],
    "ranking": ["1 Q0 a 1 nan x", "1 Q0 a 1 -NaN x"],
    "excluded": [f'{{"text": {DIGITS}}}', f'{{"text": {DEEP}}}', '{"text": null}', "no JSON"],
    "excluded topics": ["1\t2\t3", "only"],
}  # fmt: skip


def refusal(kind, path):
    with pytest.raises(InputError) as error:
        kind.read(path)
    message = str(error.value)
    assert "\n" not in message and len(message) < 500
    return message


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("good", GOOD)
@pytest.mark.parametrize("kind", KINDS)
def test_a_good_file_is_read_right_whatever_its_form_and_name(kind, good, suffix, tmp_path):
    kind = KINDS[kind]
    path = tmp_path / f"{kind.name}{suffix}"
    path.write_bytes(GOOD[good](kind.good))
    found = kind.read(path)
    if path.name == "text.txt.gz":
        found = [Passage("text.txt", "", passage.text) for passage in found]
    assert found == kind.found


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_named_with_its_line_and_its_damage(kind, bad, tmp_path):
    kind, (damage, message) = KINDS[kind], BAD[bad]
    path = tmp_path / kind.name
    path.write_bytes(damage(kind.good))
    found = refusal(kind, path)
    assert found.startswith(str(path))
    assert re.match(message, found.removeprefix(str(path)))


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_is_named(kind, entry, tmp_path):
    kind, (make, message) = KINDS[kind], ENTRIES[entry]
    path = tmp_path / kind.name
    make(path)
    found = refusal(kind, path)
    assert str(path) in found and any(part in found for part in message.split("|"))


@pytest.mark.parametrize(("kind", "line"), [(kind, line) for kind, lines in LINES.items() for line in lines])
def test_a_line_of_another_form_is_named_with_its_place(kind, line, tmp_path):
    kind = KINDS[kind]
    path = tmp_path / kind.name
    path.write_text(kind.good + line + "\n")
    assert refusal(kind, path).startswith(f"{path} line 3: ")
