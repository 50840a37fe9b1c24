"""Writing an embedder as ONNX, checked against the network that it came from."""

import logging
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import nn

from nonesuch.core import files
from nonesuch.core.errors import NonesuchError
from nonesuch.embedders.embedder import Embedder
from nonesuch.embedders.onnx import OnnxNetwork

MOST_DIFFERENCE = 1e-4  # of an embedding, as a share of its length: float32 sums in another order
_BATCHES = (1, 5)


def export_onnx(embedder: Embedder, path: Path) -> float:
    """Write the embedder's network: input `faces` (N, 3, size, size) float32 as its preprocessing prepares it, output
    `embeddings` (N, D), for any N.

    Returns:
        The largest difference between both networks' embeddings of random images, as a share of the embedding's length.

    Raises:
        NonesuchError: the [onnx] extra is missing, the embedder is not a torch network or cannot be written as ONNX,
            the two differ by more than MOST_DIFFERENCE, or the place cannot be written. Then nothing is left there.
    """
    network = embedder.network
    if not isinstance(network, nn.Module):
        raise NonesuchError(f"{embedder.name}: is ONNX already")
    size = embedder.preprocessing.size
    generator = torch.Generator().manual_seed(0)
    faces = [torch.rand(count, 3, size, size, generator=generator) * 2.0 - 1.0 for count in _BATCHES]
    network = network.cpu()
    if find_spec("onnxscript") is None:
        raise NonesuchError("writing ONNX needs the extra: pip install 'nonesuch[onnx]'")
    with files.replacing(path) as temporary:
        try:
            _write(network, faces[-1], temporary)
        except OSError:
            raise
        except Exception as error:  # the exporter has many exception classes of its own
            raise NonesuchError(f"{embedder.name}: cannot be written as ONNX ({str(error).splitlines()[0]})") from error
        written = OnnxNetwork(temporary)
        with torch.inference_mode():
            pairs = [(written(part).numpy(), network(part).numpy()) for part in faces]
        difference = max(
            float((np.linalg.norm(one - other, axis=1) / np.linalg.norm(other, axis=1)).max()) for one, other in pairs
        )
        if not difference <= MOST_DIFFERENCE:
            raise NonesuchError(f"{path}: differs from {embedder.name} by {difference:.1e} of an embedding's length")
    return difference


def _write(network: nn.Module, faces: torch.Tensor, path: Path) -> None:
    told = logging.getLogger("torch.onnx")
    level = told.level
    told.setLevel(logging.ERROR)  # it warns of torchvision's absence
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                network,
                (faces,),
                input_names=["faces"],
                output_names=["embeddings"],
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                verbose=False,
            )
        assert program is not None
        program.save(path, external_data=False)
    finally:
        told.setLevel(level)
