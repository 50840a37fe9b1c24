"""How much detail do faces have, and is it a grid? Power spectra of faces, beside those of photographs.

    python benchmarks/detail.py lfw112.tar celeba112.tar --generator vec2face_small --generator idiff_small \\
        --out spectra.png

Spectra are of grey crops, less their mean, under a Hann window; k counts waves across 112 pixels. Detail is the mean
power at 24 to 56 waves of at least 8 in both directions. Stripes lie on the axes (no wave in the other direction), so
the ratio of the power there to the detail tells a grid, which the variance of the Laplacian takes for detail. A pattern
that is locked to pixels survives in the mean image: its high pass is the standard deviation of the mean image less
itself blurred by 2 pixels, in grey levels; of photographs it is what the alignment leaves. No photograph is shown.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from rich.console import Console
from rich.table import Table
from sampled_people import sample_people
from scipy.ndimage import gaussian_filter

from nonesuch import load_embedder, load_generator
from nonesuch.audit.judges.pixels import luminance
from nonesuch.core.allocator import keep_memory
from nonesuch.formats.readers import find
from nonesuch.generators.generator import to_grey_levels

SIDE = 112
WAVES = np.abs(np.fft.fftfreq(SIDE) * SIDE)
ACROSS, DOWN = np.meshgrid(WAVES, WAVES)
RADIUS = np.hypot(ACROSS, DOWN)
FINE = (RADIUS >= 24) & (RADIUS <= 56)
ON_AXIS = np.minimum(ACROSS, DOWN) == 0
OFF_AXIS = np.minimum(ACROSS, DOWN) >= 8
BLUR = 2.0  # pixels


def power(crops: np.ndarray) -> np.ndarray:
    """(112, 112) mean power spectrum of (N, 112, 112, 3) crops."""
    window = np.hanning(SIDE)
    total = np.zeros((SIDE, SIDE))
    for grey in luminance(crops).astype(float):
        total += np.abs(np.fft.fft2((grey - grey.mean()) * np.outer(window, window))) ** 2
    return total / len(crops)


def detail(crops: np.ndarray) -> dict[str, float]:
    """The figures of the table."""
    spectrum = power(crops)
    mean_image = luminance(crops).astype(float).mean(0)
    fine = float(spectrum[FINE & OFF_AXIS].mean())
    return {
        "detail": fine,
        "axis / detail": float(spectrum[FINE & ON_AXIS].mean()) / fine,
        "high pass of the mean image": float((mean_image - gaussian_filter(mean_image, BLUR)).std()),
    }


def curves(spectrum: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Waves, and mean power on and off the axes."""
    waves = np.arange(8, 57)
    near = np.rint(RADIUS)
    on = np.array([spectrum[(near == k) & ON_AXIS].mean() for k in waves])
    off = np.array([spectrum[(near == k) & OFF_AXIS].mean() if k >= 12 else np.nan for k in waves])
    return waves, on, off


def plot_spectra(faces: dict[str, np.ndarray], path: Path) -> None:
    """Mean power on and off the axes against waves, a curve for each set of crops."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained", sharey=True)
    for name, crops in faces.items():
        waves, on, off = curves(power(crops))
        for axis, values in zip(axes, (on, off), strict=True):
            axis.semilogy(waves, values, label=name, linewidth=1)
    axes[0].set_title("on the axes (stripes)", fontsize=9)
    axes[1].set_title("off the axes (detail)", fontsize=9)
    axes[1].legend(fontsize=8)
    figure.supxlabel("waves across 112 pixels", fontsize=9)
    figure.supylabel("power", fontsize=9)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def drawn_by(name: str, count: int) -> np.ndarray:
    """Images of sampled people, one each."""
    generator = load_generator(name, "cpu")
    embedder = load_embedder(generator.card.embedder, "cpu")
    vectors = sample_people(name, generator, embedder, count, 0)
    return to_grey_levels(generator.render(vectors, np.arange(count, dtype=np.uint64), 16))


def read(source: Path, count: int) -> np.ndarray:
    """Crops of a labelled source, spread over it."""
    found = find(source)
    return np.stack([found[row].read_crop() for row in np.linspace(0, len(found) - 1, count).astype(int)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", type=Path, nargs="*", help="faces in any form that nonesuch reads")
    parser.add_argument("--generator", action="append", default=[], help="a name or a weight file; repeatable")
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--out", type=Path, required=True, help="PNG of the spectra")
    options = parser.parse_args()
    keep_memory()
    table = Table("faces", "detail", "axis / detail", "high pass of the mean image")
    faces = {source.name: read(source, options.images) for source in options.sources}
    faces |= {Path(name).name: drawn_by(name, options.images) for name in options.generator}
    for name, crops in faces.items():
        row = detail(crops)
        table.add_row(name, f"{row['detail']:,.0f}", *(f"{row[key]:.1f}" for key in list(row)[1:]))
    plot_spectra(faces, options.out)
    Console().print(table)


if __name__ == "__main__":
    main()
