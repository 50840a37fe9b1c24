"""A recogniser's training task: backbone and head on augmented faces."""

from torch import Tensor, nn

from nonesuch.core.training import Batch, Player
from nonesuch.recognition.augmentation import Augmentation
from nonesuch.recognition.heads import MarginHead


class Recogniser(nn.Module):
    """A backbone (B, 3, 112, 112) -> (B, D) and the head it is trained with."""

    def __init__(self, backbone: nn.Module, head: MarginHead) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """The loss of images (B, 3, 112, 112) in [-1, 1] and their classes (B,), a scalar."""
        loss: Tensor = self.head(self.backbone(images), labels)
        return loss


class RecogniserTask:
    """What is trained, and on which changed copies of the images."""

    def __init__(self, network: Recogniser, augmentation: Augmentation) -> None:
        self.network, self.augmentation = network, augmentation

    @property
    def players(self) -> list[Player]:
        """Backbone and head together."""
        return [Player(self.network, self.losses)]

    def losses(self, batch: Batch, seen: int) -> dict[str, Tensor]:
        """The head's loss of one batch of `FaceSamples`."""
        images = batch["pixels"].float() / 127.5 - 1.0
        return {"margin": self.network(self.augmentation.apply(images, batch["draws"]), batch["labels"])}
