"""Shared parts: small real models saved to disk, and a small corpus of real text."""

import atexit
import json
import os
import shutil
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
# Tests run in several processes: each has its own copies of checkpoints' code and of datasets.
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="twolar-tests-")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)
from xdist.scheduler import LoadFileScheduling

from modeling_twolar import load_reranker
from tests.bert_tokenizer import as_bert
from tests.command_line import run_module

torch.set_num_threads(1)
atexit.register(shutil.rmtree, os.environ["HF_HOME"], ignore_errors=True)

# Folders whose files share what takes long to make; any other file may have a process of its own.
ONE_PROCESS = ("model_cards", "spaces_demo")
# Folders whose files take longest begin, so that two processes end together.
LONGEST_FIRST = (
    "training",
    "model_cards",
    "dataset_builder",
    "spaces_demo",
    "evaluation",
    "serving",
    "modeling",
)
QUERIES = [("q1", "which planet is red"), ("q2", "rings made of ice"), ("q3", "not judged")]
PLANETS = [
    (
        "mercury",
        "Mercury is the smallest planet. It orbits the Sun once every 88 days. Its surface is full of craters.",
    ),
    (
        "venus",
        "Venus is the hottest planet of all. Thick clouds of acid trap the heat of the Sun near its surface.",
    ),
    (
        "earth",
        "Earth is the only planet known to carry life. Water covers most of its surface all year round.",
    ),
    (
        "mars",
        "Mars is called the red planet. Iron in its dust gives the surface a red colour. It has two small moons.",
    ),
    (
        "jupiter",
        "Jupiter is the largest planet. A storm on its surface, the red spot, has raged for centuries.",
    ),
    (
        "saturn",
        "Saturn is known for its rings of ice. It has more moons than any other planet around the Sun.",
    ),
    (
        "uranus",
        "Uranus rolls around the Sun on its side. Methane in its clouds gives the planet a blue colour.",
    ),
    (
        "neptune",
        "Neptune is the windiest planet. It was found by mathematics before anyone saw it in the sky.",
    ),
    (
        "moon",
        "The Moon is the only moon of the Earth. Craters cover its surface, and people have walked on it.",
    ),
    (
        "sun",
        "The Sun is a star. All planets orbit around the Sun, and its light takes minutes to reach the Earth.",
    ),
]


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: _place(item.path.parent.name))


def pytest_xdist_make_scheduler(config, log):
    return ByFile(config, log)


class ByFile(LoadFileScheduling):
    """A file's tests in one process, and those of all files in a folder of `ONE_PROCESS`.

    (xdist's own `--dist loadgroup` groups nothing with pytest 9.2.)
    """

    def _split_scope(self, nodeid):
        file = Path(super()._split_scope(nodeid))
        return str(file.parent if file.parent.name in ONE_PROCESS else file)


def _place(folder):
    return LONGEST_FIRST.index(folder) if folder in LONGEST_FIRST else len(LONGEST_FIRST)


@pytest.fixture
def planets(tmp_path):
    """A BEIR corpus file of ten passages."""
    path = tmp_path / "corpus.jsonl"
    rows = [{"_id": docid, "title": "", "text": text} for docid, text in PLANETS]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def collection(planets):
    """A judged collection in BEIR's layout over the ten passages."""
    folder = planets.parent
    (folder / "queries.jsonl").write_text(
        "".join(json.dumps({"_id": i, "text": t}) + "\n" for i, t in QUERIES)
    )
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\nq1\tmars\t2\nq1\tjupiter\t1\nq2\tsaturn\t2\n"
    )
    return folder


@pytest.fixture
def evaluation():
    """Runs `python -m MODULE` with these arguments."""

    def run(*arguments, module="evaluation"):
        return run_module(module, *arguments)

    return run


@pytest.fixture(scope="session")
def tiny_t5(tmp_path_factory):
    """Saves a small seeded T5 with a real subword tokenizer; `tied` as T5 v1.0 and monoT5, untied as Flan-T5."""

    def save(tied: bool, feed_forward: str):
        folder = tmp_path_factory.mktemp("t5")
        tokenizer = t5_tokenizer()
        torch.manual_seed(1)
        config = T5Config(  # type: ignore[call-arg]
            vocab_size=len(tokenizer),
            d_model=32,
            d_kv=8,
            d_ff=64,
            num_layers=2,
            num_heads=4,
            dropout_rate=0.0,
            feed_forward_proj=feed_forward,
            tie_word_embeddings=tied,
            decoder_start_token_id=0,
        )
        model = T5ForConditionalGeneration(config)
        if not tied:
            model.lm_head.weight = torch.nn.Parameter(torch.randn(len(tokenizer), 32))
        model.save_pretrained(folder)
        settings = json.loads((folder / "config.json").read_text())
        settings["tie_word_embeddings"] = tied
        (folder / "config.json").write_text(json.dumps(settings))
        tokenizer.save_pretrained(folder)
        return folder

    return save


def t5_tokenizer():
    """A Unigram tokenizer with T5's pre-tokenizer, over the characters and words of the planets."""
    text = " ".join(text for _, text in PLANETS) + " Query: Document: Relevant: true false"
    words = sorted(
        {"▁" + word for word in text.split()} | {"▁true", "▁false", "▁Relevant", "▁Query", "▁Document"}
    )
    characters = sorted(set(text + "▁:"))
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    vocabulary += [(word, -5.0) for word in words if len(word) > 1] + [
        (c, -10.0) for c in characters if c != " "
    ]
    backend = Tokenizer(models.Unigram(vocabulary, unk_id=2))
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")]
    )
    backend.add_special_tokens(["<extra_id_10>"])
    backend.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=500
    )


def bert_tokenizer():
    """A WordPiece tokenizer of whole words, those of the planets."""
    words = sorted({word.lower().strip(".,'") for _, text in PLANETS for word in text.split()})
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, ".", ","]
    backend = Tokenizer(models.WordPiece({word: i for i, word in enumerate(vocabulary)}, unk_token="[UNK]"))
    return as_bert(backend)


def save_bert(folder, kind, seed):
    """Save a small seeded BERT: `kind` is BertModel or BertForMaskedLM."""
    tokenizer = bert_tokenizer()
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, initializer_range=0.5,
    )  # fmt: skip
    kind(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def small_teacher(tmp_path_factory):
    """A small seeded TWOLAR checkpoint, of a trained cross-encoder, in a folder of this name."""
    folder = tmp_path_factory.mktemp("models")
    start = save_bert(folder / "bert", BertForSequenceClassification, 1)
    load_reranker(start).save_pretrained(folder / "small-teacher")
    return folder / "small-teacher"


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("Chromium is not installed (apt install chromium)")
    # Not before: most tests do without.
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()
