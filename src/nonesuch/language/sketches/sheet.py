"""A picture of some searches with unfinished drawings."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from nonesuch.core.images import Pixels
from nonesuch.core.seeding import Stream, derive_seed, permutation
from nonesuch.formats.photographs import Photograph
from nonesuch.language.sketches.line_drawing import drawing_order, drawn_until
from nonesuch.pages.contact_sheet import write_contact_sheet

FINDS = 3  # photographs that are shown of each search
_ROWS, _SHOWN = 8, 4  # photographs of a sheet, and steps of each
_FRAME, _RIGHT = 3, (0, 150, 60)  # pixels and colour around the right one


def write_sheet(
    photographs: list[Photograph], ranks: NDArray[np.int64], first: NDArray[np.int64], seed: int, path: Path
) -> None:
    """Write a row for each of eight photographs: itself, then at four steps its drawing and the first finds.

    The rank of the right photograph stands on each drawing; among the finds it has a frame.

    Args:
        photographs: N of them.
        ranks: (N, steps) of each at each step of its drawing.
        first: (N, steps, 3) which photographs were found first.
        seed: of which photographs are shown.
        path: of the PNG.
    """
    steps = ranks.shape[1]
    shown = sorted({max(steps * part // _SHOWN, 1) for part in range(1, _SHOWN + 1)})
    rows = []
    for number in permutation(derive_seed(seed), Stream.OTHER, len(photographs))[:_ROWS]:
        crop = photographs[number].read_crop()
        order, row = drawing_order(crop[None]), [crop]
        for step in shown:
            row.append(_numbered(drawn_until(order, step, steps)[0], int(ranks[number, step - 1])))
            for found in first[number, step - 1]:
                image = photographs[found].read_crop()
                row.append(_framed(image) if found == number else image)
        rows.append(row)
    write_contact_sheet(rows, path)


def _numbered(drawing: Pixels, rank: int) -> Pixels:
    image = Image.fromarray(drawing)
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(size=13)
    pen.rectangle((0, 0, pen.textlength(str(rank), font) + 6, 17), fill="white")
    pen.text((3, 1), str(rank), _RIGHT if rank == 1 else "black", font)
    return np.array(image)


def _framed(image: Pixels) -> Pixels:
    framed = image.copy()
    framed[:_FRAME] = framed[-_FRAME:] = _RIGHT
    framed[:, :_FRAME] = framed[:, -_FRAME:] = _RIGHT
    return framed
