"""Loss curves of training runs, one after the other on one axis (needs matplotlib).

    python benchmarks/training_curves.py run1/log.jsonl run2/log.jsonl --out docs/images/training_curves.png

Each curve is a mean over 2,000 images of a loss term times its weight.
"""

import argparse
import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

WINDOW = 2_000  # images
COLUMNS = 4


def read(logs: list[Path]) -> tuple[list[dict[str, float]], list[int]]:
    """All lines with the images counted on from run to run, and where each run starts."""
    lines: list[dict[str, float]] = []
    starts = []
    for log in logs:
        before = int(lines[-1]["images"]) if lines else 0
        starts.append(before)
        for text in log.read_text().splitlines():
            line = json.loads(text)
            lines.append(line | {"images": line["images"] + before})
    return lines, starts


def smoothed(lines: list[dict[str, float]], key: str) -> tuple[np.ndarray, np.ndarray]:
    known = [line for line in lines if key in line]
    images, values = (np.array([line[name] for line in known]) for name in ("images", key))
    bins = (images // WINDOW).astype(int)
    present = np.unique(bins)
    return (present + 0.5) * WINDOW / 1_000, np.array([values[bins == number].mean() for number in present])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("logs", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    lines, starts = read(options.logs)
    names = sorted({key for line in lines for key in line if key.startswith("loss_")})
    rows = -(-len(names) // COLUMNS)
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(3 * COLUMNS, 2 * rows), layout="constrained", squeeze=False)
    for axis, name in zip(axes.flat, names, strict=False):
        axis.plot(*smoothed(lines, name), linewidth=1)
        axis.set_title(name.removeprefix("loss_").replace("_", " "), fontsize=8)
        axis.tick_params(labelsize=7)
        for start in starts[1:]:
            axis.axvline(start / 1_000, color="grey", linewidth=0.5, linestyle=":")
    for axis in axes.flat[len(names) :]:
        axis.set_visible(False)
    figure.suptitle("loss terms times their weights, means over 2,000 images", fontsize=9)
    figure.supxlabel("thousand images seen; dotted: continued with other weights of the losses", fontsize=8)
    figure.savefig(options.out, dpi=110)


if __name__ == "__main__":
    main()
