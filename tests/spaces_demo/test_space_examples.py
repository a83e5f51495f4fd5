"""The questions that the page offers find their answers, with the real MiniLM as an untrained reranker."""

import inspect
import pydoc

import pytest
from demo import EXAMPLES
from passage_vectors import passage_vectors
from passages import Passage
from reranking import Collection, VectorScorer, rerank

from modeling_twolar import load_reranker
from packaged.docstrings import stdlib_docstrings
from retrieval.model_files import model_path

ANSWERS = {
    "how many cores does this computer have": "os.cpu_count",
    "recursively remove a folder": "shutil.rmtree",
    "run an external program and read its output": "subprocess.",
    "remember results of expensive function calls": "functools.",
    "split text at every match of a regular expression": "re.split",
}
# Each answer among names that share words with its question.
SOME = (
    "os.cpu_count", "multiprocessing.cpu_count", "platform.machine", "math.comb", "shutil.rmtree", "os.remove",
    "os.removedirs", "glob.glob", "subprocess.check_output", "runpy.run_path", "cProfile.run", "os.read",
    "functools.lru_cache", "functools.partial", "trace.Trace", "atexit.register", "re.split", "re.match",
    "shlex.split", "textwrap.wrap",
)  # fmt: skip


def answers_found(passages, cache):
    model = load_reranker(model_path("all-MiniLM-L6-v2"))
    scorer = VectorScorer(model, passage_vectors(model, [passage.contents for passage in passages], cache))
    collection = Collection.of("docstrings", passages, is_bundled=True)
    best = {question: rerank(question, collection, scorer).passages[:3] for question in ANSWERS}
    return {
        question: any(ranked.passage.docid.startswith(ANSWERS[question]) for ranked in found)
        for question, found in best.items()
    }


def test_each_example_has_its_answer_in_the_first_three(tmp_path):
    assert list(ANSWERS) == EXAMPLES
    passages = [
        Passage(name, name.replace(".", " ").replace("_", " "), inspect.getdoc(pydoc.locate(name)))
        for name in SOME
    ]
    assert answers_found(passages, tmp_path) == dict.fromkeys(EXAMPLES, True)


@pytest.mark.slow
def test_each_example_has_its_answer_in_the_first_three_of_the_whole_library(tmp_path):
    passages = [Passage(*row) for row in stdlib_docstrings()]
    assert answers_found(passages, tmp_path) == dict.fromkeys(EXAMPLES, True)
