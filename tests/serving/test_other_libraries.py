"""The snippets of OTHER_LIBRARIES.md, run as they stand, on a checkpoint at the name they give."""

import importlib.util
import json
import math
import os
import re
import shutil
import socket
import subprocess
import sys

import pytest

from modeling_twolar import TwolarForReranking
from retrieval.model_files import model_path
from tests.serving.conftest import ROOT, Served, environment_of

QUERY = "keep the last n items seen"
PASSAGES = ["Sort a list in place.", "A deque keeps only its last n items.", "Open a file."]
NAME = "twolar/minilm-python-stdlib"
SECTIONS = dict(
    section.split("\n", 1) for section in (ROOT / "serving/OTHER_LIBRARIES.md").read_text().split("\n## ")[1:]
)

EXPORT = "An export, without our code"
# (client, snippet) of those that ask over HTTP, and of those that open an export
CLIENTS, ENGINES = (
    re.findall(r"### ([^\n]*)\n[^#]*?```python\n(.*?)```", SECTIONS[section], re.DOTALL)
    for section in ("Over HTTP", EXPORT)
)
FROM_0_TO_1 = "LlamaIndex, by TEI's shape"  # it does not ask for raw scores


def snippets(section, language):
    return re.findall(rf"```{language}\n(.*?)```", SECTIONS[section], re.DOTALL)


def require(package):
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed (tests/serving/requirements-other-libraries.txt)")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder in which the snippets' checkpoint is found by its name."""
    folder = tmp_path_factory.mktemp("workplace")
    TwolarForReranking.from_backbone(model_path("all-MiniLM-L6-v2")).save_pretrained(folder / NAME)
    return folder


@pytest.fixture(scope="module")
def ranked(workplace):
    model = TwolarForReranking.from_pretrained(workplace / NAME)
    return model.rank(QUERY, PASSAGES, return_documents=True)


@pytest.fixture(scope="module")
def service(workplace):
    """The service on the port that the snippets name."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 8000)) == 0:
            pytest.skip("port 8000, which the snippets name, is taken")
    served = Served(NAME, port=8000, cwd=workplace)
    yield served
    served.stop()


def run(command, workplace):
    """What the command printed."""
    environment = os.environ | {"HF_HOME": str(workplace / "cache"), "HF_HUB_OFFLINE": "1"}
    ended = subprocess.run(
        command, cwd=workplace, env=environment, capture_output=True, text=True, timeout=300
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def assert_printed(output, ranked):
    """The passages in the checkpoint's order, each with its score."""
    scores, texts = zip(*(line.split(" ", 1) for line in output.splitlines()), strict=True)
    assert list(texts) == [entry["text"] for entry in ranked]
    assert [float(score) for score in scores] == pytest.approx(
        [entry["score"] for entry in ranked], abs=0.0011
    )


@pytest.mark.parametrize(
    ("section", "package"),
    [
        ("sentence-transformers", "sentence_transformers"),
        ("LlamaIndex", "llama_index"),
        ("Haystack", "haystack_integrations"),
    ],
)
def test_a_library_gives_the_order_and_scores_of_the_checkpoint(section, package, workplace, ranked):
    require(package)
    (snippet,) = snippets(section, "python")
    assert_printed(run([sys.executable, "-c", snippet], workplace), ranked)


def test_langchain_gives_the_order_of_the_checkpoint(workplace, ranked):
    require("langchain_classic")
    (snippet,) = snippets("LangChain", "python")
    output = run([sys.executable, "-c", snippet], workplace)
    assert output.splitlines() == [entry["text"] for entry in ranked]


def test_curl_gets_the_order_and_scores_of_the_checkpoint(service, workplace, ranked):
    _, curl = snippets("Over HTTP", "bash")
    results = json.loads(run(["bash", "-c", curl], workplace))["results"]
    assert [result["index"] for result in results] == [entry["corpus_id"] for entry in ranked]
    assert [result["document"]["text"] for result in results] == [entry["text"] for entry in ranked]
    assert [result["relevance_score"] for result in results] == pytest.approx(
        [entry["score"] for entry in ranked], abs=1e-5
    )


@pytest.fixture(scope="module")
def clients(tmp_path_factory):
    return environment_of("requirements-http-clients.txt", tmp_path_factory.mktemp("clients"))


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    return environment_of("requirements-export-engines.txt", tmp_path_factory.mktemp("engines"))


@pytest.fixture(scope="module")
def exported(workplace):
    """Run the section's own command beside the checkpoint."""
    (command,) = snippets(EXPORT, "bash")
    run(["bash", "-c", command.replace("python", sys.executable, 1)], workplace)


@pytest.mark.slow
@pytest.mark.parametrize("client", CLIENTS, ids=[title for title, _ in CLIENTS])
def test_a_client_without_our_code_gets_the_order_and_scores(client, clients, service, workplace, ranked):
    title, snippet = client
    if title == FROM_0_TO_1:
        ranked = [{**entry, "score": 1 / (1 + math.exp(-entry["score"]))} for entry in ranked]
    assert_printed(run([clients, "-c", snippet], workplace), ranked)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES, ids=[title for title, _ in ENGINES])
def test_an_engine_without_our_code_opens_an_export(engine, engines, exported, workplace, ranked):
    assert_printed(run([engines, "-c", engine[1]], workplace), ranked)


@pytest.mark.slow
def test_transformers_js_opens_an_export(exported, workplace, ranked):
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    install = ["npm", "install", "--silent", "--no-audit", "--no-fund", "@huggingface/transformers@4.3.1"]
    # Its runtime for CPUs comes along; what its script would fetch is CUDA's.
    environment = os.environ | {"ONNXRUNTIME_NODE_INSTALL": "skip"}
    if subprocess.run(install, cwd=workplace, env=environment, capture_output=True).returncode:
        pytest.skip("transformers.js cannot be installed from here")
    (snippet,) = snippets(EXPORT, "js")
    (workplace / "rank.mjs").write_text(snippet)
    assert_printed(run(["node", "rank.mjs"], workplace), ranked)
