import inspect
import os.path
import subprocess
import sys
from collections import deque

import pytest

from retrieval.corpus import PYTHON_STDLIB, read_corpus


@pytest.fixture(scope="module")
def passages():
    return {passage.docid: passage for passage in read_corpus(PYTHON_STDLIB)}


def test_ids_are_unique_ordered_and_of_a_sane_number():
    docids = [passage.docid for passage in read_corpus(PYTHON_STDLIB)]
    assert docids == sorted(set(docids))
    assert 4500 < len(docids) < 6500


def test_a_passage_is_the_dedented_docstring_under_its_name_as_words(passages):
    appendleft = passages["collections.deque.appendleft"]
    assert appendleft.title == "collections deque appendleft"
    assert appendleft.text == inspect.cleandoc(deque.appendleft.__doc__)
    assert passages["builtins.str.split"].title == "str split"
    assert passages["subprocess.check_output"].title == "subprocess check output"


def test_modules_classes_methods_and_properties_are_all_there(passages):
    names = "heapq collections.Counter datetime.datetime.fromisoformat pathlib.PurePath.suffix builtins.open"
    assert [name for name in names.split() if name not in passages] == []


def test_a_re_export_appears_once_under_its_most_public_name(passages):
    assert "asyncio.run" in passages and "asyncio.runners.run" not in passages
    assert "random.choice" in passages and "random.Random.choice" not in passages
    assert "os.path.join" in passages and f"{os.path.__name__}.join" not in passages
    assert "builtins.OSError" in passages and "builtins.IOError" not in passages
    assert "socket.error" not in passages and "socket.socket.recv" in passages


def test_an_inherited_docstring_is_not_repeated(passages):
    assert "pathlib.PurePath.with_suffix" in passages and "pathlib.Path.with_suffix" not in passages


def test_private_names_near_empty_docstrings_and_modules_that_act_are_left_out(passages):
    assert not [name for name in passages if any(part.startswith("_") for part in name.split("."))]
    assert min(len(passage.text.split()) for passage in passages.values()) == 2
    assert not {name.split(".")[0] for name in passages} & {"antigravity", "this", "test", "tkinter"}


def test_two_fresh_processes_print_the_same_passages_and_nothing_else():
    code = (
        "import hashlib; from packaged import stdlib_docstrings as s;"
        "print(hashlib.sha256(repr(list(s())).encode()).hexdigest())"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-W", "always", "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        for seed in ("1", "2")
    ]
    assert runs[0].stdout == runs[1].stdout
    assert len(runs[0].stdout.split()) == 1
    assert runs[0].stderr == ""


def test_the_corpus_does_not_depend_on_what_this_process_imported(monkeypatch, passages):
    monkeypatch.setattr(inspect, "getfile", lambda *arguments: "replaced")
    assert {passage.docid: passage for passage in read_corpus(PYTHON_STDLIB)} == passages
    assert "inspect.getfile" in passages
