"""A language model starts with the difference of its own logits behind the whole prompt, read as one string."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma2Config,
    Gemma2ForCausalLM,
    GraniteConfig,
    GraniteForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from modeling_twolar import load_reranker
from modeling_twolar.scoring import shortened
from tests.modeling.small_models import (
    DECODER_SIZE,
    LANGUAGE_MODELS,
    PAIRS,
    SIZE,
    START,
    byte_level,
    save_language_model,
    save_model,
)

DEFAULT = "Query: {query} Document: {passage} Relevant:"
QWEN3_RERANKER = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n'
    "<Instruct>: Given a web search query, retrieve relevant passages that answer the query\n"
    "<Query>: {query}\n<Document>: {passage}<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
)
MXBAI_RERANK_V2 = (
    "<|endoftext|><|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
    "<|im_start|>user\nquery: {query}\ndocument: {passage}\nYou are a search relevance expert who evaluates how well "
    "documents match search queries. For each query-document pair, carefully analyze the semantic relationship "
    "between them, then provide your binary relevance judgment (0 for not relevant, 1 for relevant).\nRelevance:"
    "<|im_end|>\n<|im_start|>assistant\n"
)


def differences(folder, template, false, true, pairs=PAIRS):
    """One whole prompt a time through the plain model; `false` and `true` as the vocabulary writes them."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    ids = tokenizer.convert_tokens_to_ids([false, true])
    assert None not in ids
    scores = []
    for query, passage in pairs:
        text = template.replace("{query}", query).replace("{passage}", passage)
        with torch.no_grad():
            logits = model(**tokenizer(text, return_tensors="pt")).logits[0, -1, ids]
        scores.append(logits[1] - logits[0])
    return torch.stack(scores)


@pytest.mark.parametrize(
    ("name", "false", "true"),
    [("qwen3", "Ġfalse", "Ġtrue"), ("llama3", "Ġfalse", "Ġtrue"), ("llama2", "▁false", "▁true")],
)
def test_a_language_model_starts_with_its_answer_to_twolars_prompt(tmp_path, name, false, true):
    folder = save_language_model(tmp_path, name)
    model = load_reranker(folder)
    expected = differences(folder, DEFAULT, false, true)
    assert expected.std() > 1e-2
    torch.testing.assert_close(model.score(PAIRS), expected, atol=1e-4, rtol=0)
    alone = torch.cat([model.score([pair]) for pair in PAIRS])
    torch.testing.assert_close(alone, expected, atol=1e-4, rtol=0)
    model.tokenizer.padding_side = "left"
    torch.testing.assert_close(model.score(PAIRS), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("name", "begins"), [("qwen3", False), ("llama3", True)])
def test_a_start_of_text_is_added_where_the_tokenizer_adds_it(tmp_path, name, begins):
    tokenizer = load_reranker(save_language_model(tmp_path, name)).tokenizer
    ids = tokenizer("red", "planet")["input_ids"]
    assert ids.count(tokenizer.convert_tokens_to_ids(START)) == begins
    assert tokenizer.decode(ids, skip_special_tokens=True) == "Query: red Document: planet Relevant:"


