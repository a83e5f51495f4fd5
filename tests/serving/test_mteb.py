"""MTEB's two-stage reranking with a checkpoint in its CrossEncoder: the nDCG@10 that our own measure has."""

import json
import subprocess

import ir_measures
import pytest
from ir_measures import nDCG

from modeling_twolar import TwolarForReranking
from retrieval.model_files import model_path
from tests.conftest import PLANETS
from tests.serving.conftest import environment_of

QUESTIONS = {"q1": "which planet is red", "q2": "rings made of ice", "q3": "the largest planet of all"}
# Grades that no order of one's own would have by chance.
GRADES = {
    "q1": {"mars": 1, "moon": 2, "earth": 1},
    "q2": {"saturn": 1, "venus": 2},
    "q3": {"neptune": 2, "mars": 1},
}
SCRIPT = """
import json, sys
import mteb
from datasets import Dataset
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata
from sentence_transformers import CrossEncoder

checkpoint, passages, questions, grades = map(json.loads, sys.argv[1:])
unknown = ["reference", "date", "domains", "task_subtypes", "license", "annotations_creators", "dialect"]
unknown += ["sample_creation", "bibtex_citation"]

class Planets(AbsTaskRetrieval):
    metadata = TaskMetadata(
        name="Planets", description="Planets.", type="Reranking", category="t2t", modalities=["text"],
        dataset={"path": "local", "revision": "1"}, eval_splits=["test"], eval_langs=["eng-Latn"],
        main_score="ndcg_at_10", **dict.fromkeys(unknown),
    )

    def load_data(self, **_):
        corpus = {"id": list(passages), "title": [""] * len(passages), "text": list(passages.values())}
        asked = {"id": list(questions), "text": list(questions.values())}
        top_ranked = {question: list(passages) for question in questions}
        split = {"corpus": Dataset.from_dict(corpus), "queries": Dataset.from_dict(asked)}
        self.dataset = {"default": {"test": split | {"relevant_docs": grades, "top_ranked": top_ranked}}}
        self.data_loaded = True

model = CrossEncoder(checkpoint, trust_remote_code=True, device="cpu")
found = mteb.evaluate(model, [Planets()], cache=None, overwrite_strategy="always", show_progress_bar=False)
print(json.dumps(found.task_results[0].scores["test"][0]["ndcg_at_10"]))
"""


@pytest.mark.slow
def test_mteb_finds_the_ndcg_that_we_do(tmp_path):
    python = environment_of("requirements-mteb.txt", tmp_path / "mteb")
    model = TwolarForReranking.from_backbone(model_path("all-MiniLM-L6-v2"))
    model.save_pretrained(tmp_path / "model")
    passages = dict(PLANETS)
    given = [json.dumps(each) for each in (str(tmp_path / "model"), passages, QUESTIONS, GRADES)]
    ended = subprocess.run(
        [python, "-c", SCRIPT, *given], cwd=tmp_path, capture_output=True, text=True, timeout=600
    )
    assert ended.returncode == 0, ended.stderr
    run = {
        question: dict(
            zip(passages, model.score([(text, each) for each in passages.values()]).tolist(), strict=True)
        )
        for question, text in QUESTIONS.items()
    }
    expected = ir_measures.calc_aggregate([nDCG @ 10], GRADES, run)[nDCG @ 10]
    assert 0.1 < expected < 0.9
    assert float(ended.stdout.splitlines()[-1]) == pytest.approx(expected, abs=1e-4)
