"""A tiny seeded Qwen3, saved to disk and loaded back by the teacher. Its words are noise, its path real."""

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from dataset_builder.language_models.answer_cache import AnswerCache
from dataset_builder.language_models.budget import Budget
from dataset_builder.language_models.local import LocalModel
from dataset_builder.teachers.listwise import ListwiseSettings
from dataset_builder.teachers.llm_teacher import LLMTeacher

TEMPLATE = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>"


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("qwen3")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(
        models.BPE({piece: number for number, piece in enumerate(["<end>", *alphabet])}, [])
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<end>", chat_template=TEMPLATE
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(alphabet) + 1,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        max_position_embeddings=4096,
        eos_token_id=0,
        bos_token_id=None,
    )
    Qwen3ForCausalLM(config).save_pretrained(folder)
    return folder


def open_teacher(model_folder, cache, **changes):
    settings = ListwiseSettings(str(model_folder), attempts=2)
    model = LocalModel(settings.model, cache, Budget(cache, settings.model, None), **changes)
    return LLMTeacher(settings, model)


def test_an_untrained_model_labels_nothing(model_folder, cache, pools):
    labelled = list(open_teacher(model_folder, cache).label(pools(3, num_passages=3)))
    assert [(example.teacher_order, example.label_status) for example in labelled] == [(None, "unusable")] * 3
    assert len(cache) == 6


def test_the_same_text_comes_out_of_a_batch_as_alone(model_folder, tmp_path, pools):
    caches = [AnswerCache(tmp_path / "alone"), AnswerCache(tmp_path / "together")]
    for cache, batch_size in zip(caches, (1, 3), strict=True):
        list(open_teacher(model_folder, cache, batch_size=batch_size).label(pools(3, num_passages=3)))
    settings = ListwiseSettings(str(model_folder), attempts=2)
    for example in pools(3, num_passages=3):
        request = next(settings.begin(example))
        assert caches[0].get(request) == caches[1].get(request)


def test_a_model_that_writes_a_ranking_is_understood(model_folder, cache, pools, monkeypatch):
    teacher = open_teacher(model_folder, cache, batch_size=2)
    written = torch.tensor(teacher.model.tokenizer("[3] > [1] > [2]")["input_ids"])

    def generate(input_ids, **settings):
        return torch.cat([input_ids, written.expand(len(input_ids), -1)], dim=1)

    monkeypatch.setattr(teacher.model.model, "generate", generate)
    labelled = list(teacher.label(pools(3, num_passages=3)))
    assert [example.teacher_order for example in labelled] == [(2, 0, 1)] * 3


@pytest.mark.parametrize(("positions", "status"), [(100, "rejected"), (640, "ok")])
def test_a_prompt_longer_than_the_models_positions_is_cut_and_else_given_up(
    model_folder, cache, pools, monkeypatch, positions, status
):
    teacher = open_teacher(model_folder, cache)
    teacher.model.model.config.max_position_embeddings = positions
    written = torch.tensor(teacher.model.tokenizer("[3] > [1] > [2]")["input_ids"])
    shown = []

    def generate(input_ids, **settings):
        shown.append(input_ids.shape[1])
        return torch.cat([input_ids, written.expand(len(input_ids), -1)], dim=1)

    monkeypatch.setattr(teacher.model.model, "generate", generate)
    (labelled,) = teacher.label(pools(1, num_passages=3))
    assert labelled.label_status == status
    assert all(length <= positions for length in shown)