@pytest.mark.parametrize(
    ("config", "kind", "template", "words"),
    [
        (None, None, QWEN3_RERANKER, ("no", "yes")),
        (Qwen2Config, Qwen2ForCausalLM, MXBAI_RERANK_V2, ("0", "1")),
    ],
)
def test_published_rerankers_are_expressed_by_template_and_answer_words(
    tmp_path, config, kind, template, words
):
    if config is None:
        save_language_model(tmp_path, "qwen3")
    else:
        save_model(tmp_path, byte_level(), kind, config, **SIZE, num_key_value_heads=2)
    model = load_reranker(tmp_path, prompt_template=template, answer_words=words)
    expected = differences(tmp_path, template, *words)
    torch.testing.assert_close(model.score(PAIRS), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_a_language_model_survives_saving(tmp_path, name):
    template = "{passage}\nIs it true? {query} Relevant:"
    model = load_reranker(save_language_model(tmp_path / "start", name), prompt_template=template)
    model.save_pretrained(tmp_path / "saved")
    again = load_reranker(tmp_path / "saved")
    assert again.tokenizer.prompt_template == template
    torch.testing.assert_close(again.score(PAIRS), model.score(PAIRS), atol=1e-5, rtol=0)


def test_an_end_of_text_that_the_tokenizer_adds_does_not_part_prompt_and_answer(tmp_path):
    folder = save_language_model(tmp_path, "qwen3")
    expected = load_reranker(folder).score(PAIRS)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_eos_token = True
    assert tokenizer("red")["input_ids"][-1] == tokenizer.eos_token_id
    tokenizer.save_pretrained(folder)
    torch.testing.assert_close(load_reranker(folder).score(PAIRS), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ({"prompt_template": "{query} Relevant:"}, r"has 0 places \{passage\}; it needs one"),
        ({"prompt_template": "{passage} Relevant:"}, r"has 0 places \{query\}; it needs one"),
        ({"prompt_template": "{query}{passage}{query}"}, r"has 2 places \{query\}; it needs one"),
        ({"answer_words": (" false", " certainly")}, "' certainly' is not one token behind the prompt's end"),
        ({"answer_words": ("false", " true")}, "'false' is not one token"),
        (
            {"prompt_template": "{query} {passage} ", "answer_words": ("true", "no")},
            "'true' is not one token",
        ),
        ({"answer_words": (" true", " true")}, "answer_words are the same"),
    ],
)
def test_a_prompt_that_cannot_be_scored_is_refused_in_one_line(tmp_path, prompt, message):
    folder = save_language_model(tmp_path, "qwen3")
    with pytest.raises(ValueError, match=message) as caught:
        load_reranker(folder, **prompt)
    assert "\n" not in str(caught.value)


def test_a_prompt_is_refused_where_there_is_no_language_model(tiny_t5, tmp_path):
    t5 = tiny_t5(True, "relu")
    with pytest.raises(ValueError, match=r"prompt_template is for causal language models; .* is t5"):
        load_reranker(t5, prompt_template=DEFAULT)
    load_reranker(t5).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="is a TWOLAR checkpoint, which has its own prompt"):
        load_reranker(tmp_path, answer_words=("no", "yes"))


def test_scaled_logits_keep_their_scale_and_capped_ones_are_refused(tmp_path):
    scaled = save_model(
        tmp_path / "granite",
        byte_level(),
        GraniteForCausalLM,
        GraniteConfig,
        **DECODER_SIZE,
        logits_scaling=4.0,
    )
    model = load_reranker(scaled)
    assert model.config.head_scale == pytest.approx(0.25, rel=1e-6)
    expected = differences(scaled, DEFAULT, "Ġfalse", "Ġtrue")
    torch.testing.assert_close(model.score(PAIRS), expected, atol=1e-4, rtol=0)
    size = {**DECODER_SIZE, "final_logit_softcapping": 30.0}
    capped = save_model(tmp_path / "gemma2", byte_level(), Gemma2ForCausalLM, Gemma2Config, **size)
    with pytest.raises(ValueError, match="logits of gemma2 are not products with its output embeddings"):
        load_reranker(capped)


@pytest.fixture(scope="module", params=["qwen3", "llama3", "llama2"])
def tokenizer(request, tmp_path_factory):
    """With a prompt whose seams merge with texts: a blank before the passage, a line break behind it."""
    folder = save_language_model(tmp_path_factory.mktemp("lm"), request.param)
    template = "Query: {query} Document: {passage}\nRelevant:"
    return load_reranker(folder, prompt_template=template).tokenizer


@given(query=st.text(max_size=40), passage=st.text(max_size=300), max_length=st.integers(20, 60))
@settings(max_examples=60, deadline=None)
def test_truncation_takes_tokens_from_the_passages_end_alone(tokenizer, query, passage, max_length):
    query = shortened(query, tokenizer, 3)
    whole = tokenizer(query, passage)["input_ids"]
    cut = tokenizer(query, passage, truncation="only_second", max_length=max_length)["input_ids"]
    own = tokenizer("", "")["input_ids"]
    assert len(cut) == min(len(whole), max_length)
    shared = next((i for i, (a, b) in enumerate(zip(cut, whole, strict=False)) if a != b), len(cut))
    tail = len(cut) - shared
    assert cut[shared:] == whole[len(whole) - tail :]
    assert tokenizer.decode(cut).endswith("\nRelevant:") or len(cut) == len(whole)
    assert len(own) <= max_length


