"""The pictures of the docs, all of people who don't exist.

    python benchmarks/pictures.py --out docs/images [--generator NAME_OR_FILE]

Identities are sampled from the generator's own statistics with seed 0 and taken as they come. Only `best_and_worst.jpg`
chooses among 500 identities' images with seed 0: it shows the 10 with the highest and the 10 with the lowest cosine
between the identity's vector and the image's embedding. `families.jpg` has the same people by both families that ship.
"""

import argparse
import re
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from sampled_people import perturbed, sample_people

from nonesuch import load_embedder, load_flip, load_generator, load_perceiver
from nonesuch.captions.grammar import LANGUAGES, Grammar
from nonesuch.captions.thresholds import SHIPPED, read_thresholds
from nonesuch.captions.writing import Captioner
from nonesuch.core.allocator import keep_memory
from nonesuch.core.images import Pixels
from nonesuch.core.seeding import derive_seed
from nonesuch.generators.generator import Generator, to_grey_levels
from nonesuch.identities.variation import perturb
from nonesuch.language.sketches.line_drawing import drawing_order, drawn_until
from nonesuch.measures.similarity import normalised
from nonesuch.pages.contact_sheet import contact_sheet
from nonesuch.steering.steerer import Steerer
from nonesuch.steering.wishes import parse_wish

COLUMNS = 10
CAPTIONED = 8  # images of `captions.jpg`
DRAWN = 3  # people of `drawings.jpg`
FOUND = 8  # images of each search of `searches.jpg`
SEARCHES = [
    "a young woman with glasses, smiling",
    "bearded bloke looking to the left",
    "old man, grey hair",
    "blonde with bangs",
    "someone in a hat",
]
OTHER_FAMILY = "vec2face_small"


def render(generator: Generator, vectors: np.ndarray, seeds: list[int], style: float = 1.0) -> list[Pixels]:
    return list(to_grey_levels(generator.render(vectors, np.array(seeds, dtype=np.uint64), 16, style)))


def variation(generator: Generator, people: np.ndarray) -> list[list[Pixels]]:
    """Rows of identities: what images draw, then perturbation of sigma 0.5 as well."""
    rows = []
    for number, base in enumerate(people[:6]):
        seeds = [derive_seed(0, number, image) for image in range(COLUMNS)]
        rows.append(render(generator, np.repeat(base[None], COLUMNS, axis=0), seeds))
        moved = [perturb(base, 0.5, seed, generator.card.vector_scale) for seed in seeds]
        rows.append(render(generator, np.stack(moved), seeds))
    return rows


def interpolation(generator: Generator, people: np.ndarray) -> list[list[Pixels]]:
    """Rows of two people, the left one turning into the right one; one image seed a row."""
    rows = []
    for number in range(5):
        first, last = people[2 * number], people[2 * number + 1]
        shares = np.linspace(0.0, 1.0, COLUMNS, dtype=np.float32)[:, None]
        between = (1.0 - shares) * first + shares * last
        norms = (1.0 - shares) * np.linalg.norm(first) + shares * np.linalg.norm(last)
        between *= norms / np.linalg.norm(between, axis=1, keepdims=True)
        rows.append(render(generator, between, [derive_seed(1, number)] * COLUMNS, style=0.0))
    return rows


def families(generator: Generator, people: np.ndarray) -> list[list[Pixels]]:
    """Rows of identities: five images by the generator, then five by Vec2Face, perturbed as their cards say."""
    shown, half = people[:6], COLUMNS // 2
    sheets = [perturbed(one, shown, 4, half)[0] for one in (generator, load_generator(OTHER_FAMILY, "cpu"))]
    return [[image for sheet in sheets for image in sheet[row * half :][:half]] for row in range(len(shown))]


def sigma_ladder(generator: Generator, people: np.ndarray) -> list[list[Pixels]]:
    """Rows of sigma 0, 0.3, 0.5, 0.7, 1: one person, the style code at its mean."""
    rows = []
    for sigma in (0.0, 0.3, 0.5, 0.7, 1.0):
        seeds = [derive_seed(2, image) for image in range(COLUMNS)]
        moved = [perturb(people[3], sigma, seed, generator.card.vector_scale) for seed in seeds]
        rows.append(render(generator, np.stack(moved), seeds, style=0.0))
    return rows


def best_and_worst(generator: Generator, people: np.ndarray) -> list[list[Pixels]]:
    """The most and the least faithful images, a row each."""
    images = render(generator, people, [derive_seed(0, number, 0) for number in range(len(people))])
    embedder = load_embedder(generator.card.embedder, "cpu")
    cosines = (normalised(embedder.embed(np.stack(images))) * normalised(people)).sum(1)
    order = np.argsort(cosines)
    print(f"lowest {cosines[order[0]]:.3f}, highest {cosines[order[-1]]:.3f}")
    return [[images[i] for i in order[: -COLUMNS - 1 : -1]], [images[i] for i in order[:COLUMNS]]]


