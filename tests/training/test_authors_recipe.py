"""The authors' training step, written out, against ours: the same losses and the same weights."""

import torch

from benchmarks.authors_recipe import authors_training, our_training, seeded_rankings
from modeling_twolar import TwolarForReranking


def test_ten_weight_updates_lead_to_the_same_losses_and_weights(tiny_t5, tmp_path):
    backbone, rankings = tiny_t5(False, "gated-gelu"), seeded_rankings(num_queries=20, num_passages=5)
    authors, authors_losses = authors_training(backbone, rankings, accumulation=2, learning_rate=1e-3)
    ours, our_losses = our_training(backbone, rankings, tmp_path, accumulation=2, learning_rate=1e-3)
    assert len(our_losses) == len(authors_losses) == 10
    torch.testing.assert_close(torch.tensor(our_losses), torch.tensor(authors_losses), atol=1e-5, rtol=0)
    start = TwolarForReranking.from_backbone(backbone)
    rows = ours.tokenizer.convert_tokens_to_ids(["▁false", "▁true"])
    expected = {
        "head": authors.lm_head.weight[rows],
        "shared": authors.shared.weight,
        "wo": authors.encoder.block[1].layer[1].DenseReluDense.wo.weight,
        "k": authors.decoder.block[1].layer[1].EncDecAttention.k.weight,
    }
    for model, is_ours in ((ours, True), (start, False)):
        backbone = model.backbone
        found = {
            "head": model.head.weight,
            "shared": backbone.shared.weight,
            "wo": backbone.encoder.block[1].layer[1].DenseReluDense.wo.weight,
            "k": backbone.decoder.block[1].layer[1].EncDecAttention.k.weight,
        }
        for name, weight in expected.items():
            # AdamW divides by the gradient's size: where that is rounding alone, so is the step.
            close = torch.isclose(found[name], weight, atol=1e-5, rtol=0).float().mean()
            assert (close == 1) == is_ours, (name, close)
