"""Adapting a trained recogniser to images of low resolution: what is measured before its adapters are trained."""

import numpy as np
import torch

from nonesuch.core.seeding import Stream, derive_seed, permutation
from nonesuch.embedders.adapters import AdaptedNetwork
from nonesuch.recognition.samples import FaceSamples
from nonesuch.recognition.training import RecogniserTask

_MOST_IMAGES = 1_024
_BATCH = 64


def measure_quality(
    network: AdaptedNetwork, task: RecogniserTask, samples: FaceSamples, seed: int, device: torch.device
) -> None:
    """Standardise the network's quality by up to 1,024 training images, changed as in a run's first epoch.

    The changed copies are measured, not the images as they are, so that the middle of the scale lies between the coarse
    and the sharp ones.

    Args:
        network: the task's backbone.
        seed: of the run.

    Raises:
        NonesuchError: see `AdaptedNetwork.standardise`.
    """
    rows = permutation(seed, Stream.TRAINING_ORDER, len(samples))[:_MOST_IMAGES]
    norms = []
    for part in np.split(rows, range(_BATCH, len(rows), _BATCH)):
        batch = samples.load(part, [derive_seed(seed, 0, int(row)) for row in part])
        prepared = task.prepared({name: tensor.to(device) for name, tensor in batch.items()})
        norms.append(network.norms(prepared))
    network.standardise(torch.cat(norms))
