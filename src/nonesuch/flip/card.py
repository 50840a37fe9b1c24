"""The card of FLIP's weights."""

from dataclasses import dataclass
from typing import ClassVar

from nonesuch.core.weights import Card, Width


@dataclass(frozen=True, kw_only=True)
class FlipCard(Card):
    """What FLIP's weights say about themselves.

    Attributes:
        dim: width of the joint space.
        vocabulary: the tokens that texts are cut into, in the order of their numbers; `nonesuch.flip.word_pieces`.
        embedder, embedder_sha256: the embedder whose feature maps the image encoder reads; "" where it reads pixels.
    """

    kind: ClassVar[str] = "text-image"

    dim: Width
    vocabulary: list[str]
    embedder: str = ""
    embedder_sha256: str = ""
