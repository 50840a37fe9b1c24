"""Simulated drawings: the lines of an aligned photograph, in the order in which a hand might draw them.

No person drew them. Lines lie where the photograph is darker than around, by a difference of Gaussians as in XDoG
(Winnemöller, Kyprianidis and Olsen, Computers & Graphics 36, 2012); what is drawn first is told by the template that
all crops are aligned to.
"""

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from nonesuch.core.images import CROP_SIZE, Pixels
from nonesuch.perception.alignment import TEMPLATE

REGIONS = ("hair", "outline", "nose", "mouth", "eyes")  # in the order in which they are drawn
_AT_ONCE = 256  # crops whose lines are found together
_GREY = (0.299, 0.587, 0.114)  # shares of red, green and blue
_FINE, _COARSE = 1.0, 1.6  # pixels, of both Gaussians
_AROUND = 10.0  # pixels, of the Gaussian that tells how strong lines are nearby
# Grey levels of 0..1. The first keeps noise of even areas from growing into lines, the second is the faintest line.
_EVEN, _FAINTEST = 0.012, 0.004
_INK = 0.15  # share of the pixels that are lines, before specks go
_SPECK_SIDE, _SPECK = 7, 10  # ink with fewer ink pixels than this, itself included, in a square around it goes
_HEAD = (56.0, 60.0, 56.0, 66.0)  # ellipse that holds a head: its middle and its radii, in pixels
_FACE = (56.0, 64.0, 36.0, 48.0)  # the same of a face


def drawing_order(crops: Pixels) -> Tensor:
    """The share of a drawing that is done once a pixel is drawn.

    Hair comes first, then outline, nose, mouth and eyes: hair and outline by the angle around the face, the nose from
    top to bottom, mouth and eyes from left to right. Every pixel of ink takes as long as another.

    Args:
        crops: (N, 112, 112, 3) uint8, aligned.

    Returns:
        (N, 112, 112) float32 in (0, 1], inf where there is no ink. Equal crops give equal drawings.
    """
    parts = [torch.zeros(0, CROP_SIZE, CROP_SIZE)]
    for start in range(0, len(crops), _AT_ONCE):
        ink = _lines(torch.from_numpy(crops[start : start + _AT_ONCE])).flatten(1)
        sequence = torch.argsort(_sequence().flatten(), stable=True)
        drawn = ink[:, sequence].cumsum(1)
        share = drawn / drawn[:, -1:].clamp(min=1)
        order = torch.full(ink.shape, math.inf)
        order[:, sequence] = share.masked_fill(~ink[:, sequence], math.inf)
        parts.append(order.unflatten(1, (CROP_SIZE, CROP_SIZE)))
    return torch.cat(parts)


def drawn_until(order: Tensor, step: int, steps: int) -> Pixels:
    """Drawings at one step, black on white.

    Args:
        order: (N, 112, 112) of `drawing_order`.
        step, steps: which one, from 1, of how many; at the last one all is drawn.

    Returns:
        (N, 112, 112, 3) uint8.
    """
    # Shares are counts of pixels, so that a step's limit may fall on one; rounding must not decide.
    white = (order > step / steps + 1e-6).to(torch.uint8) * 255
    return white[..., None].expand(-1, -1, -1, 3).contiguous().numpy()


def _lines(crops: Tensor) -> Tensor:
    """(N, 112, 112, 3) uint8 -> (N, 112, 112) bool, where ink is."""
    grey = (crops.float() / 255.0 @ torch.tensor(_GREY))[:, None]
    darker = _blurred(grey, _COARSE) - _blurred(grey, _FINE)
    strength = darker / (_blurred(darker.abs(), _AROUND) + _EVEN)
    least = torch.quantile(strength.flatten(1), 1.0 - _INK, dim=1)[:, None, None, None]
    ink = (strength > least) & (darker > _FAINTEST)
    pad = _SPECK_SIDE // 2
    near = F.avg_pool2d(ink.float(), _SPECK_SIDE, 1, pad) * _SPECK_SIDE**2
    return (ink & (near > _SPECK - 0.5))[:, 0] & (_radius(*_HEAD) <= 1.0)


def _blurred(image: Tensor, sigma: float) -> Tensor:
    """(N, 1, H, W) under a Gaussian; what lies beyond an edge is like the edge."""
    reach = math.ceil(3.0 * sigma)
    weights = torch.exp(-torch.arange(-reach, reach + 1).float().square() / (2.0 * sigma**2))
    weights = (weights / weights.sum())[None, None, None]
    image = F.conv2d(F.pad(image, (reach, reach, 0, 0), mode="replicate"), weights)
    return F.conv2d(F.pad(image, (0, 0, reach, reach), mode="replicate"), weights.transpose(2, 3))


def _grid() -> tuple[Tensor, Tensor]:
    """x and y of each pixel, (112, 112) each."""
    y, x = torch.meshgrid(torch.arange(CROP_SIZE).float(), torch.arange(CROP_SIZE).float(), indexing="ij")
    return x, y


def _radius(middle_x: float, middle_y: float, wide: float, high: float) -> Tensor:
    """(112, 112) distance from the middle of an ellipse, 1 on its edge."""
    x, y = _grid()
    return torch.hypot((x - middle_x) / wide, (y - middle_y) / high)


def _regions() -> Tensor:
    """(112, 112) int64 places in `REGIONS`."""
    x, y = _grid()
    (left, eyes), (right, _), (middle, nose), (mouth_left, mouth), (mouth_right, _) = TEMPLATE.tolist()
    around = _radius(*_FACE)
    found = torch.ones(CROP_SIZE, CROP_SIZE, dtype=torch.int64)
    found[(around > 1.2) | ((y < eyes - 15) & (around > 0.75))] = 0
    found[((x - middle).abs() < 13) & (y > eyes - 8) & (y < nose + 9)] = 2
    found[(x > mouth_left - 9) & (x < mouth_right + 9) & (y >= nose + 9) & (y < mouth + 10)] = 3
    beside = ((x - left).abs() < 15) | ((x - right).abs() < 15)
    found[beside & (y > eyes - 17) & (y < eyes + 9)] = 4
    return found


@cache
def _sequence() -> Tensor:
    """(112, 112) which pixel comes before which: the whole number is the region, the rest the way through it."""
    x, y = _grid()
    regions = _regions()
    middle_x, middle_y = _FACE[:2]
    over = torch.atan2(x - middle_x, middle_y - y) / (2.0 * math.pi) + 0.5  # from below left over the top
    under = torch.atan2(x - middle_x, y - middle_y) / (2.0 * math.pi) + 0.5  # from above left under the chin
    ways = torch.stack([over, under, y / CROP_SIZE, x / CROP_SIZE, x / CROP_SIZE])
    return regions + 0.999 * ways.gather(0, regions[None])[0]
