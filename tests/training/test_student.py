"""What is done to a student before it is trained."""

import pytest

from modeling_twolar import TwolarForReranking
from retrieval.model_files import model_path
from tests.modeling.small_models import save_language_model
from training.student import set_dropout


@pytest.mark.parametrize("backbone", ["t5", "minilm", "qwen3"])
def test_dropout_is_set_everywhere_and_nowhere_else(backbone, tiny_t5, tmp_path):
    if backbone == "qwen3":
        start = save_language_model(tmp_path, "qwen3", attention_dropout=0.5)
    else:
        start = tiny_t5(False, "gated-gelu") if backbone == "t5" else model_path("all-MiniLM-L6-v2")
    model = TwolarForReranking.from_backbone(start).train()
    batch = model.tokenizer("red planet", "Mars is called the red planet.", return_tensors="pt")

    def scores():
        return [model(**batch).logits.item() for _ in range(2)]

    set_dropout(model, 0.5)
    first, second = scores()
    assert first != second
    set_dropout(model, None)
    first, second = scores()
    assert first != second
    set_dropout(model, 0.0)
    first, second = scores()
    assert first == second == model.eval()(**batch).logits.item()
