"""FLIP's text encoder: BERT (arXiv 1810.04805) whose every layer can also look at an image, in BERT's tensor names."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_EPSILON = 1e-12  # of BERT's norms
_TOGETHER = 32  # texts of like length that are read at a time


class Projections(nn.Module):
    """Queries from one sequence, keys and values from the same or another."""

    def __init__(self, width: int, source: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(source, width)
        self.value = nn.Linear(source, width)

    def forward(self, x: Tensor, source: Tensor, mask: Tensor | None) -> Tensor:
        queries, keys, values = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for part in (self.query(x), self.key(source), self.value(source))
        )
        dropout = self.dropout if self.training else 0.0
        with torch.autocast(x.device.type, enabled=False):  # in bfloat16 it is many times slower on a CPU
            seen = F.scaled_dot_product_attention(
                queries.float(), keys.float(), values.float(), attn_mask=mask, dropout_p=dropout
            )
        return seen.transpose(1, 2).flatten(2)


class AddAndNorm(nn.Module):
    """Linear layer and dropout, added to what came before, then the norm: the end of each half of a BERT layer."""

    def __init__(self, inside: int, width: int, dropout: float) -> None:
        super().__init__()
        self.dense = nn.Linear(inside, width)
        self.LayerNorm = nn.LayerNorm(width, eps=_EPSILON)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, before: Tensor) -> Tensor:
        return self.LayerNorm(self.dropout(self.dense(x)) + before)


class TextAttention(nn.Module):
    """Attention to the text itself, or to an image."""

    def __init__(self, width: int, source: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.self = Projections(width, source, heads, dropout)
        self.output = AddAndNorm(width, width, dropout)

    def forward(self, x: Tensor, source: Tensor, mask: Tensor | None) -> Tensor:
        return self.output(self.self(x, source, mask), x)


class Intermediate(nn.Module):
    """The widening half of the feed-forward part."""

    def __init__(self, width: int, inside: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, inside)

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(self.dense(x))


class TextLayer(nn.Module):
    """Self-attention, attention to an image where one is given, feed-forward."""

    def __init__(self, width: int, image_width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = TextAttention(width, width, heads, dropout)
        self.crossattention = TextAttention(width, image_width, heads, dropout)
        self.intermediate = Intermediate(width, 4 * width)
        self.output = AddAndNorm(4 * width, width, dropout)

    def forward(self, x: Tensor, mask: Tensor, image: Tensor | None) -> Tensor:
        x = self.attention(x, x, mask)
        if image is not None:
            x = self.crossattention(x, image, None)
        return self.output(self.intermediate(x), x)


class TextEmbeddings(nn.Module):
    """Words and positions."""

    def __init__(self, words: int, positions: int, width: int, dropout: float) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(words, width, padding_idx=0)
        self.position_embeddings = nn.Embedding(positions, width)
        self.LayerNorm = nn.LayerNorm(width, eps=_EPSILON)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        found = self.word_embeddings(tokens) + self.position_embeddings.weight[: tokens.shape[1]]
        return self.dropout(self.LayerNorm(found))


class TextLayers(nn.Module):
    """The layers, a list under the name that BERT gives them."""

    def __init__(self, width: int, depth: int, image_width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.layer = nn.ModuleList(TextLayer(width, image_width, heads, dropout) for _ in range(depth))


class TextEncoder(nn.Module):
    """(B, L) int64 tokens -> (B, L, width), the first of which stands for the text.

    Args:
        words: size of the vocabulary; token 0 is padding.
        positions: the longest text that has a place, in tokens.
        width, depth, heads: of the layers.
        image_width: of the image encoder's output.
        dropout: share of what is dropped in training.
    """

    def __init__(
        self, words: int, positions: int, width: int, depth: int, heads: int, image_width: int, dropout: float
    ) -> None:
        super().__init__()
        self.embeddings = TextEmbeddings(words, positions, width, dropout)
        self.encoder = TextLayers(width, depth, image_width, heads, dropout)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)

    def first(self, tokens: Tensor, image: Tensor | None = None) -> Tensor:
        """(B, width) what stands for each text: the first token of `forward`.

        Texts of like length are read together, since padding costs as much as words do.
        """
        lengths = (tokens != 0).sum(1)
        order = lengths.argsort()
        parts = []
        for rows in order.split(_TOGETHER):
            part = None if image is None else image[rows]
            parts.append(self(tokens[rows, : int(lengths[rows[-1]])], part)[:, 0])
        return torch.cat(parts)[order.argsort()]

    def forward(self, tokens: Tensor, image: Tensor | None = None) -> Tensor:
        """Without an image the text alone is read; with (B, places, image_width) all layers look at it too."""
        mask = (tokens != 0)[:, None, None, :]
        x = self.embeddings(tokens)
        for layer in self.encoder.layer:
            x = layer(x, mask, image)
        return x
