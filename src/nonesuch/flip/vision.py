"""FLIP's image encoder: a vision transformer in the tensor names of CLIP's (arXiv 2103.00020).

Published sizes read pixels; ours reads feature maps of a frozen embedder, a patch of one place each.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class VisionAttention(nn.Module):
    """Multi-head self-attention over (B, rows, width)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        queries, keys, values = (
            linear(x).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for linear in (self.q_proj, self.k_proj, self.v_proj)
        )
        with torch.autocast(x.device.type, enabled=False):  # in bfloat16 it is many times slower on a CPU
            seen = F.scaled_dot_product_attention(queries.float(), keys.float(), values.float())
        return self.out_proj(seen.transpose(1, 2).flatten(2))


class QuickGelu(nn.Module):
    """x sigmoid(1.702 x), which CLIP has in place of GELU."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


class VisionMlp(nn.Module):
    """The two linear layers of a block."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.act = QuickGelu()
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.act(self.fc1(x)))


class VisionBlock(nn.Module):
    """Pre-norm block."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.self_attn = VisionAttention(width, heads)
        self.layer_norm1 = nn.LayerNorm(width)
        self.mlp = VisionMlp(width)
        self.layer_norm2 = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.self_attn(self.layer_norm1(x))
        return x + self.mlp(self.layer_norm2(x))


class VisionEmbeddings(nn.Module):
    """Patches, a class token before them, and learned positions."""

    def __init__(self, channels: int, side: int, patch: int, width: int) -> None:
        super().__init__()
        self.class_embedding = nn.Parameter(0.02 * torch.randn(width))
        self.patch_embedding = nn.Conv2d(channels, width, patch, patch, bias=False)
        self.position_embedding = nn.Embedding((side // patch) ** 2 + 1, width)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patch_embedding(x).flatten(2).transpose(1, 2)
        first = self.class_embedding.to(patches.dtype).expand(len(x), 1, -1)
        return torch.cat([first, patches], dim=1) + self.position_embedding.weight


class VisionLayers(nn.Module):
    """The blocks, a list under the name that CLIP gives them."""

    def __init__(self, width: int, depth: int, heads: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(VisionBlock(width, heads) for _ in range(depth))

    def states(self, x: Tensor) -> list[Tensor]:
        """What goes in, and what comes out of each layer."""
        states = [x]
        for layer in self.layers:
            states.append(layer(states[-1]))
        return states

    def forward(self, x: Tensor) -> Tensor:
        return self.states(x)[-1]


class VisionTransformer(nn.Module):
    """Embeddings, blocks, norms; `pre_layrnorm` is CLIP's spelling, `post_layrnorm` that of FLIP's authors."""

    def __init__(self, channels: int, side: int, patch: int, width: int, depth: int, heads: int) -> None:
        super().__init__()
        self.embeddings = VisionEmbeddings(channels, side, patch, width)
        self.pre_layrnorm = nn.LayerNorm(width)
        self.encoder = VisionLayers(width, depth, heads)
        self.post_layrnorm = nn.LayerNorm(width)

    def states(self, x: Tensor) -> list[Tensor]:
        """(B, 1 + places, width) before the first block and after each, none of them after the final norm."""
        return self.encoder.states(self.pre_layrnorm(self.embeddings(x)))

    def forward(self, x: Tensor) -> Tensor:
        return self.post_layrnorm(self.encoder(self.pre_layrnorm(self.embeddings(x))))


class VisionEncoder(nn.Module):
    """(B, channels, side, side) -> (B, 1 + places, width), the class token first, all after the final norm.

    Args:
        channels: 3 for pixels, or those of `nonesuch.flip.maps`.
        side, patch: of the input and of a patch.
        width, depth, heads: of the blocks.
    """

    def __init__(self, channels: int, side: int, patch: int, width: int, depth: int, heads: int) -> None:
        super().__init__()
        self.channels, self.side = channels, side
        self.vision_model = VisionTransformer(channels, side, patch, width, depth, heads)

    def forward(self, x: Tensor) -> Tensor:
        return self.vision_model(x)
