import pytest
import torch
from torch import nn

from nonesuch.generators.discriminator import PatchDiscriminator, adaptive_weight


def test_published_shape() -> None:
    discriminator = PatchDiscriminator()
    assert discriminator(torch.zeros(2, 3, 112, 112)).shape == (2, 1, 11, 11)
    assert [tuple(convolution.weight.shape) for convolution in discriminator.stem] == [
        (32, 3, 3, 3), (16, 3, 7, 7), (16, 3, 15, 15),
    ]  # fmt: skip
    assert [stage.down.out_channels for stage in discriminator.stages] == [128, 256, 512]
    assert all(stage.norm.num_groups == 8 for stage in discriminator.stages)


class _Means(PatchDiscriminator):
    """Scores an image by its mean."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean((1, 2, 3), keepdim=True)


def test_losses_by_hand() -> None:
    real, fake = (torch.tensor(means)[:, None, None, None].expand(2, 3, 8, 8) for means in ([1.0, 0.0], [0.0, 2.0]))
    found = _Means().losses(real, fake, seen=0)
    assert float(found["discriminator"]) == pytest.approx(0.5 * (0.5 + 2.0))
    assert _Means().unconvinced(fake).tolist() == [0.0, -2.0]


def test_adaptive_weight_by_hand() -> None:
    last = nn.Parameter(torch.tensor([3.0, 4.0]))
    reconstruction, adversarial = (last * torch.tensor([6.0, 8.0])).sum(), (last * torch.tensor([0.0, 2.0])).sum()
    assert float(adaptive_weight(reconstruction, adversarial, last)) == pytest.approx(0.8 * 10 / 2.0001)
    assert not adaptive_weight(reconstruction, adversarial, last).requires_grad
