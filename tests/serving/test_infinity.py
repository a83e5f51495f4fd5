"""infinity opens the plain export of a cross-encoder, in an environment without our code."""

import json
import subprocess

import pytest

from modeling_twolar import load_reranker
from serving.export import export
from tests.conftest import PLANETS
from tests.modeling.small_models import save_classifier
from tests.serving.conftest import environment_of

QUERY = "which planet is red"
SCRIPT = """
import asyncio, json, sys
from infinity_emb import AsyncEmbeddingEngine, EngineArgs

folder, query, passages = map(json.loads, sys.argv[1:])

async def main():
    engine = AsyncEmbeddingEngine.from_args(EngineArgs(model_name_or_path=folder, engine="torch", device="cpu"))
    async with engine:
        found, _ = await engine.rerank(query=query, docs=passages, raw_scores=True)
    print(json.dumps({each.index: float(each.relevance_score) for each in found}))

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def infinity(tmp_path_factory):
    return environment_of("requirements-infinity.txt", tmp_path_factory.mktemp("infinity"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bert", "modernbert"])
def test_infinity_gives_the_order_and_scores_of_the_checkpoint(kind, infinity, tmp_path):
    start, passages = str(save_classifier(tmp_path / "start", kind)), [text for _, text in PLANETS]
    export(start, tmp_path / "export")
    expected = load_reranker(start).rank(QUERY, passages)
    arguments = [json.dumps(argument) for argument in (str(tmp_path / "export"), QUERY, passages)]
    printed = subprocess.run(
        [infinity, "-c", SCRIPT, *arguments], capture_output=True, text=True, check=True, timeout=300
    ).stdout
    found = json.loads(printed.splitlines()[-1])
    assert list(map(int, found)) == [each["corpus_id"] for each in expected]
    assert list(found.values()) == pytest.approx([each["score"] for each in expected], abs=1e-4)
