"""Low-rank adapters on a frozen embedder, blended by each image's quality, after PETALface (arXiv 2412.07771).

Each adapted layer W gets two low-rank maps (LoRA, arXiv 2106.09685), one for images of high quality and one for images
of low quality: W x + alpha * B1 A1 x + (1 - alpha) * B2 A2 x, with alpha in 0..1 for each image. Each B starts at 0, so
that an adapted network starts out equal to the frozen one.

The paper uses a further network for the quality; its published code takes alpha = 0.5 + score - threshold, unbounded.
Here quality is the norm of the frozen network's own embedding, which falls as images get worse (MagFace, arXiv
2103.06627). Then alpha = sigmoid((norm - mean) / deviation), with the mean and deviation of the training images. So one
file holds all that is needed, at the price of two looks at each image: a frozen one for the norm, then the adapted one.
"""

import re
from contextvars import ContextVar

import torch
from torch import Tensor, nn

from nonesuch.core.errors import NonesuchError
from nonesuch.embedders.iresnet import IResNet
from nonesuch.embedders.vit import FaceViT

# The layers that are adapted: the attention's linear layers and the final projection, as in the paper (its published
# ViT blends two adapters in qkv alone). In an IResNet they are the blocks' convolutions and the final projection.
_ADAPTED: dict[type[nn.Module], str] = {
    FaceViT: r"blocks\.\d+\.attn\.(qkv|proj)|fc",
    IResNet: r"layer\d\.\d+\.conv[12]|fc",
}
_LEAST_SPREAD = 1e-5  # of the norms, as a share of their mean: less is rounding
# (B,) of the images in work; None in the frozen look. It belongs to a context, so that threads keep apart.
_ALPHA: ContextVar[Tensor | None] = ContextVar("alpha", default=None)


class AdaptedLayer(nn.Module):
    """A layer with its two adapters: the blend in an `AdaptedNetwork`'s adapted look, otherwise the layer alone.

    Args:
        frozen: a linear layer over the last axis, or a convolution.
        rank: width between A and B, at least 1.
    """

    def __init__(self, frozen: nn.Linear | nn.Conv2d, rank: int) -> None:
        super().__init__()
        self.frozen = frozen
        self.high, self.low = _low_rank(frozen, rank), _low_rank(frozen, rank)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.frozen(x)
        alpha = _ALPHA.get()
        if alpha is None:
            return y
        alpha = alpha.to(y.dtype).view(-1, *[1] * (y.ndim - 1))
        return y + alpha * self.high(x) + (1.0 - alpha) * self.low(x)


class AdaptedNetwork(nn.Module):
    """A frozen IResNet or FaceViT with adapters: the same input, (B, D) raw embeddings, two looks at each image.

    It is always in evaluation mode, even in training: batch norm keeps its statistics and dropout stays off. Gradients
    reach the adapters and the input, but not through alpha.

    Args:
        network: taken over and changed in place; its parameters are frozen.
        rank: of the adapters, from 1 to the smallest side of the adapted layers' matrices.

    Attributes:
        norm_mean, norm_deviation: scalar buffers that standardise the norm, see `standardise`.

    Raises:
        NonesuchError: a network of another kind, or a rank that does not fit it.
    """

    norm_mean: Tensor
    norm_deviation: Tensor

    def __init__(self, network: nn.Module, rank: int) -> None:
        super().__init__()
        pattern = _ADAPTED.get(type(network))
        if pattern is None:
            raise NonesuchError(
                f"{type(network).__name__} cannot be adapted; adapters fit {' and '.join(k.__name__ for k in _ADAPTED)}"
            )
        layers = {
            name: layer
            for name, layer in network.named_modules()
            if re.fullmatch(pattern, name) and isinstance(layer, nn.Linear | nn.Conv2d)
        }
        most = min(min(len(layer.weight), layer.weight[0].numel()) for layer in layers.values())
        if not isinstance(rank, int) or not 1 <= rank <= most:
            raise NonesuchError(f"adapters of rank {rank!r} do not fit this network; take 1 to {most}")
        self.network = network.requires_grad_(False)
        for name, layer in layers.items():
            parent, _, leaf = name.rpartition(".")
            setattr(network.get_submodule(parent), leaf, AdaptedLayer(layer, rank))
        self.register_buffer("norm_mean", torch.zeros(()))
        self.register_buffer("norm_deviation", torch.ones(()))
        self.eval()

    def train(self, mode: bool = True) -> "AdaptedNetwork":
        """Stay in evaluation mode, whatever is asked for."""
        return super().train(False)

    def norms(self, x: Tensor) -> Tensor:
        """(B,) norms of the frozen network's embeddings, float32 or better, without gradients."""
        with torch.no_grad():
            embeddings = self._look(x, None)
        exact = torch.promote_types(embeddings.dtype, torch.float32)
        return torch.linalg.vector_norm(embeddings, dim=1, dtype=exact)

    def standardise(self, norms: Tensor) -> None:
        """Measure quality against these norms (N,) from now on.

        Raises:
            NonesuchError: they hardly differ, or are not finite.
        """
        mean, deviation = norms.mean(), norms.std(correction=0)
        if not (deviation > _LEAST_SPREAD * mean and deviation.isfinite()):
            raise NonesuchError("the frozen network's embeddings don't differ in norm, so quality has no scale")
        self.norm_mean.copy_(mean)
        self.norm_deviation.copy_(deviation)

    def alpha(self, x: Tensor) -> Tensor:
        """(B,) in 0..1, the high-quality adapters' share in each image."""
        return torch.sigmoid((self.norms(x) - self.norm_mean) / self.norm_deviation)

    def forward(self, x: Tensor) -> Tensor:
        return self._look(x, self.alpha(x))

    def _look(self, x: Tensor, alpha: Tensor | None) -> Tensor:
        before = _ALPHA.set(alpha)
        try:
            return self.network(x)
        finally:
            _ALPHA.reset(before)


def _low_rank(layer: nn.Linear | nn.Conv2d, rank: int) -> nn.Sequential:
    """A, then B: for a convolution, A has its kernel and stride, and B is 1x1."""
    down: nn.Linear | nn.Conv2d
    up: nn.Linear | nn.Conv2d
    if isinstance(layer, nn.Linear):
        down, up = nn.Linear(layer.in_features, rank, bias=False), nn.Linear(rank, layer.out_features, bias=False)
    else:
        kernel, stride, padding = layer.weight.shape[2], layer.stride[0], layer.weight.shape[2] // 2
        down = nn.Conv2d(layer.in_channels, rank, kernel, stride, padding, bias=False)
        up = nn.Conv2d(rank, layer.out_channels, 1, bias=False)
    nn.init.zeros_(up.weight)
    return nn.Sequential(down, up)
