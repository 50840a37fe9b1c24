"""PReLU with a faster backward pass."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable


class _PreluFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.prelu(x, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor, Tensor | None]:
        x, weight = ctx.saved_tensors  # type: ignore[attr-defined]
        positive = torch.ops.aten.threshold_backward(grad, x, 0.0)
        shape = (-1,) + (1,) * (x.ndim - 2)
        negative = grad - positive
        grad_weight = None
        if ctx.needs_input_grad[1]:  # type: ignore[attr-defined]
            grad_weight = (negative * x).sum([axis for axis in range(x.ndim) if axis != 1]).to(weight.dtype)
        # In place instead of lerp, which is not vectorised over a channel's slope.
        return negative.mul_(weight.to(grad.dtype).view(shape)).add_(positive), grad_weight


class PReLU(nn.PReLU):
    """`torch.nn.PReLU` per channel (He et al., arXiv 1502.01852), with the same tensors and the same values.

    On a CPU torch's backward pass fills a tensor as large as the input for the weight's gradient, even if the weight
    is frozen; this one takes two vectorised passes. It can be differentiated once, not twice.
    """

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.to(x.dtype) if torch.is_autocast_enabled(x.device.type) else self.weight
        return _PreluFunction.apply(x, weight)  # type: ignore[no-untyped-call]
