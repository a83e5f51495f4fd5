"""Lucene indexes are whole whatever the heap, or the build says so."""

import os
import subprocess
import sys
from functools import partial

import pytest

from retrieval.errors import InputError
from retrieval.retrievers import lucene_index
from retrieval.retrievers.lucene import BM25
from retrieval.retrievers.lucene_index import TextWriter, write_lucene_index
from tests.command_line import ROOT

# Postings of 640,000 rare words: more than the heap, unless some are written out on the way.
SCRIPT = """
import sys
from functools import partial
from pathlib import Path
from retrieval.retrievers import lucene_index
from retrieval.retrievers.lucene_index import ImpactWriter, TextWriter, impact_text, write_lucene_index

folder = Path(sys.argv[1])
texts = [(str(number), " ".join(f"{number}x{word}" for word in range(80))) for number in range(8_000)]
impacts = ((docid, impact_text((word, 7) for word in text.split())) for docid, text in texts)
print("impacts", write_lucene_index(impacts, folder / "impacts", ImpactWriter))
print("text", write_lucene_index(texts, folder / "text", partial(TextWriter, flags=[])))
lucene_index.BUFFERED_SHARE = 64
try:
    write_lucene_index(texts, folder / "kept-back", partial(TextWriter, flags=[]))
except lucene_index.InputError as error:
    print(error)
"""


@pytest.mark.slow
def test_what_is_larger_than_the_heap_is_indexed_in_parts_and_else_refused(tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"JAVA_TOOL_OPTIONS": "-Xmx32m"},
    )
    assert result.returncode == 0, result.stderr
    impacts, text, refusal = result.stdout.splitlines()
    assert (impacts, text) == ("impacts 8000", "text 8000")
    assert refusal.startswith("Lucene ")
    assert refusal.endswith(
        "set JAVA_TOOL_OPTIONS=-Xmx4g, look whether the disk is full, and give the same command again"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["impacts", "kept-back.unfinished", "text"]


DOCUMENTS = [
    (str(number), " ".join(f"w{number * place % 977}" for place in range(1, 30))) for number in range(3000)
]
TEXT = partial(TextWriter, flags=[])


def test_an_index_written_in_parts_finds_what_one_of_one_piece_finds(tmp_path, monkeypatch):
    write_lucene_index(DOCUMENTS, tmp_path / "whole", TEXT)
    monkeypatch.setattr(lucene_index, "_buffer_mib", lambda: 0.1)
    assert write_lucene_index([*DOCUMENTS, ("blank", " ")], tmp_path / "parts", TEXT) == 3000
    # Lucene numbers its segments, in base 36; merged ones are gone.
    assert max(int(path.stem[1:], 36) for path in (tmp_path / "parts").glob("*.fnm")) > 20
    queries = ["w5 w700 w31", "w976"]
    whole, parts = (BM25(tmp_path / name).search(queries, 20) for name in ("whole", "parts"))
    assert whole == parts
    assert len(whole[0]) == 20


def test_an_index_that_lacks_a_document_is_refused_and_not_left_as_whole(tmp_path):
    class Forgetful(TextWriter):
        def add(self, documents):
            super().add(documents[1:])

    with pytest.raises(InputError, match=r"Lucene holds 999 of 1,000 documents; its heap is \d+ MiB"):
        write_lucene_index(DOCUMENTS, tmp_path / "index", partial(Forgetful, flags=[]))
    assert not (tmp_path / "index").exists()
