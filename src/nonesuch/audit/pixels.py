"""Stand-in until the measures land."""

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.images import Pixels

MEASURES = ("sharpness", "brightness", "contrast", "clipped", "light")
VERSION = "0"


def measures(crops: Pixels) -> dict[str, NDArray[np.float32]]:
    """Measures."""
    grey = crops.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    laplacian = (
        grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:] - 4 * grey[:, 1:-1, 1:-1]
    )
    return {
        "sharpness": laplacian.var((1, 2)),
        "brightness": grey.mean((1, 2)),
        "contrast": grey.std((1, 2)),
        "clipped": ((grey < 3) | (grey > 252)).mean((1, 2), dtype=np.float32),
        "light": grey[:, 20:100, 20:56].mean((1, 2)) - grey[:, 20:100, 56:92].mean((1, 2)),
    }
