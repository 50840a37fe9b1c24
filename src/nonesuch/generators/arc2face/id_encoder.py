"""Arc2Face's ID prompt encoder: an identity vector, put into a fixed prompt -> what the U-Net attends to.

A CLIP text transformer (arXiv 2103.00020) reads "photo of a id person", where the identity vector takes the place of
the embedding of "id" (Arc2Face, arXiv 2403.11641). Tensor names are those of the published `encoder/`, so that official
weights load without a mapping.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nonesuch.core.errors import NonesuchError

# CLIP's tokens; the second end token and those after it are the padding.
_START, _END, _ID = 49406, 49407, 1014
_PROMPT = (_START, 1125, 539, 320, _ID, 2533)  # photo, of, a, id, person
_EMPTY = (_START,)


class _Embeddings(nn.Module):
    def __init__(self, vocabulary: int, tokens: int, width: int) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(vocabulary, width)
        self.position_embedding = nn.Embedding(tokens, width)


class _Attention(nn.Module):
    """(B, N, C) -> (B, N, C); no token looks at a later one."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        q, k, v = (
            layer(x).unflatten(2, (self.heads, -1)).transpose(1, 2) for layer in (self.q_proj, self.k_proj, self.v_proj)
        )
        return self.out_proj(F.scaled_dot_product_attention(q, k, v, seen).transpose(1, 2).flatten(2))


class _Mlp(nn.Module):
    """Two layers with the sigmoid form of GELU that CLIP was trained with."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc1(x)
        return self.fc2(x * torch.sigmoid(1.702 * x))


class _Layer(nn.Module):
    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.self_attn = _Attention(width, heads)
        self.layer_norm1 = nn.LayerNorm(width)
        self.mlp = _Mlp(width, inner)
        self.layer_norm2 = nn.LayerNorm(width)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        x = x + self.self_attn(self.layer_norm1(x), seen)
        return x + self.mlp(self.layer_norm2(x))


class _Layers(nn.Module):
    def __init__(self, layers: int, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Layer(width, heads, inner) for _ in range(layers))


class _TextTransformer(nn.Module):
    def __init__(self, vocabulary: int, tokens: int, layers: int, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.embeddings = _Embeddings(vocabulary, tokens, width)
        self.encoder = _Layers(layers, width, heads, inner)
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(self, embedded: Tensor) -> Tensor:
        """(B, N, C) embeddings of tokens -> (B, N, C), the last hidden state."""
        count = embedded.shape[1]
        x = embedded + self.embeddings.position_embedding.weight[:count]
        seen = torch.ones(count, count, dtype=torch.bool, device=x.device).tril()
        for layer in self.encoder.layers:
            x = layer(x, seen)
        return self.final_layer_norm(x)


class IdEncoder(nn.Module):
    """Identity vectors -> contexts of the U-Net.

    Args:
        feature_dim: width of identity vectors, at most `width`; they are padded with zeros.
        width, layers, heads, inner: of the transformer: CLIP ViT-L/14's.
        vocabulary: rows of the table of tokens.
        tokens: length of the padded prompt.

    Raises:
        NonesuchError: vectors wider than the transformer.
    """

    def __init__(
        self,
        feature_dim: int = 512,
        width: int = 768,
        layers: int = 12,
        heads: int = 12,
        inner: int = 3072,
        vocabulary: int = 49408,
        tokens: int = 77,
    ) -> None:
        super().__init__()
        if feature_dim > width or width % heads or vocabulary <= _END or tokens <= len(_PROMPT):
            raise NonesuchError(
                f"an encoder of width {width} with {heads} heads, {vocabulary} words and {tokens} tokens does not take "
                f"vectors of width {feature_dim}"
            )
        self.feature_dim, self.width, self.tokens = feature_dim, width, tokens
        self.text_model = _TextTransformer(vocabulary, tokens, layers, width, heads, inner)

    def forward(self, vectors: Tensor) -> Tensor:
        """(B, feature_dim) identity vectors of any length -> (B, tokens, width)."""
        padded = F.pad(F.normalize(vectors), (0, self.width - self.feature_dim))
        words = self._embedded(_PROMPT).expand(len(vectors), -1, -1)
        place = _PROMPT.index(_ID)
        return self.text_model(torch.cat([words[:, :place], padded[:, None], words[:, place + 1 :]], dim=1))

    def of_nobody(self) -> Tensor:
        """(1, tokens, width): the empty prompt, which guidance drives away from."""
        return self.text_model(self._embedded(_EMPTY))

    def _embedded(self, prompt: tuple[int, ...]) -> Tensor:
        table = self.text_model.embeddings.token_embedding
        padded = [*prompt, *[_END] * (self.tokens - len(prompt))]
        return table(torch.tensor([padded], device=table.weight.device))
