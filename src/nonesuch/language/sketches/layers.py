"""Two linear layers that bring drawings and photographs together; the encoder before them stays as it is."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nonesuch.core.images import Pixels
from nonesuch.core.seeding import Stream, derive_seed, normal, permutation, uniform
from nonesuch.flip.model import FlipModel

DIM = 128  # of the space of drawings and photographs
_SIDE = 7  # places in a row and in a column; finer ones are averaged, which bounds the memory for large encoders
_TEMPERATURE = 0.07
_EPOCHS, _BATCH, _LR, _WEIGHT_DECAY = 60, 128, 3e-4, 0.05
_AT_ONCE = 16  # images that are encoded together


class Encoded(NamedTuple):
    """Images as the frozen encoder sees them.

    Attributes:
        features: (N, F) float32, what it says of the image and of each of its places.
        vectors: (N, dim) float32 unit vectors of its own space, that of texts.
    """

    features: Tensor
    vectors: Tensor


def encoded(model: FlipModel, crops: Pixels) -> Encoded:
    """(N, 112, 112, 3) uint8 crops or drawings as the model's image encoder sees them."""
    seen = model.encode_images(crops, _AT_ONCE)
    vectors = torch.from_numpy(model.vectors_of(seen))
    side = math.isqrt(seen.shape[1] - 1)
    places = seen[:, 1:].transpose(1, 2).unflatten(2, (side, side))
    places = F.adaptive_avg_pool2d(places, min(side, _SIDE))
    return Encoded(torch.cat([seen[:, 0], places.flatten(1)], dim=1).cpu(), vectors)


class SketchLayers(nn.Module):
    """Features of drawings and of photographs as unit vectors of one space, by a linear layer each.

    Args:
        width: of the features.
        seed: of the weights that training begins with; both layers begin alike.
    """

    def __init__(self, width: int, seed: int) -> None:
        super().__init__()
        drawn = normal(seed, Stream.OTHER, DIM * width).reshape(DIM, width) / math.sqrt(width)
        self.drawing, self.photograph = nn.Linear(width, DIM), nn.Linear(width, DIM)
        for layer in (self.drawing, self.photograph):
            layer.weight.data.copy_(torch.from_numpy(drawn))
            layer.bias.data.zero_()

    def drawings(self, features: Tensor) -> Tensor:
        """(N, F) -> (N, 128) unit vectors."""
        return F.normalize(self.drawing(features), dim=1)

    def photographs(self, features: Tensor) -> Tensor:
        """(N, F) -> (N, 128) unit vectors."""
        return F.normalize(self.photograph(features), dim=1)


def trained_layers(
    drawings: Tensor, photographs: Tensor, seed: int, on_step: Callable[[int, int], None] = lambda done, total: None
) -> SketchLayers:
    """Layers by which a drawing is more like its photograph than like others of the batch, and the other way round.

    The loss is the symmetric cross-entropy of cosines (CLIP, arXiv 2103.00020). Another photograph of the same person
    counts as wrong, as it does where ranks are counted: the very photograph is sought.

    Args:
        drawings: (P, S, F) float, of each photograph at S steps, one of which is drawn at random each time.
        photographs: (P, F) float, at least two.
        seed: of everything random.
        on_step: told how many steps are done, and of how many.
    """
    mean_d, scale_d = _spread(drawings.flatten(0, 1))
    mean_p, scale_p = _spread(photographs)
    layers = SketchLayers(photographs.shape[1], seed)
    optimizer = torch.optim.AdamW(layers.parameters(), lr=_LR, weight_decay=_WEIGHT_DECAY)
    batch = min(_BATCH, len(photographs))
    batches = len(photographs) // batch
    rows_right = torch.arange(batch)
    for epoch in range(_EPOCHS):
        order = torch.from_numpy(permutation(derive_seed(seed, epoch), Stream.TRAINING_ORDER, len(photographs)))
        steps = (uniform(derive_seed(seed, epoch), Stream.OTHER, len(order)) * drawings.shape[1]).astype(np.int64)
        for number in range(batches):
            done = epoch * batches + number
            optimizer.param_groups[0]["lr"] = _LR * 0.5 * (1.0 + math.cos(math.pi * done / (_EPOCHS * batches)))
            rows = order[number * batch : (number + 1) * batch]
            drawn = (drawings[rows, torch.from_numpy(steps)[rows]].float() - mean_d) / scale_d
            seen = (photographs[rows].float() - mean_p) / scale_p
            cosines = layers.drawings(drawn) @ layers.photographs(seen).T / _TEMPERATURE
            loss = (F.cross_entropy(cosines, rows_right) + F.cross_entropy(cosines.T, rows_right)) / 2.0
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            on_step(done + 1, _EPOCHS * batches)
    _take_in(layers.drawing, mean_d, scale_d)
    _take_in(layers.photograph, mean_p, scale_p)
    return layers.requires_grad_(False)


def _spread(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each feature, (F,) each, by which they are learned from."""
    return features.float().mean(0), features.float().std(0).clamp(min=1e-4)


def _take_in(layer: nn.Linear, mean: Tensor, scale: Tensor) -> None:
    """Make a layer of standardised features one of features as they are."""
    with torch.no_grad():
        layer.weight.div_(scale)
        layer.bias.sub_(layer.weight @ mean)
