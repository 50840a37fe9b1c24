"""Which photographs does no generated image come near? The share of each group that images and other people cover.

    python benchmarks/uncovered.py --lfw lfw112.tar --heldout lfw_heldout_people.txt [--generator NAME_OR_FILE]

A photograph is covered where its neighbourhood, up to its fifth neighbour, holds one of the images (the coverage of
`nonesuch audit`). Half of the held-out people are to be covered, at most ten photographs of each: by as many generated
images, and by as many photographs of the other half. Groups are by what the perception heads see. The first group is
the one in which most photographs are covered by people and not by images.
"""

import argparse
from pathlib import Path

import loop
import numpy as np
from sampled_people import Judges, drawn, heldout_halves, perturbed, sample_people

from nonesuch import load_embedder, load_generator, load_perceiver
from nonesuch.core.allocator import keep_memory
from nonesuch.measures.realism import neighbourhoods
from nonesuch.measures.similarity import normalised
from nonesuch.perception.attributes import ATTRIBUTES

PEOPLE = 250  # generated, ten images each
LEAST = 40  # photographs that make a group


def groups(crops: np.ndarray) -> dict[str, np.ndarray]:
    """(N,) whether each photograph belongs to a group, by its name."""
    seen = load_perceiver(device="cpu").perceive(crops)
    yaw, age, quality = (np.asarray(seen[name], dtype=np.float64) for name in ("yaw", "age", "quality"))
    light = crops.mean((1, 2, 3))
    found = {
        "all": np.ones(len(crops), bool),
        "turned by 10 degrees at most": np.abs(yaw) < 10,
        "turned by 10 to 25 degrees": (np.abs(yaw) >= 10) & (np.abs(yaw) < 25),
        "turned by more": np.abs(yaw) >= 25,
        "pitch below -15 degrees": np.asarray(seen["pitch"]) < -15,
        "darkest fifth": light <= np.quantile(light, 0.2),
        "brightest fifth": light >= np.quantile(light, 0.8),
        "quality, lowest fifth": quality <= np.quantile(quality, 0.2),
        "quality, highest fifth": quality >= np.quantile(quality, 0.8),
        "age below 30": age < 30,
        "age 60 or more": age >= 60,
        "women": seen["gender_p"] >= 0.5,
        "men": seen["gender_p"] < 0.5,
    }
    found |= {name: np.asarray(seen[name]) >= 0.5 for name in ATTRIBUTES}
    return {name: member for name, member in found.items() if member.sum() >= LEAST}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("lfw", "heldout"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--generator", default="idiff_fast")
    options = parser.parse_args()
    keep_memory()
    generator, first = load_generator(options.generator, "cpu"), load_embedder("mobilefacenet", "cpu")
    judges = Judges(first, load_embedder("dlib_resnet", "cpu"), None)
    halves = heldout_halves(options.lfw, options.heldout, loop.MOST_PER_PERSON)
    wanted, others = (np.stack([photograph.read_crop() for photograph in half]) for half in halves)
    images, _ = perturbed(generator, sample_people(options.generator, generator, first, PEOPLE, 0), 0)
    count = min(len(wanted), len(others), len(images))
    sets = [part[drawn(len(part), count)] for part in (wanted, images, others)]
    member = groups(sets[0])
    covered = {}
    for name, judge in (("MobileFaceNet", judges.first), ("dlib", judges.second)):
        real, made, people = (normalised(judge.embed(part)) for part in sets)
        covered[name] = [neighbourhoods(real, part).coverage for part in (made, people)]
    by_images, by_people = covered["MobileFaceNet"]
    missed = {name: int((by_people & ~by_images & inside).sum()) for name, inside in member.items()}
    print(f"{options.generator}: {count} photographs, as many images and other photographs\n")
    print("| group | photographs | by images | by other people | dlib: by images | by other people | missed |")
    print("|---|---|---|---|---|---|---|")
    for name in sorted(member, key=lambda name: -missed[name]):
        inside = member[name]
        shares = " | ".join(f"{part[inside].mean():.0%}" for parts in covered.values() for part in parts)
        print(f"| {name} | {inside.sum():,} | {shares} | {missed[name]} |")


if __name__ == "__main__":
    main()
