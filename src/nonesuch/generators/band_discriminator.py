"""A discriminator that sees detail by itself: wavelet bands at two scales beside the image.

Patches of the whole image are told apart by their coarse structure first, and a generator that lacks detail, or makes
it of stripes, gets little from them. Bands hold nothing but detail, as in SWAGAN (arXiv 2102.06108).
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nonesuch.core.augmentation import jittered
from nonesuch.loop import distributed

_SLOPE = 0.2
_CUT = 8  # pixels a side: as many as the coarsest bands' strides span
_PENALISED_EVERY, _PENALISED = 16, 8  # batches, and images of such a batch (lazy R1, arXiv 1912.04958, appendix B)


def haar_bands(images: Tensor) -> Tensor:
    """The three high bands of a Haar transform: (B, C, H, W) -> (B, 3C, H / 2, W / 2).

    Differences across, down and diagonal within each 2x2 block, twice those of the orthonormal transform.
    """
    a, b = images[..., ::2, ::2], images[..., ::2, 1::2]
    c, d = images[..., 1::2, ::2], images[..., 1::2, 1::2]
    return torch.cat([a - b + c - d, a + b - c - d, a - b - c + d], dim=1)


def _tower(in_width: int, widths: Sequence[int]) -> nn.Sequential:
    """Halves the resolution for each width after the first; logits of patches. No norms: they hide contrast."""
    layers: list[nn.Module] = [nn.Conv2d(in_width, widths[0], 3, padding=1), nn.LeakyReLU(_SLOPE)]
    for narrow, wide in pairwise(widths):
        layers += [nn.Conv2d(narrow, wide, 4, 2, 1), nn.LeakyReLU(_SLOPE)]
        layers += [nn.Conv2d(wide, wide, 3, padding=1), nn.LeakyReLU(_SLOPE)]
    return nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 3, padding=1))


def _cut(images: Tensor) -> Tensor:
    """A window that begins at random, of all images the same, 8 pixels narrower and lower than they are.

    Strides that always fall on the same pixels teach a generator a pattern that is locked to them.
    """
    down, right = torch.randint(_CUT, (2,)).tolist()
    height, width = images.shape[2] - _CUT, images.shape[3] - _CUT
    return images[:, :, down : down + height, right : right + width]


class BandDiscriminator(nn.Module):
    """(B, 3, 112, 112) images in [-1, 1] -> logits of patches of their bands, of the bands at half the size, and of the
    images themselves; high for real.

    The losses are logistic (arXiv 1406.2661, the non-saturating form) with a penalty on the gradient at photographs
    (R1, arXiv 1801.04406). Adaptive augmentation (arXiv 2006.06676): both kinds of image are moved and recoloured, each
    with a probability that grows while photographs are recognised too surely.

    Args:
        bands, whole: channels of the towers that see bands, and of the one that sees images.
        penalty: weight of R1, gamma of the paper.
        sure: share of photographs' patches above 0 less that below, from which augmentation grows; 1 for none.
        least: probability that augmentation begins at and never falls below. Strides that always fall on the same
            pixels teach a generator a pattern of two pixels: of two trials without and with moved images, axis power
            was 43 and 21 times the detail (the second had half the adversarial weight, too).
        adapts_over: images over which the probability rises from 0 to 1 at most.
    """

    probability: Tensor

    def __init__(
        self,
        bands: Sequence[int] = (32, 64, 96),
        whole: Sequence[int] = (48, 64, 96, 128),
        penalty: float = 1.0,
        sure: float = 0.6,
        least: float = 0.6,
        adapts_over: int = 50_000,
    ) -> None:
        super().__init__()
        self.penalty, self.sure, self.least, self.adapts_over = penalty, sure, least, adapts_over
        self.fine, self.coarse, self.whole = _tower(9, bands), _tower(9, bands), _tower(12, whole)
        self.register_buffer("probability", torch.tensor(least))

    def forward(self, images: Tensor) -> list[Tensor]:
        halved = F.avg_pool2d(images, 2)
        return [
            self.fine(haar_bands(images)),
            self.coarse(haar_bands(halved)),
            self.whole(F.pixel_unshuffle(images, 2)),
        ]

    def unconvinced(self, fakes: Tensor) -> Tensor:
        """What a generator minimises, per image (B,): softplus(-logit), a mean over patches, summed over towers."""
        logits = self(self._augmented(fakes))
        return torch.stack([F.softplus(-part.float()).mean((1, 2, 3)) for part in logits]).sum(0)

    def losses(self, real: Tensor, fakes: Tensor, seen: int) -> dict[str, Tensor]:
        """What it minimises itself; every so many batches with the penalty."""
        count = len(real)
        logits = [part.float() for part in self(self._augmented(torch.cat([real, fakes])))]
        missed = [F.softplus(-part[:count]).mean() + F.softplus(part[count:]).mean() for part in logits]
        self._adapt(torch.stack([part.detach()[:count].sign().mean() for part in logits]).mean(), count)
        terms = {"discriminator": torch.stack(missed).sum()}
        if self.penalty and seen // count % _PENALISED_EVERY == 0:
            few = min(_PENALISED, count)
            terms["r1"] = 0.5 * self.penalty * _PENALISED_EVERY * self._gradient(real[:few]).mean()
        return terms

    def _gradient(self, real: Tensor) -> Tensor:
        """Squared norm of the logits' gradient at photographs, per image (B,)."""
        images = real.detach().requires_grad_(True)
        with torch.autocast(images.device.type, enabled=False):
            logits = torch.stack([part.float().mean((1, 2, 3)) for part in self(images)]).sum()
        (gradient,) = torch.autograd.grad(logits, images, create_graph=True)
        return gradient.square().sum((1, 2, 3))

    def _augmented(self, images: Tensor) -> Tensor:
        return _cut(images if self.sure >= 1.0 else jittered(images, self.probability))

    def _adapt(self, recognised: Tensor, count: int) -> None:
        if self.sure >= 1.0:
            return
        distributed.average_([recognised])
        step = (recognised - self.sure).sign() * (count * distributed.world_size() / self.adapts_over)
        self.probability.copy_((self.probability + step).clamp(self.least, 1.0))
