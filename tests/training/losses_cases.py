"""Scores, ranks and teacher's scores of three pools of unequal length."""

import torch

SCORES = torch.tensor([[0.3, -1.2, 2.0, 0.1, 0.7], [1.5, -0.5, 0.2, 0.0, 0.0], [0.4, 0.0, 0.0, 0.0, 0.0]])
RANKS = torch.tensor([[2, 5, 1, 4, 3], [3, 1, 2, 0, 0], [1, 0, 0, 0, 0]])
TEACHER = torch.tensor([[3.0, -2.0, 4.0, 0.0, 1.0], [-1.0, 2.0, 0.5, 9.0, 9.0], [1.0, 9.0, 9.0, 9.0, 9.0]])
# The last query's source is not in its pool: what is true at padding does not count.
SOURCE = torch.tensor([[0, 0, 0, 0, 1], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0]]).bool()
TARGETS = (RANKS, TEACHER, SOURCE)


def assert_same_value_and_gradient(ours, theirs, scores):
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6)
    gradients = [torch.autograd.grad(loss, scores)[0] for loss in (ours, theirs)]
    assert gradients[0].abs().max() > 1e-3
    torch.testing.assert_close(*gradients, atol=1e-6, rtol=1e-6)
