"""What a checkpoint declares is followed: modules, chat template, prompt and answer tokens, pooling and lengths."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from sentence_transformers import CrossEncoder, SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.cross_encoder.modules import LogitScore
from sentence_transformers.sentence_transformer.modules import Pooling
from transformers import AutoTokenizer, BertConfig, BertModel

from modeling_twolar import TwolarForReranking, load_reranker
from modeling_twolar.declared import declared
from retrieval.model_files import model_path
from tests.modeling.small_models import (
    CLASSIFIERS,
    PAIRS,
    SIZE,
    save_classifier,
    save_language_model,
    save_model,
    word_piece,
)

FLAT = (
    "{% for m in messages if m.role == 'system' %}<|im_start|>system\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "<Query>: {{ messages | selectattr('role', 'eq', 'query') | map(attribute='content') | first }}\n"
    "<Document>: {{ messages | selectattr('role', 'eq', 'document') | map(attribute='content') | first }}"
    "{% if add_generation_prompt %}<|im_end|>\n<|im_start|>assistant\n{% endif %}"
)
PARTS = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ m.content[0].text }}\n{% endif %}{% endfor %}"
    "{{ (messages | selectattr('role', 'eq', 'document') | first).content[0].text }}\n"
    "Relevant to {{ (messages | selectattr('role', 'eq', 'query') | first).content[0].text }}?\n"
)
TRIMMED = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content | trim }}<|im_end|>\n{% endfor %}"
CHAT_ML = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
ROLES_RAISE = (
    "{% for m in messages %}{% if m.role == 'query' %}{{ raise_exception('no') }}{% endif %}{% endfor %}"
)


def save_cross_encoder(
    folder, chat_template=None, answer_ids=(300, 301), name="llama3", prompt=None, options=None
):
    """A cross-encoder of sentence-transformers whose score is a language model's logits."""
    start = save_language_model(folder / "language_model", name)
    set_chat_template(start, chat_template)
    settings = {"chat_template": options} if options else None
    transformer = Transformer(str(start), transformer_task="text-generation", processing_kwargs=settings)
    if transformer.tokenizer.pad_token is None:
        transformer.tokenizer.pad_token = transformer.tokenizer.eos_token
    prompts = {"prompts": {"instruct": prompt}, "default_prompt_name": "instruct"} if prompt else {}
    score = LogitScore(true_token_id=answer_ids[1], false_token_id=answer_ids[0])
    CrossEncoder(modules=[transformer, score], **prompts).save_pretrained(str(folder))
    return folder


def set_chat_template(folder, chat_template):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = chat_template
    tokenizer.save_pretrained(folder)


def library_scores(folder, pairs=PAIRS):
    return torch.tensor(CrossEncoder(str(folder)).predict(pairs, activation_fn=torch.nn.Identity()))


@pytest.mark.parametrize("answer_ids", [(300, 301), (None, 301)])
@pytest.mark.parametrize(
    ("chat_template", "prompt", "options"),
    [
        (FLAT, None, {"add_generation_prompt": True}),
        (FLAT, "Judge whether it is red.", None),
        (PARTS, "Judge whether it is red.", None),
        (CHAT_ML, None, None),
        (None, None, None),
    ],
)
@pytest.mark.parametrize("name", ["qwen3", "llama3"])
def test_a_declared_language_model_reranker_starts_with_its_own_score(
    tmp_path, name, chat_template, prompt, options, answer_ids
):
    folder = save_cross_encoder(tmp_path, chat_template, answer_ids, name, prompt, options)
    expected = library_scores(folder)
    assert expected.std() > 1e-2
    model = load_reranker(folder)
    torch.testing.assert_close(model.score(PAIRS), expected, atol=1e-4, rtol=0)
    model.save_pretrained(tmp_path / "saved")
    again = TwolarForReranking.from_pretrained(tmp_path / "saved")
    torch.testing.assert_close(again.score(PAIRS), expected, atol=1e-4, rtol=0)


def test_a_long_passage_is_cut_as_the_declared_reranker_cuts_it(tmp_path):
    folder = save_cross_encoder(tmp_path, FLAT, options={"add_generation_prompt": True})
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"model_max_length": 60}))
    pairs = [("red planet", passage * 9) for _, passage in PAIRS[:2]]
    model = load_reranker(folder)
    assert model.tokenizer.model_max_length == 60
    torch.testing.assert_close(model.score(pairs), library_scores(folder, pairs), atol=1e-4, rtol=0)


