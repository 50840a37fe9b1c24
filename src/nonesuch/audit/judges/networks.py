"""Networks that a user supplies as ONNX files to judge pictures: no card, but a fixed input and a known output."""

from pathlib import Path

import torch

from nonesuch.core import files
from nonesuch.core.devices import pick_device
from nonesuch.core.errors import NonesuchError
from nonesuch.embedders.embedder import Embedder, EmbedderCard
from nonesuch.embedders.onnx import OnnxNetwork


def load_judge(
    path: Path, size: int, mean: list[float], std: list[float], width: int, device: str = "auto", threads: int = 0
) -> Embedder:
    """A network with images in and feature vectors out, tried on one image.

    Crops are resized from 112 to `size` by bilinear interpolation with pixel centres at halves. Enlarging, this is
    what Pillow and torch do; the first TensorFlow took pixel corners instead, which shifts the picture a little.

    Args:
        size: side of the input, (B, 3, size, size) RGB or channels last.
        mean, std: (x - mean) / std is what the network takes, x in 0..255; per channel.
        width: that the output must have.

    Raises:
        NonesuchError: see `OnnxNetwork`; or the network takes another size or gives another width.
    """
    place = pick_device(device)
    network = OnnxNetwork(path, threads, place.type != "cpu")
    if network.size not in (None, size):
        raise NonesuchError(f"{path}: takes images of {network.size} pixels, not {size}; export it for {size}")
    with torch.inference_mode():
        found = tuple(network(torch.zeros(1, 3, size, size)).shape)
    if found != (1, width):
        raise NonesuchError(f"{path}: gives {found[-1]} numbers for an image, not {width}; export the right layer")
    digest = files.sha256(path)
    card = EmbedderCard(
        name=f"{path.name}, sha256 {digest[:12]}",
        architecture="onnx",
        sha256=digest,
        licence="the user's to know",
        source=str(path),
        training_data="the user's to know",
        embedding_dim=width,
        preprocessing={"size": size, "mean": mean, "std": std},
    )
    return Embedder(card, network, place)
