"""The discriminator that sees wavelet bands: its bands, its losses, its augmentation."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nonesuch.generators.band_discriminator import BandDiscriminator, haar_bands

_GENERATOR = torch.Generator()


def _images(count: int) -> Tensor:
    return torch.rand(count, 3, 16, 16, generator=_GENERATOR.manual_seed(1)) * 2.0 - 1.0


def _plain(count: int) -> Tensor:
    """Images of one colour each."""
    return _images(count)[:, :, :1, :1].expand(-1, -1, 16, 16)


class _Linear(BandDiscriminator):
    """Logits in two places: mean colour times a weight each, plus a bias."""

    def __init__(self, bias: float = 0.0, **options: float) -> None:
        super().__init__(bands=(4, 8), whole=(4, 8), **options)  # type: ignore[arg-type]
        self.bias = bias
        self.weight = nn.Parameter(torch.randn(3, generator=_GENERATOR.manual_seed(2)))

    def forward(self, images: Tensor) -> list[Tensor]:
        logit = (images.mean((2, 3)) @ self.weight)[:, None, None, None] + self.bias
        return [logit, logit.expand(-1, 1, 2, 2)]


def test_bands_and_halved_image_hold_the_whole_energy() -> None:
    images = _images(4)
    orthonormal = haar_bands(images) / 2.0, 2.0 * F.avg_pool2d(images, 2)
    assert float(sum(part.square().sum() for part in orthonormal)) == pytest.approx(float(images.square().sum()))


@pytest.mark.parametrize(("band", "axes"), [(0, (1,)), (1, (0,)), (2, (0, 1))])
def test_stripes_fall_into_one_band(band: int, axes: tuple[int, ...]) -> None:
    """Across, down, and a chessboard: alternating pixels."""
    signs = (-1.0) ** torch.arange(16)
    pattern = torch.ones(16, 16)
    for axis in axes:
        pattern = pattern * signs.view((-1, 1) if axis == 0 else (1, -1))
    energy = haar_bands(pattern.expand(1, 3, 16, 16)).square().sum((0, 2, 3)).view(3, 3).sum(1)
    assert energy[band] > 0
    assert float(energy.sum() - energy[band]) == 0.0


def test_towers_see_every_image_by_itself() -> None:
    torch.manual_seed(0)
    discriminator = BandDiscriminator()
    images = torch.rand(3, 3, 112, 112)
    together, alone = discriminator(images), discriminator(images[:1])
    assert [tuple(part.shape) for part in together] == [(3, 1, 14, 14), (3, 1, 7, 7), (3, 1, 7, 7)]
    for part, only in zip(together, alone, strict=True):
        torch.testing.assert_close(part[:1], only)


def test_losses_by_hand() -> None:
    discriminator, real, fakes = _Linear(sure=1.0, penalty=0.5), _plain(2), _plain(5)[2:]
    weight = discriminator.weight.detach()
    logits = [[float(image[:, 0, 0] @ weight) for image in kind] for kind in (real, fakes)]
    softplus = [math.log1p(math.exp(-x)) for x in logits[0]], [math.log1p(math.exp(x)) for x in logits[1]]
    found = discriminator.losses(real, fakes, seen=2)
    assert set(found) == {"discriminator"}  # the penalty comes with every sixteenth batch
    assert found["discriminator"].item() == pytest.approx(2 * (sum(softplus[0]) / 2 + sum(softplus[1]) / 3), rel=1e-5)
    expected = [2 * math.log1p(math.exp(-x)) for x in logits[1]]
    assert discriminator.unconvinced(fakes).tolist() == pytest.approx(expected, rel=1e-5)
    penalty = discriminator.losses(real, fakes, seen=32)["r1"]
    assert penalty.item() == pytest.approx(0.5 * 0.5 * 16 * 4 * float(weight.square().sum()) / 256, rel=1e-5)
    penalty.backward()
    assert discriminator.weight.grad is not None
    torch.testing.assert_close(discriminator.weight.grad, 0.5 * 16 * 4 * weight / 256)


def test_augmentation_grows_while_photographs_are_recognised() -> None:
    images = _images(8)
    sure, unsure = (_Linear(bias=bias, adapts_over=80, penalty=0.0, least=0.25) for bias in (1e4, -1e4))
    for batch in range(3):
        for discriminator in (sure, unsure):
            discriminator.losses(images, images, seen=8 * batch)
    assert float(sure.probability) == pytest.approx(0.25 + 0.3)
    assert float(unsure.probability) == 0.25
    assert "probability" in sure.state_dict()  # so that a resumed run goes on with it


class _Window(BandDiscriminator):
    """Remembers where the images that it is shown begin: a pixel's value is its place."""

    def __init__(self) -> None:
        super().__init__(bands=(4, 8), whole=(4, 8), sure=1.0)
        self.begun: set[int] = set()

    def forward(self, images: Tensor) -> list[Tensor]:
        assert images.shape == (4, 3, 104, 104)
        assert len(set(images[:, 0, 0, 0].tolist())) == 1  # real and fakes alike
        self.begun.add(int(images[0, 0, 0, 0]))
        return [images.mean((1, 2, 3), keepdim=True)]


def test_windows_begin_anywhere_so_that_strides_favour_no_pixel() -> None:
    torch.manual_seed(0)
    places = torch.arange(112 * 112.0).view(1, 1, 112, 112).expand(2, 3, -1, -1)
    discriminator = _Window()
    for batch in range(1, 120):
        discriminator.losses(places, places, seen=2 * (16 * batch + 1))
    rows, columns = zip(*(divmod(place, 112) for place in discriminator.begun), strict=True)
    assert set(rows) == set(columns) == set(range(8))
