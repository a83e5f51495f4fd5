"""Query likelihood under the packaged SmolLM2-135M-Instruct, read from its GGUF file: a real model."""

import pytest
import torch

from dataset_builder.ranking_example import RankingExample, RetrievedPassage
from dataset_builder.teachers.likelihood import open_likelihood
from retrieval.errors import InputError
from retrieval.records import Passage, Query

PASSAGES = [
    "shutil.rmtree Recursively delete a directory tree.",
    "json.dumps Serialize obj to a JSON formatted str.",
    "math.sqrt Return the square root of x.",
]
QUERIES = ["how to delete a folder", "serialize an object to JSON"]


@pytest.fixture(scope="module")
def teacher():
    return open_likelihood("SmolLM2-135M-Instruct")


def whole_forward(teacher, query, passage):
    """The mean log-probability from one forward pass over the whole text, as the paper defines it."""
    prompt = f"Passage: {passage}\nPlease write a search question that this passage answers.\nQuestion:"
    tokenizer = teacher._tokenizer
    head = tokenizer(prompt, return_tensors="pt")["input_ids"]
    tail = tokenizer(f" {query}", return_tensors="pt", add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        logits = teacher._model(input_ids=torch.cat([head, tail], dim=1)).logits[0].float()
    predicted = logits[head.shape[1] - 1 : -1].log_softmax(dim=-1)
    return predicted.gather(1, tail[0][:, None]).mean().item()


def test_a_score_is_the_mean_log_probability_of_the_query_after_the_prompt(teacher):
    pairs = [(query, passage) for query in QUERIES for passage in PASSAGES]
    expected = [whole_forward(teacher, query, passage) for query, passage in pairs]
    assert teacher.score(pairs) == pytest.approx(expected, abs=1e-3)


def test_the_passage_that_answers_comes_first(teacher):
    passages = [Passage(str(number), "", text) for number, text in enumerate(PASSAGES)]
    pools = [
        RankingExample(
            Query(f"q{number}", text),
            "bm25",
            tuple(RetrievedPassage(each, rank, 0.0) for rank, each in enumerate(reversed(passages), start=1)),
        )
        for number, text in enumerate(QUERIES)
    ]
    labelled = list(teacher.label(pools))
    best = [example.passages[example.teacher_order[0]].passage.docid for example in labelled]
    assert best == ["0", "1"]
    assert {example.teacher for example in labelled} == {"likelihood:SmolLM2-135M-Instruct"}
    assert teacher.order(QUERIES[0], passages).order[0] == 0


def test_a_gguf_that_is_missing_or_none_is_named(tmp_path):
    with pytest.raises(InputError, match=r"there\.gguf does not exist"):
        open_likelihood("not/there.gguf")
    (tmp_path / "text.gguf").write_text("no model")
    with pytest.raises(InputError, match=r"teacher likelihood:.*text\.gguf cannot be loaded"):
        open_likelihood(str(tmp_path / "text.gguf"))
