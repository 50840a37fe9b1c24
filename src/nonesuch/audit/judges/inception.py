"""FID (Heusel et al., arXiv 1706.08500), for users who have Inception's weights.

They are not shipped. `pt_inception-2015-12-05-6726825d.pth`, the 2015 TensorFlow graph in PyTorch, is the usual file.
The ONNX file needed here is that network with its own scaling inside, so that it takes (B, 3, 299, 299) RGB in 0..255
and gives the (B, 2048) features after the last pooling. A distance depends on the network's file and on how pictures
are resized (Parmar et al., arXiv 2104.11222). It is reported under the name that `figure_name` gives, and compares only
with distances of the same name.
"""

from pathlib import Path

from nonesuch.audit.judges.networks import load_judge
from nonesuch.embedders.embedder import Embedder

SIZE, WIDTH = 299, 2048


def load_inception(path: Path, device: str = "auto", threads: int = 0) -> Embedder:
    """Crops -> (N, 2048) float32 features by its `embed`, for `nonesuch.measures.realism`.

    Raises:
        NonesuchError: see `load_judge`.
    """
    return load_judge(path, SIZE, [0.0] * 3, [1.0] * 3, WIDTH, device, threads)


def figure_name(inception: Embedder) -> str:
    """The name of the Frechet distance of these features: "FID by FILE, sha256 ..."."""
    return f"FID by {inception.name}"
