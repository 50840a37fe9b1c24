"""Accuracy under a time limit for the whole pipeline on one core, as WebFace260M's FRUITS protocol sets it."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nonesuch.core.devices import one_core
from nonesuch.core.seeding import Stream, derive_seed, permutation
from nonesuch.embedders.embedder import Embedder
from nonesuch.evaluation.benchmarks import Benchmark
from nonesuch.evaluation.probes import Embedded, raw_embeddings
from nonesuch.formats.photographs import Photograph
from nonesuch.perception.detection import Detector
from nonesuch.perception.faces import aligned_face

LIMITS = (100, 500, 1000)  # milliseconds (Zhu et al., arXiv 2103.04098)
_MEASURED = 48
_WARM_UP = 3  # first runs allocate what later ones reuse
_HEADLINES = ("accuracy", "eer", "tar", "rank", "map", "tpir")


def pipeline_milliseconds(
    photographs: Sequence[Photograph],
    embedder: Embedder,
    detector: Detector | None,
    flip: bool = True,
    always_align: bool = False,
    landmarks: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """The time that images take on one core, from their bytes to their embedding, one at a time.

    It is the processor's time (user and system), so that other work on the machine does not count. It includes reading,
    decoding, detection and alignment where an image needs them, and embedding, with the mirror image if `flip`. It
    excludes loading the models, waiting for the disk, and comparing.

    Args:
        embedder, detector: on the CPU; an ONNX session of one thread.
        flip, always_align, landmarks: as in `embed_images`.

    Returns:
        (M,) milliseconds of at most 48 images, evenly spread over the test.
    """
    rows = np.unique(np.linspace(0, len(photographs) - 1, _MEASURED).astype(np.int64))
    found = []
    with one_core(torch.device("cpu")):
        for row in [*rows[:1].repeat(_WARM_UP), *rows]:
            started = time.process_time()
            points = None if landmarks is None else landmarks[row]
            crop, _ = aligned_face(photographs[row], detector, always_align, points)
            if crop is not None:
                raw_embeddings(embedder, crop[None], flip)
            found.append(1000.0 * (time.process_time() - started))
    return np.array(found[_WARM_UP:])


def time_limit_figures(test: Benchmark, found: Embedded, milliseconds: NDArray[np.float64]) -> dict[str, Any]:
    """A test's figures under each time limit.

    The share of the measured images that take longer is refused among all images, drawn at random with a fixed seed.

    Args:
        milliseconds: (M,) of the measured images.

    Returns:
        measured: their number; median_ms, p95_ms; limits: by limit in milliseconds, the share `over` it and the
        figures, or no figures where every image is over it.
    """
    order = permutation(derive_seed(len(found.norm)), Stream.RESAMPLE, len(found.norm))
    limits: dict[str, dict[str, Any]] = {}
    known: dict[float, dict[str, Any]] = {1.0: {}}
    for limit in LIMITS:
        over = float((milliseconds > limit).mean())
        if over not in known:
            refused = np.zeros(len(found.norm), dtype=bool)
            refused[order[: round(over * len(order))]] = True
            figures = test.refusing(found, refused)
            known[over] = {key: figures[key] for key in _HEADLINES if key in figures}
        limits[str(limit)] = {"over": over, **known[over]}
    median, p95 = (float(value) for value in np.percentile(milliseconds, (50, 95)))
    return {"measured": len(milliseconds), "median_ms": median, "p95_ms": p95, "limits": limits}
