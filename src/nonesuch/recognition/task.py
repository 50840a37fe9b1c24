"""A recogniser's training task: backbone and head on augmented faces."""

import torch
from torch import Tensor, nn

from nonesuch.embedders.embedder import Preprocessing
from nonesuch.loop.trainer import Batch, Player
from nonesuch.recognition.augmentation import Augmentation
from nonesuch.recognition.heads import mirrored_halves, symmetry


class Recogniser(nn.Module):
    """A backbone, prepared images (B, 3, H, W) -> (B, D), and the head it is trained with."""

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head


class RecogniserTask:
    """The networks to train, and the changed copies of images to train them on.

    Args:
        network: backbone and head.
        augmentation: of the images.
        symmetry: weight of SymFace's term, which costs two more looks at each image; 0 to leave it out.
        preprocessing: what the backbone takes; None for RGB in [-1, 1].
    """

    def __init__(
        self,
        network: Recogniser,
        augmentation: Augmentation,
        symmetry: float = 0.0,
        preprocessing: Preprocessing | None = None,
    ) -> None:
        self.network, self.augmentation, self.symmetry = network, augmentation, symmetry
        self.preprocessing = preprocessing

    @property
    def players(self) -> list[Player]:
        """Backbone and head together."""
        return [Player(self.network, self.losses)]

    def prepared(self, batch: Batch) -> Tensor:
        """The backbone's input for a batch of `FaceSamples`: changed copies of the images, prepared for it."""
        with torch.autocast(batch["pixels"].device.type, enabled=False):  # it would round where crops lie
            images = self.augmentation.apply(batch["pixels"].float() / 127.5 - 1.0, batch["draws_here"])
            return images if self.preprocessing is None else self.preprocessing.apply(127.5 * (images + 1.0))

    def losses(self, batch: Batch, seen: int) -> dict[str, Tensor]:
        """The head's loss of one batch of `FaceSamples`, and SymFace's term."""
        images = self.prepared(batch)
        if not self.symmetry:
            return {"head": self.network.head(self.network.backbone(images), batch["labels"])}
        # One look at all three, so that batch norm has one set of statistics.
        whole, left, right = self.network.backbone(torch.cat([images, *mirrored_halves(images)])).chunk(3)
        return {"head": self.network.head(whole, batch["labels"]), "symmetry": self.symmetry * symmetry(left, right)}