def test_a_prompt_asked_for_comes_before_the_declared_one(tmp_path):
    folder = save_cross_encoder(tmp_path, FLAT)
    template = "{query}: {passage} Relevant:"
    asked = load_reranker(folder, prompt_template=template, answer_words=(" false", " true"))
    plain = load_reranker(folder / "language_model", prompt_template=template)
    torch.testing.assert_close(asked.score(PAIRS), plain.score(PAIRS), atol=1e-5, rtol=0)
    words = load_reranker(folder, answer_words=("no", "yes"))
    assert words.tokenizer.prompt_template == load_reranker(folder).tokenizer.prompt_template
    assert not torch.allclose(words.score(PAIRS), load_reranker(folder).score(PAIRS))


def test_a_chat_template_that_trims_its_texts_is_refused(tmp_path):
    with pytest.raises(ValueError, match="changes its texts, which a prompt cannot; give prompt_template"):
        load_reranker(save_cross_encoder(tmp_path, TRIMMED))


@pytest.mark.parametrize("saved_by", ["transformers", "sentence-transformers", "its version 5.3"])
def test_a_classifiers_chat_template_is_followed_where_its_library_follows_it(tmp_path, saved_by):
    folder = save_classifier(tmp_path / "plain", "qwen3")
    without = load_reranker(folder).score(PAIRS)
    set_chat_template(folder, CHAT_ML)
    if saved_by != "transformers":
        CrossEncoder(str(folder)).save_pretrained(str(tmp_path))
        folder = tmp_path
    if saved_by == "its version 5.3":
        (folder / "sentence_bert_config.json").write_text('{"transformer_task": "sequence-classification"}')
    scores = load_reranker(folder).score(PAIRS)
    torch.testing.assert_close(scores, library_scores(folder), atol=1e-5, rtol=0)
    assert torch.allclose(scores, without) == (saved_by == "its version 5.3")


def test_a_chat_template_without_a_pairs_roles_is_none(tmp_path):
    folder = save_classifier(tmp_path, "qwen3")
    expected = load_reranker(folder).score(PAIRS)
    set_chat_template(folder, ROLES_RAISE)
    torch.testing.assert_close(load_reranker(folder).score(PAIRS), expected)


def test_a_prompt_before_a_classifiers_queries_is_refused(tmp_path):
    folder = save_classifier(tmp_path / "plain", "bert")
    CrossEncoder(str(folder), prompts={"q": "query: "}, default_prompt_name="q").save_pretrained(
        str(tmp_path)
    )
    with pytest.raises(ValueError, match="puts 'query: ' before queries"):
        load_reranker(tmp_path)


@pytest.mark.parametrize(
    ("modes", "expected"),
    [("mean", ("mean",)), (("cls", "max"), ("cls", "max")), ("lasttoken", ("lasttoken",))],
)
def test_a_bi_encoders_modules_are_read_in_order(tmp_path, modes, expected):
    folder = save_model(tmp_path / "bert", word_piece(), BertModel, BertConfig, **SIZE)
    width = 32 * len(expected)
    modules = [Transformer(str(folder), max_seq_length=77), Pooling(32, modes), Dense(width, 8), Normalize()]
    prompts = {"query": "query: ", "passage": ""}
    SentenceTransformer(modules=modules, prompts=prompts, default_prompt_name="query").save_pretrained(
        str(tmp_path)
    )
    found = declared(tmp_path)
    assert [module.kind for module in found.modules] == ["Transformer", "Pooling", "Dense", "Normalize"]
    assert found.module("Dense").config["out_features"] == 8
    assert found.module("Dense").path == "2_Dense"
    assert found.pooling == expected
    assert found.architectures == ("BertModel",)
    assert found.prompts["query"] == found.default_prompt == "query: "
    assert found.answer_ids is None


def test_an_old_bi_encoders_pooling_and_length_are_read():
    found = declared(model_path("all-MiniLM-L6-v2"))
    assert [module.kind for module in found.modules] == ["Transformer", "Pooling", "Normalize"]
    assert found.pooling == ("mean",)
    assert found.max_seq_length == 256
    assert found.default_prompt is None


