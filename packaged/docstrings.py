"""The docstrings of the running Python's standard library, as a corpus that every machine has."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PYTHON_STDLIB = "python-stdlib"
EXTRACTION = Path(__file__).with_name("docstring_extraction.py")


def stdlib_docstrings() -> Iterator[tuple[str, str, str]]:
    """Id, title and docstring of public modules, functions, classes, methods and properties, ordered by id.

    docid: the qualified name (`collections.deque.appendleft`, `builtins.str.split`).
    title: the same name as words (`collections deque appendleft`, `str split`), since Lucene takes a
    dotted or underscored name for one token that no question contains.
    text: the docstring, dedented and whole: models truncate the few long ones, and splitting them would give
    one name several ids.

    A docstring appears once, under its most public name; docstrings of a single word do not appear.
    Modules that cannot be imported here (those of another operating system) are left out.

    They are read in a fresh interpreter: libraries replace functions of the standard library when they are
    imported (torch does so with `inspect.getfile`), and the corpus must not depend on what this process did.
    """
    rows = subprocess.run(
        [sys.executable, "-I", "-S", str(EXTRACTION)],
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        check=True,
    )
    for line in rows.stdout.splitlines():
        docid, title, text = json.loads(line)
        yield docid, title, text
