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
        grad_x = torch.lerp(positive, grad, weight.to(grad.dtype).view(shape))
        if not ctx.needs_input_grad[1]:  # type: ignore[attr-defined]
            return grad_x, None
        other_axes = [axis for axis in range(x.ndim) if axis != 1]
        return grad_x, ((grad - positive) * x).sum(other_axes, dtype=torch.float32).to(weight.dtype)


class PReLU(nn.PReLU):
    """`torch.nn.PReLU` per channel (He et al., arXiv 1502.01852), with the same tensors and the same values.

    On a CPU torch's backward pass fills a tensor as large as the input for the weight's gradient, even if the weight
    is frozen; this one takes two vectorised passes. It can be differentiated once, not twice.
    """

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.to(x.dtype) if torch.is_autocast_enabled(x.device.type) else self.weight
        return _PreluFunction.apply(x, weight)  # type: ignore[no-untyped-call]
