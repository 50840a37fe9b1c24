"""Vec2Face: a masked transformer that decodes an identity vector into a face.

Source: Vec2Face (arXiv 2409.02979, ICLR 2025), section 3. Tensor names are the published ones, so that official
checkpoints load without a mapping.
"""

import math
from collections.abc import Sequence
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nonesuch.core.transformer import Block
from nonesuch.generators.vec2face.image_decoder import ImageDecoder

TOKENS = 49  # rows of the 7x7 feature map


class TokenEmbedding(nn.Module):
    """Adds a learned position to each of the 50 rows, then LayerNorm and dropout."""

    position_ids: Tensor

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        self.position_embeddings = nn.Embedding(TOKENS + 1, dim)
        self.LayerNorm = nn.LayerNorm(dim, eps=1e-6)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("position_ids", torch.tensor([list(range(TOKENS + 1))]))

    def forward(self, rows: Tensor) -> Tensor:
        return self.dropout(self.LayerNorm(rows + self.position_embeddings(self.position_ids)))


class UnusedPatchEmbed(nn.Module):
    """A convolution that the official checkpoints carry and never use."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, 16, 16)


class Vec2Face(nn.Module):
    """Identity vector -> face image.

    Args:
        feature_dim: width of the identity vectors.
        dim: width of the transformer.
        encoder_blocks, decoder_blocks: depth of its two halves.
        encoder_heads, decoder_heads: attention heads of each.
        map_width: channels of the 7x7 map between transformer and image decoder.
        decoder_widths, decoder_depths: channels and residual blocks of the image decoder per level, finest first.
        narrow_upsample, group_width: see `ImageDecoder`.
        published_extras: hold the two unused layers of the official checkpoints, so that these load as they are.
        dropout: dropout rate in training.
        float32_blocks: keep the transformers in float32 under mixed precision, as published.
        style_dim: width of the style code, which holds what a face embedding hardly does (pose, light, background): an
            extra row of both transformers, and a modulation of the image decoder. 0 for none, as published.
    """

    def __init__(
        self,
        feature_dim: int = 512,
        dim: int = 768,
        encoder_blocks: int = 12,
        decoder_blocks: int = 8,
        encoder_heads: int = 12,
        decoder_heads: int = 16,
        map_width: int = 256,
        decoder_widths: Sequence[int] = (128, 128, 256, 256, 512),
        decoder_depths: Sequence[int] = (2, 2, 2, 2, 2),
        narrow_upsample: bool = False,
        group_width: int | None = None,
        published_extras: bool = True,
        dropout: float = 0.1,
        float32_blocks: bool = True,
        style_dim: int = 0,
    ) -> None:
        super().__init__()
        self.feature_dim, self.style_dim, self.float32_blocks = feature_dim, style_dim, float32_blocks
        self.latent_prior_proj_f = nn.Linear(feature_dim, dim)
        self.feature_token = nn.Linear(1, TOKENS)
        self.token_emb = TokenEmbedding(dim, dropout)
        self.blocks = nn.ModuleList(Block(dim, encoder_heads, dropout) for _ in range(encoder_blocks))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.decoder_embed = nn.Linear(dim, dim)
        self.decoder_pos_embed_learned = nn.Parameter(torch.zeros(1, TOKENS + 1, dim))
        self.decoder_blocks = nn.ModuleList(Block(dim, decoder_heads, dropout) for _ in range(decoder_blocks))
        self.decoder_norm = nn.LayerNorm(dim, eps=1e-6)
        self.im_decoder_proj = nn.Linear(dim, map_width)
        self.im_decoder = ImageDecoder(
            map_width, decoder_widths, decoder_depths, narrow_upsample, group_width, dim if style_dim else 0
        )
        if style_dim:
            self.style_row = nn.Sequential(nn.Linear(style_dim, dim), nn.SiLU(), nn.Linear(dim, dim))
            self.modulation = nn.Sequential(nn.Linear(2 * dim, dim), nn.SiLU())
        self._initialise()
        if published_extras:
            self.center_token = nn.Linear(dim, TOKENS)
            self.patch_embed = UnusedPatchEmbed(dim)

    def _initialise(self) -> None:
        for blocks in (self.blocks, self.decoder_blocks):
            for module in blocks.modules():
                if isinstance(module, nn.Linear):
                    nn.init.xavier_uniform_(module.weight)
                    nn.init.zeros_(module.bias)
        nn.init.normal_(self.token_emb.position_embeddings.weight, std=0.02)
        nn.init.normal_(self.decoder_pos_embed_learned, std=0.02)

    @staticmethod
    def belongs_to_style(tensor_name: str) -> bool:
        """Whether a tensor serves the style code alone; an untrained one hardly changes images."""
        return tensor_name.startswith(("style_row.", "modulation.")) or ".condition." in tensor_name

    def feature_map(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Image feature (B, dim) and its un-masked rank-1 feature map (B, 49, dim)."""
        image_feature = self.latent_prior_proj_f(vectors)
        return image_feature, self.feature_token(image_feature[:, :, None]).transpose(1, 2)

    def tokens(
        self,
        vectors: Tensor,
        noise: Tensor,
        mask_ratio: float | Tensor,
        drop_ratio: float,
        style: Tensor | None = None,
    ) -> Tensor:
        """The transformer: (B, feature_dim) vectors -> (B, 49, dim) rows. Arguments as in `forward`."""
        batch = len(vectors)
        image_feature, rows = self.feature_map(vectors)
        order = noise.argsort(dim=1, stable=True)
        rank = order.argsort(dim=1)
        ratio = torch.as_tensor(mask_ratio, dtype=torch.float32, device=vectors.device).expand(batch)
        # Rounding first keeps 49 * (k / 49) from landing one above k.
        masked = rank < (TOKENS * ratio[:, None]).round(decimals=4).ceil()
        dropped = math.ceil(round(TOKENS * drop_ratio, 4))

        rows = torch.where(masked[:, :, None], image_feature[:, None], rows)
        rows = self.token_emb(torch.cat([image_feature[:, None], rows], dim=1))
        kept = torch.cat([rank.new_zeros(batch, 1), order[:, dropped:] + 1], dim=1)[:, :, None]
        encoded = rows.gather(1, kept.expand(-1, -1, rows.shape[2]))
        styled = None if style is None else self.style_row(style)[:, None].to(encoded.dtype)
        encoded = self._through(self.blocks, encoded, styled)
        encoded = self.decoder_embed(self.norm(encoded))

        first = encoded[:, :1]
        rebuilt = first.expand(-1, TOKENS + 1, -1).scatter(1, kept.expand(-1, -1, encoded.shape[2]), encoded)
        covered = F.pad(masked, (1, 0))[:, :, None]
        decoded = torch.where(covered, first, rebuilt) + self.decoder_pos_embed_learned
        return self.decoder_norm(self._through(self.decoder_blocks, decoded, styled))[:, 1:]

    def _through(self, blocks: nn.ModuleList, rows: Tensor, extra: Tensor | None) -> Tensor:
        """Rows through transformer blocks, with an extra row that is dropped after them."""
        if extra is not None:
            rows = torch.cat([rows, extra], dim=1)
        precision = torch.autocast(rows.device.type, enabled=False) if self.float32_blocks else nullcontext()
        with precision:
            rows = rows.float() if self.float32_blocks else rows
            for block in blocks:
                rows = block(rows)
        return rows if extra is None else rows[:, :-1]

    def decode(self, tokens: Tensor, vectors: Tensor | None = None, style: Tensor | None = None) -> Tensor:
        """(B, 49, dim) rows -> (B, 3, 112, 112) images; a model with a style code takes it and the vectors again."""
        condition = None
        if style is not None and vectors is not None:
            image_feature = self.latent_prior_proj_f(vectors)
            condition = self.modulation(torch.cat([image_feature, self.style_row(style)], dim=1))
        rows = self.im_decoder_proj(tokens)
        return self.im_decoder(rows.transpose(1, 2).unflatten(2, (7, 7)), condition)

    def forward(
        self,
        vectors: Tensor,
        noise: Tensor,
        mask_ratio: float | Tensor,
        drop_ratio: float,
        style: Tensor | None = None,
    ) -> Tensor:
        """Render images.

        Args:
            vectors: (B, feature_dim) identity vectors in the model's scale (raw embedding * `vector_scale`).
            noise: (B, 49) in [0, 1); the rows of the feature map with the lowest noise are masked first.
            mask_ratio: share of rows masked, one for all or (B,), at least `drop_ratio`.
            drop_ratio: share of rows dropped from the encoder, one for all.
            style: (B, style_dim), standard normal; None for the mean style. Only for a model with a style code.

        Returns:
            (B, 3, 112, 112) RGB, about [-1, 1], not clipped.

        Raises:
            ValueError: a style for a model without a style code.
        """
        if style is None and self.style_dim:
            style = vectors.new_zeros(len(vectors), self.style_dim)
        if style is not None and not self.style_dim:
            raise ValueError("this model has no style code")
        return self.decode(self.tokens(vectors, noise, mask_ratio, drop_ratio, style), vectors, style)