def steered(generator: Generator, people: np.ndarray, name: str, values: tuple[float, ...]) -> list[list[Pixels]]:
    """Rows of identities, a column per wished value; taken as they come, accepted or not."""
    perceiver = load_perceiver(device="cpu")
    rows: list[list[Pixels]] = [[] for _ in people[:8]]
    for value in values:
        steerer = Steerer(generator, perceiver, [parse_wish(f"{name}={value:g}")])
        seeds = np.array([derive_seed(3, number) for number in range(len(rows))], dtype=np.uint64)
        found = steerer.steer(people[:8], people[:8], seeds)
        print(f"{name} {value:g}: {found.accepted.sum()} of {len(rows)} accepted")
        for row, image in zip(rows, found.images, strict=True):
            row.append(image)
    return rows


def captioned(generator: Generator, people: np.ndarray) -> Image.Image:
    """Images of the first identities beside their captions, each clause underlined that states a fact."""
    perceiver = load_perceiver(device="cpu")
    seeds = [derive_seed(0, number, 0) for number in range(CAPTIONED)]
    images = np.stack(render(generator, people[:CAPTIONED], seeds))
    least = read_thresholds(SHIPPED, perceiver.card.sha256).at("0.9")
    captioner = Captioner(Grammar(LANGUAGES / "english.txt"), least, 6, 0)
    rows = captioner.table(perceiver.perceive(images), np.array(seeds, dtype=np.uint64)).to_pylist()
    font, side, width = ImageFont.load_default(size=17), images.shape[1], 700
    page = Image.new("RGB", (side + width, CAPTIONED * (side + 8)), "white")
    pen = ImageDraw.Draw(page)
    for row, (image, told) in enumerate(zip(images, rows, strict=True)):
        top = row * (side + 8)
        page.paste(Image.fromarray(image), (0, top))
        text = told["caption"] or f"(no caption: {len(told['facts'])} facts)"
        stated = {place for one in told["clauses"] for place in range(one["start"], one["end"])}
        x, y = side + 14, top + 6
        for word in re.finditer(r"\S+ ?", text):
            if x + pen.textlength(word.group(), font) > side + width - 6:
                x, y = side + 14, y + 27
            for place, letter in enumerate(word.group(), word.start()):
                length = pen.textlength(letter, font)
                pen.text((x, y), letter, "black", font)
                if place in stated:
                    pen.line((x, y + 20, x + length, y + 20), "steelblue", 2)
                x += length
    return page


def drawings(generator: Generator, people: np.ndarray) -> list[list[Pixels]]:
    """Rows of identities: an image, then its simulated drawing as it grows."""
    images = np.stack(render(generator, people[:DRAWN], [derive_seed(0, number, 0) for number in range(DRAWN)]))
    order, steps = drawing_order(images), COLUMNS - 1
    grown = [drawn_until(order, step, steps) for step in range(1, steps + 1)]
    return [list(row) for row in zip(images, *grown, strict=True)]


def searched(generator: Generator, people: np.ndarray) -> Image.Image:
    """What `nonesuch search` finds among two images of each person: the best for each query, in order."""
    model = load_flip(device="cpu")
    seeds = [derive_seed(0, number, image) for number in range(len(people)) for image in range(2)]
    images = np.stack(render(generator, people.repeat(2, axis=0), seeds))
    scores = model.text_vectors(SEARCHES) @ model.image_vectors(images).T
    font, side = ImageFont.load_default(size=17), images.shape[1]
    page = Image.new("RGB", (FOUND * (side + 2) - 2, len(SEARCHES) * (side + 30)), "white")
    pen = ImageDraw.Draw(page)
    for row, (query, each) in enumerate(zip(SEARCHES, scores, strict=True)):
        top = row * (side + 30)
        pen.text((2, top + 3), f"\u201c{query}\u201d", "black", font)
        for place, number in enumerate(np.argsort(-each, kind="stable")[:FOUND]):
            page.paste(Image.fromarray(images[number]), (place * (side + 2), top + 27))
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--generator", default="idiff_fast")
    options = parser.parse_args()
    keep_memory()
    generator = load_generator(options.generator, "cpu")
    people = sample_people(options.generator, generator, load_embedder(generator.card.embedder, "cpu"), 500, 0)
    options.out.mkdir(parents=True, exist_ok=True)

    def save(name: str, rows: list[list[Pixels]]) -> None:
        Image.fromarray(contact_sheet(rows)).save(options.out / f"{name}.jpg", quality=85)

    for make in (variation, interpolation, sigma_ladder, families, best_and_worst, drawings):
        save(make.__name__, make(generator, people))
    captioned(generator, people).save(options.out / "captions.jpg", quality=90)
    searched(generator, people).save(options.out / "searches.jpg", quality=85)
    save("steered_yaw", steered(generator, people, "yaw", (-40, -30, -20, -10, 0, 10, 20, 30, 40)))
    save("steered_age", steered(generator, people, "age", (20, 30, 40, 50, 60, 70)))


if __name__ == "__main__":
    main()
