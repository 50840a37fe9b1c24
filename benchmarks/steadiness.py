"""What does the steadiness term do? The default generator goes on with the term at a weight of your own.

    python benchmarks/steadiness.py WORK/without --weight 0 --data celeba112.tar --data lfw112.tar \\
        --exclude held-out.txt
    python benchmarks/steadiness.py WORK/with --weight 0.6 --data celeba112.tar --data lfw112.tar \\
        --exclude held-out.txt

The two runs differ in nothing but the weight: same pairs, photographs, order and seed. Judge each result,
WORK/.../idiff_fast.safetensors, with yardstick.py (--generator), and by what a recogniser learns with generators.py
(--fast FILE --rows --recognition "One step" --recognisers 1).
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

from nonesuch import train_generator
from nonesuch.core.allocator import keep_memory
from nonesuch.generators.idiff.presets import DISTILLATION_RECIPES
from nonesuch.loop.progress import progress_bar
from nonesuch.models import weights_path

PRESET = "idiff_fast"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--weight", type=float, required=True)
    for name in ("--data", "--exclude"):
        parser.add_argument(name, type=Path, required=True, action="append")
    parser.add_argument("--images", type=int, default=5_000, help="that the run sees")
    parser.add_argument("--pairs", type=int, default=2_000, help="that the teacher draws")
    options = parser.parse_args()
    keep_memory()
    # The shipped weights have had the stage on latents alone, so every image is decoded from the first on.
    recipe = replace(DISTILLATION_RECIPES[PRESET], images=options.images, pairs=options.pairs, decoded_from=0)
    DISTILLATION_RECIPES[PRESET] = recipe
    weights, start = weights_path(Path(PRESET)), time.perf_counter()
    with progress_bar() as bar:
        trained = train_generator(
            options.out,
            options.data,
            exclude=options.exclude,
            preset=PRESET,
            init=weights,
            first_stage=weights,
            teacher="idiff_small",
            loss={"steady": options.weight},
            on_progress=bar,
        )
    print(f"{trained.weights}: {trained.images_seen:,} images, {(time.perf_counter() - start) / 60:.0f} minutes")


if __name__ == "__main__":
    main()
