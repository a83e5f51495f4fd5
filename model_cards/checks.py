"""What is wrong with a folder that is to go up, found before anything does."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import yaml

from model_cards.staging import CARD, DATASET, MODEL, SPACE, is_pickle, staged_files

SECONDS = 600
# All that a clean process gets to see: no key, for a checkpoint's own code runs in it.
KEPT_ENVIRONMENT = ("PATH", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")
NEEDED_METADATA = {
    DATASET: ("license", "task_categories", "size_categories", "configs"),
    MODEL: ("license", "base_model", "datasets", "library_name", "pipeline_tag", "model-index"),
    SPACE: ("title", "sdk", "sdk_version", "app_file", "license", "models", "datasets"),
}
PLACEHOLDERS = ("[More Information Needed]", "[optional]", "TODO")
EMPTY_CELL = re.compile(r"^\|\s*([^|\s][^|]*?)\s*\|\s*\|$", re.MULTILINE)
MACHINE_PATH = re.compile(r'"(/(?:home|root|Users|work|tmp|usr|opt|mnt|data)/[^"]*)"')

# Run by a Python that sees none of this checkout, in an empty folder with an empty cache and no network; what pip
# installed of it is hidden.
OURS = (
    "dataset_builder", "evaluation", "model_cards", "modeling_twolar", "packaged", "retrieval", "serving", "train_hf",
    "training", "twolar_cli",
)  # fmt: skip
WITHOUT_OURS = f"import sys; sys.modules.update(dict.fromkeys({OURS!r}))\n"
LOAD_MODEL = """
import sys
from transformers import AutoModel
from sentence_transformers import CrossEncoder
pairs = [("which planet is red?", "Mars is red."), ("which planet is red?", "Venus is hot.")]
scores = AutoModel.from_pretrained(sys.argv[1], trust_remote_code=True).score(pairs)
others = CrossEncoder(sys.argv[1], trust_remote_code=True, device="cpu").predict(pairs)
differences = [abs(float(a) - float(b)) for a, b in zip(scores.flatten(), others, strict=True)]
assert max(differences) < 1e-3, f"AutoModel and CrossEncoder differ by {max(differences)}"
"""
LOAD_DATASET = """
import sys
from datasets import load_dataset
splits = load_dataset(sys.argv[1])
assert "train" in splits, f"no split 'train', only {list(splits)}"
for name, split in splits.items():
    row = split[0]
    missing = {"query_id", "query", "retrieved_passages"} - set(row)
    assert not missing, f"split {name!r} lacks {sorted(missing)}"
"""
LOADERS = {MODEL: LOAD_MODEL, DATASET: LOAD_DATASET}


def find_problems(kind: str, folder: Path) -> Iterator[str]:
    """What keeps the staged `folder` from being published, one line each."""
    files = staged_files(folder)
    yield from (f"{path} is a pickle, which may run code when loaded" for path in files if is_pickle(path))
    yield from _card_problems(kind, folder / CARD)
    if kind == SPACE:
        yield from _space_problems(folder)
    else:
        yield from _loading_problem(kind, folder)


def find_machine_paths(folder: Path) -> Iterator[str]:
    """Files of the staged `folder` that tell where something lay on this machine, one line each."""
    for path, file in staged_files(folder).items():
        found = (
            MACHINE_PATH.search(file.read_text(encoding="utf-8")) if path.endswith("config.json") else None
        )
        if found:
            yield f"{path} names a folder of this machine: {found[1]}"


def _card_problems(kind: str, card: Path) -> Iterator[str]:
    if not card.is_file():
        yield f"{CARD} is missing"
        return
    text = card.read_text(encoding="utf-8")
    metadata = _metadata(text)
    if not metadata:
        yield f"{CARD} has no metadata: a YAML block between two lines of ---"
    yield from (
        f"{CARD}: metadata {key!r} is empty" for key in NEEDED_METADATA[kind] if not metadata.get(key)
    )
    yield from (f"{CARD} still says {words}" for words in PLACEHOLDERS if words in text)
    yield from (f"{CARD}: {name!r} is empty" for name in EMPTY_CELL.findall(text))


def _metadata(card: str) -> dict[str, object]:
    parts = card.split("---\n", 2)
    try:
        metadata = yaml.safe_load(parts[1]) if len(parts) == 3 and not parts[0] else None
    except yaml.YAMLError:
        return {}
    return metadata if isinstance(metadata, dict) else {}


def _space_problems(folder: Path) -> Iterator[str]:
    metadata = _metadata((folder / CARD).read_text()) if (folder / CARD).is_file() else {}
    app = folder / str(metadata.get("app_file", "app.py"))
    if not (folder / "requirements.txt").is_file():
        yield "requirements.txt is missing"
    if not app.is_file():
        yield f"{app.name}, the app_file of {CARD}, is missing"
        return
    for module in sorted(folder.glob("*.py")):
        try:
            compile(module.read_text(encoding="utf-8"), module.name, "exec")
        except SyntaxError as error:
            yield f"{module.name} line {error.lineno}: {error.msg}"


def _loading_problem(kind: str, folder: Path) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as empty:
        environment = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
        environment |= {"HOME": empty, "HF_HOME": f"{empty}/hf", "HF_HUB_OFFLINE": "1"}
        try:
            result = subprocess.run(
                [sys.executable, "-I", "-c", WITHOUT_OURS + LOADERS[kind], str(folder)],
                cwd=empty, env=environment, capture_output=True, text=True, timeout=SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            yield f"does not load in a clean process within {SECONDS} s"
            return
    if result.returncode != 0:
        reason = (result.stderr.strip().splitlines() or ["no message"])[-1]
        yield f"does not load in a clean process: {reason}"