def test_a_checkpoint_of_another_library_declares_its_architecture_alone(tmp_path):
    found = declared(save_classifier(tmp_path, "bert"))
    assert found.architectures == ("BertForSequenceClassification",)
    assert found.modules == found.pooling == ()
    assert found.max_seq_length is found.default_prompt is found.answer_ids is None


@pytest.fixture
def hub():
    """Puts a folder into the Hub's local cache under a name; nothing is asked of the network."""
    repositories = []

    def put(folder, name):
        repository = Path(constants.HF_HUB_CACHE) / f"models--{name.replace('/', '--')}"
        repositories.append(repository)
        revision = "0" * 40
        shutil.copytree(folder, repository / "snapshots" / revision)
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text(revision)
        return name

    yield put
    for repository in repositories:
        shutil.rmtree(repository)


def test_a_bi_encoder_is_known_by_its_name_on_the_hub(hub):
    folder = model_path("all-MiniLM-L6-v2")
    name = hub(folder, "sentence-transformers/all-MiniLM-L6-v2")
    assert declared(name) == declared(folder)
    model = load_reranker(name)
    assert model.config.readout == load_reranker(folder).config.readout != "first_token"
    torch.testing.assert_close(model.score(PAIRS), load_reranker(folder).score(PAIRS))


def test_a_declared_reranker_is_known_by_its_name_on_the_hub(hub, tmp_path):
    folder = save_cross_encoder(tmp_path, FLAT)
    name = hub(folder, "someone/small-reranker")
    assert declared(name).answer_ids == (300, 301)
    torch.testing.assert_close(load_reranker(name).score(PAIRS), library_scores(folder), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_takes_as_many_tokens_as_it_has_positions(tmp_path, name):
    folder = save_classifier(tmp_path, name)
    assert AutoTokenizer.from_pretrained(folder).model_max_length > 10**9
    model = load_reranker(folder)
    positions = model.config.backbone_config.max_position_embeddings
    own = {"roberta": 128, "xlm-roberta": 510}
    assert model.tokenizer.model_max_length == own.get(name, positions)
    if positions <= 1024:
        assert model.score([("red planet", "rings of ice " * 999)]).isfinite().all()


@pytest.mark.parametrize(
    ("limit", "positions", "expected"),
    [(None, 2048, 500), (300, 2048, 300), (None, 100, 100), (4096, 2048, 500)],
)
def test_a_language_model_takes_the_papers_500_tokens_or_what_it_can_hold(
    tmp_path, limit, positions, expected
):
    folder = save_language_model(tmp_path, "qwen3", max_position_embeddings=positions)
    if limit:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        tokenizer.model_max_length = limit
        tokenizer.save_pretrained(folder)
    model = load_reranker(folder)
    assert model.tokenizer.model_max_length == expected
    assert model.score([("red planet", "rings of ice " * 999)]).isfinite().all()


def test_a_t5_and_an_encoder_without_a_declared_length_have_one(tiny_t5, tmp_path):
    t5 = tiny_t5(True, "relu")
    tokenizer = AutoTokenizer.from_pretrained(t5)
    tokenizer.model_max_length = 10**30
    tokenizer.save_pretrained(t5)
    assert load_reranker(t5).tokenizer.model_max_length == 500
    bert = save_model(tmp_path, word_piece(), BertModel, BertConfig, **SIZE, max_position_embeddings=60)
    model = load_reranker(bert)
    assert model.config.readout == "first_token"
    assert model.tokenizer.model_max_length == 60
    assert model.score([("red planet", "rings of ice " * 999)]).isfinite().all()


def test_the_smallest_of_the_declared_lengths_counts(tmp_path):
    folder = save_classifier(tmp_path / "plain", "bert")
    transformer = Transformer(str(folder), transformer_task="sequence-classification")
    CrossEncoder(modules=[transformer]).save_pretrained(str(tmp_path))
    settings = json.loads((tmp_path / "sentence_bert_config.json").read_text())
    (tmp_path / "sentence_bert_config.json").write_text(json.dumps(settings | {"max_seq_length": 40}))
    assert load_reranker(tmp_path).tokenizer.model_max_length == 40
