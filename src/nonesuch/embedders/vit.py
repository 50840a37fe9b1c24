"""A vision transformer (arXiv 2010.11929) as a face recogniser: no class token, all tokens feed the embedding."""

import torch
from torch import Tensor, nn

from nonesuch.core.images import CROP_SIZE
from nonesuch.core.transformer import Block


class FaceViT(nn.Module):
    """(B, 3, 112, 112) RGB in (x / 255 - 0.5) / 0.5 -> (B, embedding_dim) raw embedding.

    Args:
        dim: width of a token, a multiple of `heads`.
        depth: blocks.
        heads: of the attention.
        patch: side of a patch in pixels; what does not fill a patch at the right and lower edge is left out.
        embedding_dim: width of the embedding.
        dropout: rate behind both halves of a block, in training.
    """

    def __init__(
        self,
        dim: int = 512,
        depth: int = 12,
        heads: int = 8,
        patch: int = 9,
        embedding_dim: int = 512,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        tokens = (CROP_SIZE // patch) ** 2
        self.patch_embed = nn.Conv2d(3, dim, patch, patch)
        self.pos_embed = nn.Parameter(0.02 * torch.randn(1, tokens, dim))
        self.blocks = nn.ModuleList(Block(dim, heads, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.fc = nn.Linear(tokens * dim, embedding_dim, bias=False)
        self.features = nn.BatchNorm1d(embedding_dim, eps=1e-5)
        # A free scale would undo the normalisation after it, as in IResNet.
        self.features.weight.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        rows = self.patch_embed(x).flatten(2).transpose(1, 2) + self.pos_embed
        for block in self.blocks:
            rows = block(rows)
        embedding: Tensor = self.features(self.fc(self.norm(rows).flatten(1)))
        return embedding
