"""Published with the real command to a hub over HTTP, then used from there as anyone would."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from model_cards.checks import WITHOUT_OURS
from tests.conftest import PLANETS
from tests.model_cards.conftest import DATASET, MODEL, ROOT, publish
from tests.model_cards.hub_server import serve_hub

SPACE = "twolar/reranker"
PYTHON_BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)

# In one process: libraries take seconds to import.
EACH_BY_ITSELF = """
for name, snippet in {snippets!r}:
    exec(compile(snippet, name, "exec"), {{"__name__": "__main__"}})
"""


@pytest.fixture(scope="module")
def published(quickstart):
    with serve_hub() as hub:
        result = publish(quickstart, "--what", "all", **client(hub))
        assert result.returncode == 0, result.stdout + result.stderr
        yield hub


def client(hub):
    """huggingface_hub's settings for `hub`. The token is none that exists: the hub asks for none, the client does."""
    return {"HF_ENDPOINT": hub.url, "HF_TOKEN": "hf_test", "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}


def run_elsewhere(hub, folder, code):
    """Run `code` in an empty folder with an empty cache and nothing of this checkout; what it printed."""
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    environment = {**os.environ, **client(hub), "HF_HOME": str(folder / "hf"), "OMP_NUM_THREADS": "1"}
    del environment["HF_TOKEN"]
    for name in ("PYTHONPATH", "HF_HUB_CACHE", "HF_DATASETS_CACHE", "HF_MODULES_CACHE"):
        environment.pop(name, None)
    result = subprocess.run(
        [sys.executable, "-I", "-c", WITHOUT_OURS + code], cwd=elsewhere, env=environment, capture_output=True,
        text=True, timeout=300,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout


def digests(files):
    return {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}


def test_the_dataset_loads_from_the_hub(published, quickstart, tmp_path):
    code = f"from datasets import load_dataset; import json; print(json.dumps(load_dataset({DATASET!r}).num_rows))"
    rows = json.loads(run_elsewhere(published, tmp_path, code).splitlines()[-1])
    assert sum(rows.values()) == 12


def test_every_python_snippet_runs_as_written(published, tmp_path):
    texts = {
        "model card": published.files("models", MODEL)["README.md"].decode(),
        "dataset card": published.files("datasets", DATASET)["README.md"].decode(),
        "docs/reranker.md": (ROOT / "docs/reranker.md").read_text(),
    }
    snippets = [(name, snippet) for name, text in texts.items() for snippet in PYTHON_BLOCK.findall(text)]
    assert {name for name, _ in snippets} == set(texts)
    run_elsewhere(published, tmp_path, EACH_BY_ITSELF.format(snippets=snippets))


def test_the_space_that_comes_down_ranks_with_what_is_on_the_hub(published, tmp_path):
    code = f"""
import json, sys
from huggingface_hub import snapshot_download
sys.path.insert(0, snapshot_download({SPACE!r}, repo_type="space"))
from demo import CHECKPOINT, DATASET, Demo
demo = Demo(CHECKPOINT.default, DATASET.default)
print(json.dumps(demo.rerank("which planet has rings of ice", top_k=3)))
"""
    ranked = json.loads(run_elsewhere(published, tmp_path, code).splitlines()[-1])
    scores = [passage["score"] for passage in ranked]
    assert len(ranked) == 3
    assert scores == sorted(scores, reverse=True)
    assert {passage["docid"] for passage in ranked} <= {docid for docid, _ in PLANETS}


def test_auto_model_and_cross_encoder_give_the_local_checkpoints_scores(published, quickstart, tmp_path):
    from modeling_twolar import TwolarForReranking

    pairs = [("which planet is red?", "Mars is red."), ("which planet is red?", "Venus is hot.")]
    local = TwolarForReranking.from_pretrained(quickstart / MODEL).score(pairs).flatten().tolist()
    code = f"""
import json
from transformers import AutoModel
from sentence_transformers import CrossEncoder
pairs = {pairs!r}
model = AutoModel.from_pretrained({MODEL!r}, trust_remote_code=True)
encoder = CrossEncoder({MODEL!r}, trust_remote_code=True, device="cpu")
print(json.dumps([model.score(pairs).flatten().tolist(), encoder.predict(pairs).tolist()]))
"""
    auto_model, cross_encoder = json.loads(run_elsewhere(published, tmp_path, code).splitlines()[-1])
    assert auto_model == pytest.approx(local, abs=1e-5)
    assert cross_encoder == pytest.approx(local, abs=1e-5)


@pytest.mark.parametrize(("kind", "name"), [("dataset", DATASET), ("model", MODEL), ("space", SPACE)])
def test_what_comes_down_is_what_went_up_byte_for_byte(published, quickstart, tmp_path, kind, name):
    code = f"from huggingface_hub import snapshot_download; print(snapshot_download({name!r}, repo_type={kind!r}))"
    folder = run_elsewhere(published, tmp_path, code).splitlines()[-1]
    down = {
        str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()
    }
    source = quickstart / {"space": "spaces_demo"}.get(kind, name)
    up = {path: (source / path).read_bytes() for path in down if (source / path).is_file()}
    rendered = {".gitattributes"} | ({"README.md"} if kind == "model" else set())
    assert digests(up) == {path: digest for path, digest in digests(down).items() if path not in rendered}
    assert digests(down) == digests(published.files(f"{kind}s", name, "v0.1.0"))


def test_the_space_is_told_which_checkpoint_and_dataset_were_published(published):
    created = published.repos["spaces", SPACE].created
    assert created["sdk"] == "gradio"
    assert {row["key"]: row["value"] for row in created["variables"]} == {
        "TWOLAR_MODEL": MODEL, "TWOLAR_DATASET": DATASET,
    }  # fmt: skip


def test_nothing_that_a_run_keeps_for_itself_went_up(published):
    paths = [path for repo in published.repos.values() for files in repo.commits.values() for path in files]
    assert not [path for path in paths if path.endswith((".bin", ".pt", ".lock")) or "build/" in path]


def test_publishing_again_uploads_nothing_and_changes_nothing(published, quickstart):
    before, puts = dict(published.repos["models", MODEL].refs), _puts(published)
    result = publish(quickstart, "--what", "model", **client(published))
    assert result.returncode == 0, result.stdout + result.stderr
    assert _puts(published) == puts
    assert published.repos["models", MODEL].refs == before


@pytest.mark.slow
def test_a_tag_is_never_moved(quickstart, tmp_path, hub):
    space = tmp_path / "reranker"
    shutil.copytree(quickstart / "spaces_demo", space, ignore=shutil.ignore_patterns("__pycache__"))
    flags = ("--what", "space", "--path", space)
    assert publish(quickstart, *flags, **client(hub)).returncode == 0
    first = hub.repos["spaces", SPACE].refs["v0.1.0"]
    (space / "requirements.txt").write_text("gradio\n")
    result = publish(quickstart, *flags, **client(hub))
    assert result.returncode == 2
    assert "its tag v0.1.0 stays at an earlier commit; run this again with another --tag" in result.stderr
    assert publish(quickstart, *flags, "--tag", "v2", **client(hub)).returncode == 0
    refs = hub.repos["spaces", SPACE].refs
    assert refs["v0.1.0"] == first
    assert refs["v2"] == refs["main"] != first


@pytest.mark.slow
def test_under_another_organisation_the_cards_name_each_other_there(quickstart, hub):
    result = publish(quickstart, "--what", "all", "--repo_id", "me", "--private", **client(hub))
    assert result.returncode == 0, result.stdout + result.stderr
    model = hub.files("models", "me/minilm-python-stdlib")["README.md"].decode()
    dataset = hub.files("datasets", "me/python-stdlib-reranker")["README.md"].decode()
    assert 'from_pretrained("me/minilm-python-stdlib"' in model
    assert "- me/python-stdlib-reranker" in model
    assert 'load_dataset("me/python-stdlib-reranker")' in dataset
    assert {repo.created["visibility"] for repo in hub.repos.values()} == {"private"}


def test_a_pull_request_leaves_main_and_tags_alone(quickstart, hub):
    result = publish(quickstart, "--what", "space", "--create_pr", **client(hub))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "/discussions/1" in result.stdout
    assert list(hub.files("spaces", SPACE)) == [".gitattributes"]
    assert set(hub.repos["spaces", SPACE].refs) == {"main", "refs/pr/1"}


def test_a_hub_that_is_not_there_gets_one_line_without_the_key(quickstart):
    settings = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_TOKEN": "hf_secret", "HF_HUB_OFFLINE": "0"}
    result = publish(quickstart, "--what", "space", **settings)
    assert result.returncode == 2
    assert result.stderr.startswith("error: twolar/reranker was not published")
    assert "hf_secret" not in result.stdout + result.stderr


def _puts(hub):
    return sum(method == "PUT" for method, _ in hub.requests)
