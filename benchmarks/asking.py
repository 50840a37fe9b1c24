"""Are the answers of `nonesuch ask` right? Pictures of three people whose labels are known.

    python benchmarks/asking.py --celeba celeba112.tar

Photographs of CelebA's test part, of different people, stand side by side on a gray ground, each at a size of its own.
Of the first, second and third person from the left it is asked whether CelebA's attributes hold. Answers are yes, no,
or that it cannot be told; a face that is not found, or another one that is taken for it, counts against the answer.
"""

import argparse
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from nonesuch import ask_face
from nonesuch.core.allocator import keep_memory
from nonesuch.perception.attributes import ATTRIBUTES
from nonesuch.perception.labels import labelled

PICTURES, PEOPLE = 40, 3
LEAST, MOST = 96, 240  # pixels of a photograph's side
QUESTIONS = {
    "male": "is the {} person from the left a man?",
    "smiling": "is the {} person from the left smiling?",
    "eyeglasses": "is the {} person from the left wearing glasses?",
    "wearing_hat": "does the {} person from the left wear a hat?",
    "wearing_necktie": "does the {} person from the left wear a tie?",
    "bangs": "does the {} person from the left have bangs?",
    "goatee": "does the {} person from the left have a goatee?",
    "blond_hair": "does the {} person from the left have blond hair?",
}
console = Console(highlight=False, width=120)


def picture(crops: list[np.ndarray], draws: np.random.Generator) -> Image.Image:
    """Photographs side by side, not at one height."""
    sides = draws.integers(LEAST, MOST, len(crops))
    page = Image.new("RGB", (int(sides.sum()) + 20 * (len(crops) + 1), MOST + 80), (128, 128, 128))
    x = 20
    for crop, side in zip(crops, sides.tolist(), strict=True):
        photograph = Image.fromarray(crop).resize((side, side), Image.Resampling.BICUBIC)
        page.paste(photograph, (x, int(draws.integers(20, 60))))
        x += side + 20
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--celeba", type=Path, required=True)
    options = parser.parse_args()
    keep_memory()
    test = labelled([options.celeba], "test")
    draws = np.random.default_rng(0)
    order = draws.permutation(len(test.photographs))
    found: dict[str, Counter[str]] = {name: Counter() for name in QUESTIONS}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "people.png"
        for start in range(0, PICTURES * PEOPLE, PEOPLE):
            rows = order[start : start + PEOPLE]
            picture([test.photographs[row].read_crop() for row in rows], draws).save(path)
            for row, place in zip(rows, ("first", "second", "third"), strict=True):
                for name, question in QUESTIONS.items():
                    said = ask_face(path, question.format(place), device="cpu").text.split(":")[0]
                    holds = test.attributes[row, ATTRIBUTES.index(name)] > 0.5
                    kind = said.lower() if said in ("Yes", "No") else "untold"
                    found[name][kind] += 1
                    found[name][f"{kind} right"] += holds == (kind == "yes")
                    found[name]["holds"] += bool(holds)
    shown = Table("asked", "questions", "holds", "said yes", "right", "said no", "right", "not told")
    total = sum(found.values(), Counter())
    for name, counts in [*found.items(), ("all", total)]:
        shares = [f"{counts[f'{kind} right'] / counts[kind]:.0%}" if counts[kind] else "" for kind in ("yes", "no")]
        asked = sum(counts[kind] for kind in ("yes", "no", "untold"))
        cells = (asked, counts["holds"], counts["yes"], shares[0], counts["no"], shares[1], counts["untold"])
        shown.add_row(name, *map(str, cells))
    console.print(shown)


if __name__ == "__main__":
    main()
