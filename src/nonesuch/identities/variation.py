"""Several images of one identity: Gaussian perturbation of its vector (Vec2Face, section 3.3)."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nonesuch.core import seeding
from nonesuch.core.errors import NonesuchError
from nonesuch.core.seeding import Stream


def parse_sigma_mix(text: str) -> dict[float, float]:
    """ "0.3:40,0.5:40,0.7:20" -> {0.3: 0.4, 0.5: 0.4, 0.7: 0.2}; one number alone is the sigma of all images.

    Raises:
        NonesuchError: not of that form, a negative number, or shares that sum to 0.
    """
    try:
        pairs = [part.split(":") for part in text.split(",")]
        mix = {float(pair[0]): float(pair[1]) if len(pair) > 1 else 1.0 for pair in pairs}
    except ValueError as error:
        raise NonesuchError(f"--sigma {text}: write sigma:share,..., such as 0.3:40,0.5:40,0.7:20") from error
    total = sum(mix.values())
    numbers = [*mix.keys(), *mix.values()]
    if not np.isfinite(numbers).all() or min(numbers) < 0 or total <= 0:
        raise NonesuchError(f"--sigma {text}: sigmas and shares must be finite, not negative, and not all 0")
    return {sigma: share / total for sigma, share in mix.items()}


def stratified_sigmas(mix: Mapping[float, float], count: int, seed: int) -> NDArray[np.float32]:
    """Each image's sigma, so that every identity has the mix's shares as nearly as `count` allows.

    Largest remainders get the images that do not divide evenly; which images get which sigma belongs to `seed`.

    Returns:
        (count,) float32.
    """
    shares = np.array(list(mix.values())) * count
    counts = np.floor(shares + 1e-9).astype(int)
    # A seeded tie-break: without it the first sigma would get every identity's leftover image.
    ties = seeding.uniform(seed, Stream.SIGMA_ORDER, len(shares) + count)
    leftover = np.lexsort([ties[: len(shares)], -np.round(shares - counts, 9)])[: count - counts.sum()]
    counts[leftover] += 1
    sigmas = np.repeat(np.array(list(mix), dtype=np.float32), counts)
    return sigmas[np.argsort(ties[len(shares) :], kind="stable")]


def perturb(base: NDArray[np.float32], sigma: float, seed: int, vector_scale: float) -> NDArray[np.float32]:
    """One image's vector: noise of `sigma` per dimension in the generator's scale, then the base's norm again.

    Args:
        base: (D,) raw identity vector.
        sigma: standard deviation in scaled units (raw * vector_scale).
        seed: of the image.

    Returns:
        (D,) raw vector.
    """
    if sigma == 0:
        return base
    noise = seeding.normal(seed, Stream.PERTURBATION, len(base)) * (sigma / vector_scale)
    moved = base + noise
    return (moved * (np.linalg.norm(base) / np.linalg.norm(moved))).astype(np.float32)
