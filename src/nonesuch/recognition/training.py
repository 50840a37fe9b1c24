"""A recogniser's training task: backbone and head on augmented faces."""

import torch
from torch import Tensor, nn

from nonesuch.core.training import Batch, Player
from nonesuch.recognition.augmentation import Augmentation
from nonesuch.recognition.heads import mirrored_halves, symmetry


class Recogniser(nn.Module):
    """A backbone (B, 3, 112, 112) -> (B, D) and the head it is trained with."""

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head


class RecogniserTask:
    """What is trained, and on which changed copies of the images.

    Args:
        network: backbone and head.
        augmentation: of the images.
        symmetry: weight of SymFace's term, which costs two more looks at each image; 0 to leave it out.
    """

    def __init__(self, network: Recogniser, augmentation: Augmentation, symmetry: float = 0.0) -> None:
        self.network, self.augmentation, self.symmetry = network, augmentation, symmetry

    @property
    def players(self) -> list[Player]:
        """Backbone and head together."""
        return [Player(self.network, self.losses)]

    def losses(self, batch: Batch, seen: int) -> dict[str, Tensor]:
        """The head's loss of one batch of `FaceSamples`, and SymFace's term."""
        with torch.autocast(batch["pixels"].device.type, enabled=False):  # it would round where crops lie
            images = self.augmentation.apply(batch["pixels"].float() / 127.5 - 1.0, batch["draws"])
        if not self.symmetry:
            return {"head": self.network.head(self.network.backbone(images), batch["labels"])}
        # One look at all three, so that batch norm has one set of statistics.
        whole, left, right = self.network.backbone(torch.cat([images, *mirrored_halves(images)])).chunk(3)
        return {"head": self.network.head(whole, batch["labels"]), "symmetry": self.symmetry * symmetry(left, right)}
