"""The distribution of identity vectors: the mean and principal axes of real people's mean embeddings."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as serialize

from nonesuch.core import files
from nonesuch.core.errors import NonesuchError
from nonesuch.core.notices import notice
from nonesuch.measures.grouping import group_means


@dataclass(frozen=True)
class Statistics:
    """A Gaussian over raw identity vectors.

    Attributes:
        mean: (D,) mean over people.
        axes: (K, D) orthonormal principal axes, largest spread first.
        spread: (K,) standard deviation along each.
        embedder_sha256: hash of the embedder's weights.
        people: number of people it was fitted on.
    """

    mean: NDArray[np.float32]
    axes: NDArray[np.float32]
    spread: NDArray[np.float32]
    embedder_sha256: str
    people: int


def fit(vectors: NDArray[np.float32], labels: list[str], embedder_sha256: str) -> Statistics:
    """Fit on person means (Vec2Face, appendix A.1): each person counts once, however many images there are.

    Warns where there are not more people than dimensions.

    Args:
        vectors: (N, D) raw embeddings.
        labels: (N,) who each shows.

    Raises:
        NonesuchError: fewer than two people.
    """
    names, rows = np.unique(np.array(labels), return_inverse=True)
    if len(names) < 2:
        raise NonesuchError("identity statistics need images of at least two people")
    if len(names) <= vectors.shape[1]:
        notice(
            f"identity statistics of {len(names)} people span {len(names) - 1} of {vectors.shape[1]} dimensions; "
            "people sampled from them are mixtures of these; take more people"
        )
    means = group_means(vectors, rows, np.float64)
    centre = means.mean(0)
    _, singular, axes = np.linalg.svd(means - centre, full_matrices=False)
    spread = singular / np.sqrt(len(names) - 1)
    return Statistics(
        centre.astype(np.float32), axes.astype(np.float32), spread.astype(np.float32), embedder_sha256, len(names)
    )


def save(statistics: Statistics, path: Path) -> None:
    """Write as safetensors.

    Raises:
        NonesuchError: the place cannot be written.
    """
    tensors = {"mean": statistics.mean, "axes": statistics.axes, "spread": statistics.spread}
    metadata = {"embedder_sha256": statistics.embedder_sha256, "people": str(statistics.people)}
    with files.replacing(path) as temporary:
        temporary.write_bytes(serialize({name: np.ascontiguousarray(v) for name, v in tensors.items()}, metadata))


def load(path: Path) -> Statistics:
    """Read what `save` wrote.

    Raises:
        NonesuchError: the file is missing, damaged, or holds no identity statistics.
    """
    if not path.is_file():
        raise NonesuchError(f"{path}: no such statistics file; make one with 'nonesuch statistics'")
    try:
        with safe_open(path, framework="numpy") as handle:
            metadata = handle.metadata() or {}
            mean, axes, spread = (handle.get_tensor(name) for name in ("mean", "axes", "spread"))
            if mean.ndim != 1 or axes.shape != (len(spread), len(mean)) or spread.ndim != 1:
                raise ValueError("their shapes do not fit")
            if not all(part.dtype.kind == "f" and np.isfinite(part).all() for part in (mean, axes, spread)):
                raise ValueError("they hold NaN, infinity or no numbers")
            return Statistics(mean, axes, spread, metadata["embedder_sha256"], int(metadata["people"]))
    except (SafetensorError, KeyError, OSError, ValueError) as error:
        raise NonesuchError(f"{path}: not a file of identity statistics ({error})") from error