def test_a_long_passage_keeps_the_line_break_that_merges_with_its_end(tokenizer):
    passage = "What is it? " * 30 + "Is it red?"
    ids = tokenizer("red", passage, truncation="only_second", max_length=40)["input_ids"]
    assert len(ids) == 40
    assert tokenizer.decode(ids).endswith("\nRelevant:")
    assert tokenizer.decode(ids, skip_special_tokens=True).startswith("Query: red Document: What is it? What")


def test_a_query_is_cut_once_the_passage_is_used_up_and_the_prompt_never(tokenizer):
    ids = tokenizer("red " * 99, "planet", truncation=True, max_length=30)["input_ids"]
    text = tokenizer.decode(ids, skip_special_tokens=True)
    assert len(ids) == 30
    assert "planet" not in text
    assert text.startswith("Query: red red")
    assert text.endswith("Relevant:")
    with pytest.raises(ValueError, match="max_length 5 is less than the prompt's own"):
        tokenizer("red", "planet", truncation=True, max_length=5)


def test_each_form_of_a_pair_gives_the_same_tokens(tokenizer):
    (query, passage), other = PAIRS[0], PAIRS[1]
    ids = tokenizer(query, passage)["input_ids"]
    assert tokenizer([query, other[0]], [passage, other[1]])["input_ids"][0] == ids
    assert tokenizer([(query, passage), other])["input_ids"][0] == ids
    assert tokenizer([[query, passage]], return_tensors="pt")["input_ids"].tolist() == [ids]
    assert tokenizer(query, passage, return_tensors="pt")["input_ids"].tolist() == [ids]
    alone = tokenizer(query)["input_ids"]
    assert alone == tokenizer(query, "")["input_ids"] == tokenizer([query], [""])["input_ids"][0]
    with pytest.raises(ValueError, match="does not take return_overflowing_tokens"):
        tokenizer(query, passage, return_overflowing_tokens=True)


@pytest.mark.parametrize("side", ["left", "right"])
def test_rows_are_padded_on_either_side(tokenizer, side):
    queries, passages = map(list, zip(*PAIRS, strict=True))
    rows = tokenizer(queries, passages)["input_ids"]
    batch = tokenizer(
        queries, passages, padding=True, padding_side=side, pad_to_multiple_of=8, return_tensors="pt",
        return_offsets_mapping=True,
    )  # fmt: skip
    assert batch["input_ids"].shape[1] % 8 == 0
    assert batch["offset_mapping"].shape == (*batch["input_ids"].shape, 2)
    for row, ids, mask in zip(rows, batch["input_ids"], batch["attention_mask"], strict=True):
        assert ids[mask.bool()].tolist() == row
        assert mask[0 if side == "left" else -1] == (len(row) == len(ids))
    fixed = tokenizer(queries, passages, padding="max_length", truncation=True, max_length=99)
    assert {len(ids) for ids in fixed["input_ids"]} == {99}


def test_texts_without_special_tokens_are_read_without_the_prompt(tokenizer):
    batch = tokenizer("red planet", add_special_tokens=False, return_offsets_mapping=True)
    assert tokenizer.decode(batch["input_ids"]).strip() == "red planet"
    assert batch["offset_mapping"][-1][1] == len("red planet")
    assert tokenizer.tokenize("red planet") == tokenizer.convert_ids_to_tokens(batch["input_ids"])


def test_offsets_are_those_in_the_whole_prompt(tokenizer):
    batch = tokenizer("red", "planet", return_offsets_mapping=True)
    prompt = "Query: red Document: planet\nRelevant:"
    ends = {end for _, end in batch["offset_mapping"]}
    assert prompt.index(" Document") in ends
    assert len(prompt) in ends
