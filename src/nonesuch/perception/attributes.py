"""What a face shows: head pose, age, gender, ethnicity, and the 40 attributes of CelebA.

Light heads over the feature maps of a frozen embedder: one learned token per task attends to the maps. The idea is that
of FaceXFormer (arXiv 2403.12960) and Faceptor (arXiv 2403.09500), at a size that a CPU trains in minutes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

AGES = 101  # classes of the age distribution: 0..100 years
ETHNICITIES = ("White", "Black", "Asian", "Indian", "other")
# In the order of CelebA's files, in lower case.
# fmt: off
ATTRIBUTES = (
    "5_o_clock_shadow", "arched_eyebrows", "attractive", "bags_under_eyes", "bald", "bangs", "big_lips",
    "big_nose", "black_hair", "blond_hair", "blurry", "brown_hair", "bushy_eyebrows", "chubby", "double_chin",
    "eyeglasses", "goatee", "gray_hair", "heavy_makeup", "high_cheekbones", "male", "mouth_slightly_open",
    "mustache", "narrow_eyes", "no_beard", "oval_face", "pale_skin", "pointy_nose", "receding_hairline",
    "rosy_cheeks", "sideburns", "smiling", "straight_hair", "wavy_hair", "wearing_earrings", "wearing_hat",
    "wearing_lipstick", "wearing_necklace", "wearing_necktie", "young",
)
# fmt: on Rows and columns of an aligned crop that hold real pixels in nearly all photographs whose age is known; the
# rest of those is streaks copied from the border. The heads learned from them see nothing else, in training and in use.
WINDOW = (33, 18, 110, 95)  # top, left, bottom, right
GREY = 127.5
_POSE_UNIT = 30.0  # degrees per unit of the head's output


class TaskTokens(nn.Module):
    """One learned token per task attends to fused feature maps.

    Args:
        outputs: numbers per task.
        map_widths: channels of the maps at 28x28, 14x14 and 7x7.
        width: channels of the fused map and of the tokens, a multiple of 16 and of `heads`.
        heads: of the attention.

    Shapes: maps (B, C, 28, 28), (B, C, 14, 14), (B, C, 7, 7) -> one (B, outputs[i]) float32 per task.
    """

    def __init__(
        self, outputs: Sequence[int], map_widths: Sequence[int] = (64, 128, 128), width: int = 96, heads: int = 4
    ) -> None:
        super().__init__()
        fine, middle, coarse = map_widths
        self.heads = heads
        self.fine = nn.Conv2d(fine, width, 3, 2, 1)
        self.middle = nn.Conv2d(middle, width, 1)
        self.coarse = nn.Conv2d(coarse, width, 1)
        self.mix = nn.Sequential(
            nn.GroupNorm(width // 16, width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.GroupNorm(width // 16, width),
            nn.SiLU(),
        )
        self.position = nn.Parameter(0.02 * torch.randn(1, 196, width))
        self.tokens = nn.Parameter(0.02 * torch.randn(1, len(outputs), width))
        self.key_value = nn.Linear(width, 2 * width)
        self.norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(0.2), nn.Linear(2 * width, width))
        self.out_norm = nn.LayerNorm(width)
        self.out = nn.ModuleList(nn.Linear(width, count) for count in outputs)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        fine, middle, coarse = maps
        fused = self.fine(fine) + self.middle(middle) + F.interpolate(self.coarse(coarse), scale_factor=2.0)
        places = (fused + self.mix(fused)).flatten(2).transpose(1, 2) + self.position
        (batch, rows, width), tasks = places.shape, self.tokens.shape[1]
        pairs = self.key_value(places).view(batch, rows, 2, self.heads, width // self.heads)
        keys, values = pairs.permute(2, 0, 3, 1, 4)
        queries = self.tokens.view(1, tasks, self.heads, -1).transpose(1, 2).expand(batch, -1, -1, -1)
        with torch.autocast(places.device.type, enabled=False):  # in bfloat16 it is many times slower on a CPU
            seen = F.scaled_dot_product_attention(queries.float(), keys.float(), values.float())
        tokens = self.tokens + seen.transpose(1, 2).reshape(batch, tasks, width)
        tokens = self.out_norm(tokens + self.mlp(self.norm(tokens)))
        return [linear(tokens[:, task]).float() for task, linear in enumerate(self.out)]


@dataclass(frozen=True)
class Perceived:
    """What the heads say about a batch of faces.

    Attributes:
        pose: (B, 2) yaw and pitch in degrees.
        age: (B, 101) logits over years.
        gender: (B,) logit of female.
        ethnicity: (B, 5) logits in the order of `ETHNICITIES`.
        attributes: (B, 40) logits in the order of `ATTRIBUTES`.
    """

    pose: Tensor
    age: Tensor
    gender: Tensor
    ethnicity: Tensor
    attributes: Tensor

    @property
    def years(self) -> Tensor:
        """(B,) expected age in years."""
        return (self.age.softmax(1) * torch.arange(AGES, device=self.age.device)).sum(1)


class AttributeHeads(nn.Module):
    """Heads over two looks at a crop: the whole crop, and what `windowed` leaves of it.

    Each look is the last three maps of `MobileFaceNet.feature_maps`.
    """

    def __init__(self, width: int = 96) -> None:
        super().__init__()
        self.whole = TaskTokens([2] + [1] * len(ATTRIBUTES), width=width)
        self.window = TaskTokens([AGES, 1, len(ETHNICITIES)], width=width)

    def of_whole(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Pose (B, 2) in degrees and attribute logits (B, 40)."""
        pose, *attributes = self.whole(maps)
        return _POSE_UNIT * pose, torch.cat(attributes, dim=1)

    def of_window(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Age logits (B, 101), gender logit (B,), ethnicity logits (B, 5)."""
        age, gender, ethnicity = self.window(maps)
        return age, gender[:, 0], ethnicity


def windowed(pixels: Tensor) -> Tensor:
    """(B, 3, 112, 112) RGB in 0..255 with everything outside `WINDOW` in mean grey."""
    top, left, bottom, right = WINDOW
    inside = torch.zeros(1, 1, *pixels.shape[2:], dtype=torch.bool, device=pixels.device)
    inside[:, :, top:bottom, left:right] = True
    return torch.where(inside, pixels, GREY)
