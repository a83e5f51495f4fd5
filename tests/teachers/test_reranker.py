"""The teacher that scores: scripted models for its arithmetic, real ones for its loading."""

import json
import re
from itertools import count, islice

import pytest
import torch
from transformers import BertForSequenceClassification, BertModel

from dataset_builder.teacher_name import TeacherName
from dataset_builder.teachers.reranker import (
    POOLS_AT_ONCE,
    KeptPassages,
    RerankerTeacher,
    check_model,
    open_reranker,
)
from modeling_twolar import load_reranker
from retrieval.errors import InputError
from retrieval.model_files import model_path
from retrieval.records import Passage
from tests.conftest import PLANETS, save_bert
from tests.teachers.example_pools import make_pool

PASSAGES = [Passage(docid, "", text) for docid, text in PLANETS]


class Scripted:
    """Scores a passage by the last number in its text, modulo 3: with ties."""

    def __init__(self):
        self.calls = []

    def score(self, pairs):
        self.calls.append(len(pairs))
        return torch.tensor([float(re.findall(r"text (\d+)", passage)[0]) % 3 for _, passage in pairs])


class Broken:
    def score(self, pairs):
        raise ValueError("pair 0 has the score nan: query 'q'\nmore")


def test_the_order_is_that_of_the_scores_and_ties_keep_the_first_stages():
    (labelled,) = RerankerTeacher("t", Scripted()).label([make_pool(0, 5)])
    assert labelled.teacher_scores == (0.0, 1.0, 2.0, 0.0, 1.0)
    assert labelled.teacher_order == (2, 1, 4, 0, 3)
    assert (labelled.label_status, labelled.teacher) == ("ok", "t")


def test_pools_of_different_sizes_keep_their_own_scores():
    pools = [make_pool(number, 2 + number % 5) for number in range(2 * POOLS_AT_ONCE + 1)]
    model = Scripted()
    labelled = list(RerankerTeacher("t", model).label(pools))
    assert [example.query for example in labelled] == [pool.query for pool in pools]
    for example in labelled:
        assert example.teacher_scores == tuple(place % 3 for place in range(len(example.passages)))
    assert len(model.calls) == 3


def test_an_endless_stream_of_pools_is_labelled_as_it_comes():
    pools = (make_pool(number, 2) for number in count())
    assert len(list(islice(RerankerTeacher("t", Scripted()).label(pools), 3))) == 3


def test_order_gives_a_checkpoints_own_scores(small_teacher):
    answer = open_reranker(str(small_teacher)).order("red planet", PASSAGES)
    pairs = [("red planet", passage.text) for passage in PASSAGES]
    expected = load_reranker(small_teacher).score(pairs)
    assert len(set(answer.scores)) == len(PASSAGES)
    assert answer.scores == tuple(expected.tolist())
    assert list(answer.order) == expected.argsort(descending=True).tolist()


def test_a_folder_is_named_by_its_last_part_and_a_model_by_its_name(small_teacher, monkeypatch):
    assert open_reranker(f"{small_teacher}/").name == "reranker:small-teacher"
    monkeypatch.chdir(small_teacher)
    assert open_reranker(".").name == "reranker:small-teacher"
    assert open_reranker("all-MiniLM-L6-v2").name == "reranker:all-MiniLM-L6-v2"


def test_a_bi_encoder_that_nobody_trained_as_a_reranker_can_teach():
    answer = open_reranker("all-MiniLM-L6-v2").order("which planet is called the red one", PASSAGES)
    assert PASSAGES[answer.order[0]].docid == "mars"


def test_a_score_that_is_not_finite_is_said_in_one_line():
    message = r"^teacher t cannot score \(pair 0 has the score nan: query 'q'\)$"
    with pytest.raises(InputError, match=message):
        list(RerankerTeacher("t", Broken()).label([make_pool(0, 2)]))


def broken_weights(folder):
    save_bert(folder, BertModel, 1)
    (folder / "model.safetensors").write_bytes(b"not weights")


def no_weights(folder):
    save_bert(folder, BertModel, 1)
    (folder / "model.safetensors").unlink()


def three_labels(folder):
    save_bert(folder, BertForSequenceClassification, 1)
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = {"0": "a", "1": "b", "2": "c"}
    (folder / "config.json").write_text(json.dumps(config))


def unknown_kind(folder):
    folder.mkdir()
    (folder / "config.json").write_text("{}")


@pytest.mark.parametrize("spoil", [broken_weights, no_weights, three_labels, unknown_kind])
def test_a_folder_that_is_no_reranker_is_refused_in_one_line(tmp_path, spoil):
    spoil(tmp_path / "model")
    with pytest.raises(InputError, match=r"^teacher reranker:.*/model cannot be loaded \(.+\)$"):
        open_reranker(str(tmp_path / "model"))


@pytest.mark.parametrize("name", ["nobody/has-this", "no such name", "/nowhere/at/all", "tests"])
def test_a_model_that_is_not_there_is_found_before_its_weights_are_read(name):
    with pytest.raises(InputError, match=f"^teacher reranker:{name} cannot be loaded"):
        check_model(TeacherName("reranker", name))


def test_a_bi_encoder_encodes_a_passage_of_many_pools_once_and_scores_as_pair_by_pair():
    model = load_reranker(model_path("all-MiniLM-L6-v2"))
    encoded = []
    encode = model.encode_passages

    def counting(passages):
        encoded.extend(passages)
        return encode(passages)

    model.encode_passages = counting
    pairs = [(query, passage.text) for query in ("red planet", "rings", "the sun") for passage in PASSAGES]
    kept = KeptPassages(model)
    for start in range(0, len(pairs), 3):
        part = pairs[start : start + 3]
        torch.testing.assert_close(kept.score(part), model.score(part), atol=1e-5, rtol=1e-5)
    assert sorted(encoded) == sorted({passage for _, passage in pairs})


def test_passages_are_forgotten_where_there_is_no_room():
    model = load_reranker(model_path("all-MiniLM-L6-v2"))
    pairs = [("red planet", passage.text) for passage in PASSAGES]
    kept = KeptPassages(model, keep_bytes=0)
    torch.testing.assert_close(kept.score(pairs), model.score(pairs), atol=1e-5, rtol=1e-5)
    assert not kept._kept
