"""A trained FLIP with all that it needs to look and to read."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nonesuch.core.devices import autocast
from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import Pixels
from nonesuch.embedders.embedder import Embedder, check_crops
from nonesuch.flip.card import FlipCard
from nonesuch.flip.maps import embedder_maps
from nonesuch.flip.network import Flip
from nonesuch.flip.pixels import prepared
from nonesuch.flip.word_pieces import JOINT, WordPieces

LONGEST = 65  # tokens of a text, as published
_TEXTS = 256  # read at a time


class FlipModel:
    """Images and texts as unit vectors of one space, and how probably a text is an image's.

    Attributes:
        card: name, hash, what was measured.
        pieces: how texts become tokens.
    """

    def __init__(
        self,
        card: FlipCard,
        network: Flip,
        embedder: Embedder | None,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.card, self.network, self.embedder, self.device, self.dtype = card, network, embedder, device, dtype
        positions = network.text_encoder.embeddings.position_embeddings.num_embeddings
        self.pieces = WordPieces(card.vocabulary, min(positions, LONGEST))

    def encode_images(self, crops: Pixels, batch: int = 64) -> Tensor:
        """(N, 112, 112, 3) uint8 aligned crops -> (N, 1 + places, width) float32 encodings."""
        check_crops(crops, self.card.name)
        parts = []
        with torch.inference_mode(), autocast(self.device, self.dtype):
            for start in range(0, len(crops), batch):
                parts.append(self.network.visual_encoder(self._seen(crops[start : start + batch])).float())
        return torch.cat(parts) if parts else torch.zeros(0, 1, self.network.vision_proj.in_features)

    def layers(self, crops: Pixels) -> list[Tensor]:
        """(B, 112, 112, 3) uint8 aligned crops -> `VisionTransformer.states` of one batch."""
        check_crops(crops, self.card.name)
        return self.network.visual_encoder.vision_model.states(self._seen(crops))

    def image_vectors(self, crops: Pixels, batch: int = 64) -> NDArray[np.float32]:
        """(N, 112, 112, 3) uint8 aligned crops -> (N, dim) unit vectors.

        Raises:
            NonesuchError: the crops have another shape or type.
        """
        return self.vectors_of(self.encode_images(crops, batch))

    def vectors_of(self, places: Tensor) -> NDArray[np.float32]:
        """Encodings -> (N, dim) unit vectors."""
        with torch.inference_mode():
            found: NDArray[np.float32] = self.network.image_vectors(places).cpu().numpy()
        return found

    def text_vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts -> (N, dim) unit vectors; what is longer than `pieces.longest` tokens is cut.

        Raises:
            NonesuchError: a text is empty.
        """
        if any(not text.strip() for text in texts):
            raise NonesuchError("an empty text describes nobody; give some words")
        parts = [np.zeros((0, self.card.dim), dtype=np.float32)]
        with torch.inference_mode(), autocast(self.device, self.dtype):
            for start in range(0, len(texts), _TEXTS):
                tokens = self.pieces.encode(texts[start : start + _TEXTS]).to(self.device)
                parts.append(self.network.text_vectors(self.network.text_encoder.first(tokens)).cpu().numpy())
        return np.concatenate(parts)

    def matches(self, texts: Sequence[str], places: Tensor) -> NDArray[np.float32]:
        """(N,) how much more the judge of pairs takes each text for its image's than for another's, in logits.

        Args:
            places: (N, 1 + places, width) of `encode_images`.
        """
        found = []
        with torch.inference_mode(), autocast(self.device, self.dtype):
            for start in range(0, len(texts), _TEXTS):
                tokens = self.pieces.encode(texts[start : start + _TEXTS], begin=JOINT).to(self.device)
                logits = self.network.match(tokens, places[start : start + _TEXTS])
                found.append((logits[:, 1] - logits[:, 0]).cpu().numpy())
        return np.concatenate(found) if found else np.zeros(0, dtype=np.float32)

    def _seen(self, crops: Pixels) -> Tensor:
        pixels = torch.from_numpy(crops).to(self.device).permute(0, 3, 1, 2).float()
        if self.embedder is None:
            return prepared(pixels, self.network.visual_encoder.side)
        return embedder_maps(self.embedder, pixels)
