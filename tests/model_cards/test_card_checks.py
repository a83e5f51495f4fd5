"""Each fault of a card, planted in a good one, is found: what a visitor of the Hub would see."""

from pathlib import Path

import pytest

from model_cards.card_checks import card_problems
from model_cards.checks import READ_BY_VISITORS, machine_paths
from model_cards.staging import CARD

CITATION = (Path(__file__).parents[2] / "model_cards" / "citation.md.jinja").read_text()
MODEL_CARD = f"""---
license: apache-2.0
language: en
base_model: sentence-transformers/all-MiniLM-L6-v2
datasets: [twolar/planets]
library_name: transformers
pipeline_tag: text-ranking
model-index: [{{name: planets}}]
---
# A reranker

```python
from transformers import AutoModel

model = AutoModel.from_pretrained("twolar/planets-minilm", trust_remote_code=True)
passages = ["Venus is hot.", "Mars is red."]
for found in model.rank("which planet is red?", passages):
    print(found["score"], passages[found["corpus_id"]])
```

| system | nDCG@10 |
| --- | ---: |
| bm25 | 0.2430 |
| student | 0.3466 |

{CITATION}"""
DATASET_CARD = f"""---
license: other
license_name: psf-license-agreement-2.0
language: en
pretty_name: TWOLAR planets
task_categories: [text-ranking]
size_categories: [n<1K]
configs: [{{config_name: default}}]
---
# A dataset

{CITATION}"""


def problems(folder, kind, card):
    (folder / CARD).write_text(card)
    return list(card_problems(kind, folder / CARD))


def test_good_cards_have_no_problem(tmp_path):
    assert problems(tmp_path, "model", MODEL_CARD) == []
    assert problems(tmp_path, "dataset", DATASET_CARD) == []


@pytest.mark.parametrize(
    ("kind", "good", "bad", "problem"),
    [
        ("model", "| student |", "\n| student |", "a table is broken before '| student | 0.3466 |'"),
        ("model", "apache-2.0", "mit", "the licence is 'mit', but its base's, "
         "sentence-transformers/all-MiniLM-L6-v2, is 'apache-2.0'"),
        ("model", "language: en\n", "", "metadata 'language' is empty"),
        ("model", ": transformers", ": peft",
         "library_name is 'peft', whose snippet on the Hub would not load this: 'transformers'"),
        ("model", ", Davide and Jiang, Junfeng and Aizawa, Akiko and Torroni, Paolo", " and others",
         "its BibTeX names not all authors"),
        ("model", "  doi = {10.1007/978-3-031-56027-9_29},\n", "", "its BibTeX has no doi"),
        ("dataset", "pretty_name: TWOLAR planets\n", "", "metadata 'pretty_name' is empty"),
        ("dataset", "language: en\n", "", "metadata 'language' is empty"),
        ("dataset", "license_name: psf-license-agreement-2.0\n", "", "metadata 'license_name' is empty"),
    ],
)  # fmt: skip
def test_a_planted_fault_is_found(tmp_path, kind, good, bad, problem):
    card = {"model": MODEL_CARD, "dataset": DATASET_CARD}[kind]
    assert good in card
    assert problems(tmp_path, kind, card.replace(good, bad)) == [f"{CARD}: {problem}"]


def test_a_card_without_bibtex_is_found(tmp_path):
    assert problems(tmp_path, "model", MODEL_CARD.replace(CITATION, "")) == [
        f"{CARD} has no BibTeX to cite it by"
    ]


@pytest.mark.parametrize("path", ["/home/me/corpus.jsonl", "/Users/me/x", "/scratch/job/x", r"C:\\data\\x"])
@pytest.mark.parametrize("name", READ_BY_VISITORS)
def test_a_path_of_a_machine_is_found(tmp_path, name, path):
    (tmp_path / name).write_text(f'see https://host/home/page, data/train and "{path}"')
    assert list(machine_paths(tmp_path, READ_BY_VISITORS)) == [f"{name} names a folder of a machine: {path}"]
    (tmp_path / name).write_text("see https://host/home/page, ./data/train, and/or twolar/mine")
    assert list(machine_paths(tmp_path, READ_BY_VISITORS)) == []
