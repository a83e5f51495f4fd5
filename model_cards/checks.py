"""What is wrong with a folder that is to go up, found before anything does."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from model_cards.card_checks import card_problems, read_metadata, shown_texts
from model_cards.staging import CARD, DATASET, MODEL, SPACE, is_pickle, staged_files

SECONDS = 600
# All that a clean process gets to see: no key, for a checkpoint's own code runs in it.
KEPT_ENVIRONMENT = ("PATH", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")
MACHINE_PATH = re.compile(
    r"(?<![\w./:])(?:[A-Z]:\\\\?[^\s\"']+|/(?:home|root|Users|work|tmp|usr|opt|mnt|data|scratch)/[^\s\"'`]+)"
)
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
FROM_HUB = re.compile(r"from_pretrained\(\"[^\"]+\"")
# What a visitor reads, where such a path is refused; in a checkpoint's configuration it is only noted.
READ_BY_VISITORS = (CARD, "training_run.json")

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
    yield from card_problems(kind, folder / CARD)
    yield from (
        f"{path}; run it again with paths below the working folder"
        for path in machine_paths(folder, READ_BY_VISITORS)
    )
    if kind == SPACE:
        yield from _space_problems(folder)
    else:
        yield from _loading_problem(kind, folder)


def machine_paths(folder: Path, names: Sequence[str]) -> Iterator[str]:
    """Files of these names in the staged `folder` that tell where something lay on a machine, one line each."""
    for path, file in staged_files(folder).items():
        found = MACHINE_PATH.search(file.read_text(encoding="utf-8")) if file.name in names else None
        if found:
            yield f"{path} names a folder of a machine: {found[0]}"


def _space_problems(folder: Path) -> Iterator[str]:
    metadata = read_metadata((folder / CARD).read_text()) if (folder / CARD).is_file() else {}
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
    usage = _usage(folder) if kind == MODEL else ""
    with tempfile.TemporaryDirectory() as empty:
        environment = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
        environment |= {"HOME": empty, "HF_HOME": f"{empty}/hf", "HF_HUB_OFFLINE": "1"}
        try:
            result = subprocess.run(
                [sys.executable, "-I", "-c", WITHOUT_OURS + LOADERS[kind] + usage, str(folder)],
                cwd=empty, env=environment, capture_output=True, text=True, timeout=SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            yield f"does not load in a clean process within {SECONDS} s"
            return
    if result.returncode != 0:
        reason = (result.stderr.strip().splitlines() or ["no message"])[-1]
        yield f"does not load in a clean process: {reason}"
    elif kind == MODEL and not any(text in result.stdout for text in shown_texts(usage)):
        yield f"{CARD}: its first lines of Python print no passage's text"


def _usage(folder: Path) -> str:
    """The card's first lines of Python, which load the staged `folder` in place of what is not on the Hub yet."""
    card = folder / CARD
    snippet = PYTHON.search(card.read_text(encoding="utf-8")) if card.is_file() else None
    return FROM_HUB.sub("from_pretrained(sys.argv[1]", snippet[1]) if snippet else ""
