"""Images in a grid, such as one row per identity."""

from pathlib import Path

import numpy as np
from PIL import Image

from nonesuch.core import files
from nonesuch.core.images import Pixels

_GAP = 2
_WHITE = 255


def contact_sheet(rows: list[list[Pixels]]) -> Pixels:
    """Lay images out in a grid, with a thin white gap.

    Args:
        rows: images of one size, (H, W, 3) uint8; rows may differ in length.

    Returns:
        (rows * H, longest row * W, 3) uint8, plus the gaps.
    """
    height, width = rows[0][0].shape[:2]
    longest = max(len(row) for row in rows)
    shape = (len(rows) * (height + _GAP) - _GAP, longest * (width + _GAP) - _GAP, 3)
    sheet = np.full(shape, _WHITE, dtype=np.uint8)
    for i, row in enumerate(rows):
        for j, image in enumerate(row):
            top, left = i * (height + _GAP), j * (width + _GAP)
            sheet[top : top + height, left : left + width] = image
    return sheet


def write_contact_sheet(rows: list[list[Pixels]], path: Path) -> None:
    """Write the grid as PNG; raises NonesuchError where it cannot be written."""
    with files.replacing(path) as temporary:
        Image.fromarray(contact_sheet(rows)).save(temporary, "PNG")
