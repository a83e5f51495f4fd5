"""The head's learning rate goes to the head alone, on top of the Trainer's weight decay groups."""

import pytest

from modeling_twolar import TwolarForReranking
from retrieval.model_files import model_path
from training.arguments import DistillationArguments
from training.flags import ModelArguments
from training.losses import ranknet
from training.student import add_adapters
from training.trainer import RankingTrainer


def groups(model, tmp_path, **settings):
    """Parameter's name → learning rate and weight decay."""
    arguments = DistillationArguments(
        output_dir=str(tmp_path),
        use_cpu=True,
        report_to="none",
        learning_rate=1e-5,
        weight_decay=0.01,
        **settings,
    )
    optimizer = RankingTrainer(model=model, args=arguments, ranking_loss=ranknet).create_optimizer()
    names = {id(weight): name for name, weight in model.named_parameters()}
    return {
        names[id(weight)]: (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for weight in group["params"]
    }


@pytest.mark.parametrize("backbone", ["t5", "minilm"])
def test_only_the_rate_of_the_head_changes(backbone, tiny_t5, tmp_path):
    start = tiny_t5(False, "gated-gelu") if backbone == "t5" else model_path("all-MiniLM-L6-v2")
    model = TwolarForReranking.from_backbone(start)
    plain, own = groups(model, tmp_path), groups(model, tmp_path, head_learning_rate=1e-2)
    assert plain.keys() == own.keys() == {name for name, _ in model.named_parameters()}
    assert {name for name in own if own[name] != plain[name]} == {
        name for name in own if not name.startswith("backbone.")
    }
    for name, (rate, decay) in own.items():
        assert rate == (1e-5 if name.startswith("backbone.") else 1e-2), name
        assert decay == plain[name][1], name
    assert {decay for _, decay in own.values()} == {0.0, 0.01}
    norms = [name for name in own if "LayerNorm" in name or "layer_norm" in name or name.endswith(".bias")]
    assert norms and all(own[name][1] == 0.0 for name in norms)


@pytest.mark.parametrize("backbone", ["t5", "minilm"])
def test_adapters_get_the_backbones_rate_and_the_head_its_own(backbone, tiny_t5, tmp_path):
    start = tiny_t5(False, "gated-gelu") if backbone == "t5" else model_path("all-MiniLM-L6-v2")
    model = TwolarForReranking.from_backbone(start)
    outside = [name for name, _ in model.named_parameters() if not name.startswith("backbone.")]
    adapted = add_adapters(model, ModelArguments(str(start), use_peft=True))
    found = groups(adapted, tmp_path, head_learning_rate=1e-2)
    adapters = {name for name in found if "lora_" in name}
    assert adapters and all(found[name][0] == 1e-5 for name in adapters)
    rest = found.keys() - adapters
    assert len(rest) == len(outside) and all(found[name][0] == 1e-2 for name in rest)
    assert all(not weight.requires_grad for name, weight in adapted.named_parameters() if name not in found)
