import pytest
import torch
from torch import nn

from nonesuch.embedders.prelu import PReLU


@pytest.mark.parametrize("shape", [(3, 5), (2, 5, 4, 3)])
def test_values_and_gradients_are_torchs(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    ours, theirs = PReLU(5).double(), nn.PReLU(5).double()
    slopes = torch.randn(5).double() * 2  # negative slopes and slopes above 1 as well
    with torch.no_grad():
        ours.weight.copy_(slopes)
        theirs.weight.copy_(slopes)
    x = torch.randn(shape, dtype=torch.float64)
    results = []
    for layer in (ours, theirs):
        leaf = x.clone().requires_grad_()
        y = layer(leaf)
        (y * torch.arange(y.numel(), dtype=torch.float64).view(shape)).sum().backward()
        results.append((y, leaf.grad, layer.weight.grad))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b)


def test_frozen_slopes_and_mixed_precision() -> None:
    layer = PReLU(4).requires_grad_(False)
    x = torch.randn(2, 4, 3, 3).bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    y.float().sum().backward()
    assert y.dtype == torch.bfloat16
    assert layer.weight.grad is None
    assert set(x.grad.unique().tolist()) <= {0.25, 1.0}
