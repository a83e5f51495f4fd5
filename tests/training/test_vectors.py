"""A compact student learns the vectors of the layers that it lacks, without a label."""

import pytest
import torch
from datasets import Dataset

from modeling_twolar import load_reranker
from retrieval.errors import InputError
from retrieval.model_files import model_path
from tests.conftest import PLANETS
from training.arguments import parse_arguments
from training.vectors import TextTokens, collate, vector_trainer

MINILM = "all-MiniLM-L6-v2"


@pytest.fixture(scope="module")
def rankings():
    passages = [{"docid": docid, "text": text, "rank": rank} for rank, (docid, text) in enumerate(PLANETS, 1)]
    words = [" ".join(text.split()[start : start + 4]) for _, text in PLANETS for start in range(0, 12, 2)]
    return Dataset.from_list(
        [
            {"query_id": str(n), "query": query, "retrieved_passages": passages}
            for n, query in enumerate(words)
        ]
    )


def stage_of(tmp_path, *flags, model=MINILM):
    (stage,) = parse_arguments(
        ["--model_name_or_path", str(model), "--dataset_name", "none", "--loss", "vectors", "--max_length", "64",
         "--output_dir", str(tmp_path / "out"), "--per_device_train_batch_size", "16", "--save_strategy", "no",
         "--gradient_accumulation_steps", "1", "--learning_rate", "5e-4", "--disable_tqdm", "True", *flags]
    )  # fmt: skip
    return stage


def compact(stage):
    return load_reranker(model_path(stage.model.model_name_or_path), layers=stage.model.layers)


def test_each_distinct_text_is_read_once_and_as_the_model_reads_it(rankings):
    model = load_reranker(model_path(MINILM))
    texts = TextTokens(model, rankings, 12)
    assert len(texts) == len(set(rankings["query"])) + len(PLANETS)
    assert max(map(len, (texts[place] for place in range(len(texts))))) <= 12
    (own,) = model.encode_passages([PLANETS[0][1]], max_length=12)
    passage = texts[len(set(rankings["query"]))]
    assert model.tokenizer.decode(passage).startswith("[CLS] mercury is the smallest planet")
    assert len(own.tokens) == len(passage)


@pytest.mark.filterwarnings("error:.*pin_memory")
def test_a_compact_student_comes_nearer_to_the_scores_of_all_layers(rankings, tmp_path):
    stage = stage_of(tmp_path, "--layers", "0", "2", "4", "--num_train_epochs", "6")
    torch.manual_seed(0)
    whole, student = load_reranker(model_path(MINILM)), compact(stage)
    pairs = [(f"which planet {text.split()[2]}", text) for _, text in PLANETS]
    pairs += [(query, text) for query, _ in pairs for _, text in PLANETS]
    wanted = whole.score(pairs)
    before = (student.score(pairs) - wanted).abs().mean()
    vector_trainer(student, stage.model, stage, rankings, []).train()
    student.eval()
    assert (student.score(pairs) - wanted).abs().mean() < 0.9 * before


def test_of_no_ranking_there_is_no_text(rankings):
    assert len(TextTokens(load_reranker(model_path(MINILM)), rankings.select([]), 12)) == 0


def test_padding_is_no_token():
    batch = collate([(5, 6, 7), (8,)])
    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 0, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]


def test_what_has_no_vectors_to_learn_is_refused(rankings, tmp_path, tiny_t5):
    whole = stage_of(tmp_path)
    with pytest.raises(
        InputError, match="teaches a compact student what it lacks; give --layers or --num_layers"
    ):
        vector_trainer(compact(whole), whole.model, whole, rankings, [])
    t5 = stage_of(tmp_path, "--num_layers", "1", model=tiny_t5(False, "gated-gelu"))
    with pytest.raises(InputError, match="needs a bi-encoder's student"):
        vector_trainer(compact(t5), t5.model, t5, rankings, [])
    with pytest.raises(InputError, match="leave out --use_peft"):
        stage_of(tmp_path, "--layers", "0", "2", "--use_peft", "True")
    with pytest.raises(InputError, match="leave out --eval_strategy"):
        stage_of(tmp_path, "--layers", "0", "2", "--eval_strategy", "epoch")
