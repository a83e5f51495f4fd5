"""Runs one of Pyserini's commands in the Java that is here: `python -m evaluation.pyserini_command MODULE ...`."""

import runpy
import sys

from retrieval.retrievers.jvm import start_jvm

if __name__ == "__main__":
    start_jvm()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
