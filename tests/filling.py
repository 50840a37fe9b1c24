"""Fills a network from its tensors' names alone, so that published networks can be compared without a checkpoint."""

import math
import zlib

import numpy as np
import torch
from torch import nn


@torch.no_grad()
def fill(module: nn.Module) -> None:
    """Every floating tensor gets standard normal draws of a seed made from its name, scaled by its fan-in."""
    for name, tensor in module.state_dict().items():
        if not tensor.is_floating_point() or tensor.numel() == 0:
            continue
        drawn = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(tuple(tensor.shape)).astype(np.float32)
        leaf = name.rsplit(".", 1)[-1]
        if leaf == "running_var":
            drawn = 1 + 0.1 * np.abs(drawn)
        elif tensor.ndim >= 2 and leaf == "weight":
            drawn = drawn / math.sqrt(np.prod(tensor.shape[1:]))
        elif leaf == "weight":
            drawn = 1 + 0.1 * drawn
        else:
            drawn = 0.1 * drawn
        tensor.copy_(torch.from_numpy(drawn))
