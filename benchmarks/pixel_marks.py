"""Invisible marks in the pixels of 112x112 crops: how many of 32 bits are read back, before and after JPEG.

    python benchmarks/pixel_marks.py DATASET

Needs the PyPI packages invisible-watermark, opencv-python-headless and PyWavelets, and onnxruntime. Their encoder
refuses images below 256x256 pixels; here its methods are called directly. TrustMark cannot be had offline: its weights
are not in its package.
"""

import io
import sys
from pathlib import Path

import numpy as np
from imwatermark.dwtDctSvd import EmbedDwtDctSvd
from imwatermark.maxDct import EmbedMaxDct
from imwatermark.rivaGan import RivaWatermark
from PIL import Image

from nonesuch.formats.dataset import read_identities

BITS, IMAGES = 32, 100
METHODS = {
    "dwtDct": lambda bits: EmbedMaxDct(bits, wmLen=BITS),
    "dwtDctSvd": lambda bits: EmbedDwtDctSvd(bits, wmLen=BITS),
    "rivaGan": lambda bits: RivaWatermark(bits, BITS),
}


def after_jpeg(pixels: np.ndarray, quality: int | None) -> np.ndarray:
    """The image after JPEG with halved chroma, or as it is for None; BGR as OpenCV has it."""
    if quality is None:
        return pixels
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., ::-1]).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))[..., ::-1].copy()


def main(dataset: Path) -> None:
    """Print a row for each method."""
    RivaWatermark.loadModel()
    found = read_identities(dataset, IMAGES, IMAGES)
    crops = np.concatenate([identity.images for identity in found])[:IMAGES, ..., ::-1]
    print("| method | PSNR, dB | read whole | JPEG 95 | JPEG 75 | bits right at JPEG 75 |\n|---|---|---|---|---|---|")
    for name, method in METHODS.items():
        rng, noise = np.random.default_rng(0), []
        right: dict[int | None, list[np.ndarray]] = {None: [], 95: [], 75: []}
        for crop in crops:
            bits = rng.integers(0, 2, BITS).tolist()
            marked = np.clip(method(bits).encode(crop.copy()), 0, 255).astype(np.uint8)
            noise.append(10 * np.log10(255**2 / np.mean((crop.astype(float) - marked) ** 2)))
            for quality, rows in right.items():
                read = np.asarray(method([0] * BITS).decode(after_jpeg(marked, quality))).astype(int)
                rows.append(read == bits)
        whole = [f"{np.mean([row.all() for row in rows]):.0%}" for rows in right.values()]
        print(f"| {name} | {np.mean(noise):.1f} | {' | '.join(whole)} | {np.mean(right[75]):.1%} |", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
