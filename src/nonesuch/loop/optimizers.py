"""The optimisers of a training run."""

from typing import Any

import torch
from torch import nn

from nonesuch.loop.settings import TrainSettings

_MOMENTUM = 0.9


def optimizer_of(network: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    """AdamW or SGD over what the network trains; weight decay spares biases and norms."""
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=_MOMENTUM)
    return torch.optim.AdamW(groups, betas=settings.betas)
