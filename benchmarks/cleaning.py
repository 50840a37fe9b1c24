"""Does `nonesuch clean` find errors that were planted, and how much do a hundred answers help?

    python benchmarks/cleaning.py lfw112.tar [CACHE_FOLDER]

The images are those of LFW's people with at least four. 5% of the images get another person's label, 3% of the
identities are split in halves, and 2% of the images are copied. A copy is cropped by up to 4 of 112 pixels, scaled to
between 56 and 112 and back, relit, and encoded as JPEG of quality 60 to 90. There are three seeds. The planted truth
plays the person who answers.
"""

import io
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from nonesuch import load_embedder
from nonesuch.cleaning.answers import IMAGE, PEOPLE, Answer
from nonesuch.cleaning.cast import MOST_ROUNDS
from nonesuch.cleaning.cleaned_set import CleanedSet, clean_set, thresholds
from nonesuch.cleaning.features import Features, features
from nonesuch.cleaning.uncertain import Thresholds, uncertain
from nonesuch.core.allocator import keep_memory
from nonesuch.formats.photographs import HeldPhotograph, Photograph
from nonesuch.formats.readers import find
from nonesuch.measures.similarity import normalised
from nonesuch.models import load_detector

FLIPPED, SPLIT, COPIED, LEAST, ASKED = 0.05, 0.03, 0.02, 4, 100
ROWS = (("mobilefacenet", 1e-3), ("mobilefacenet", 1e-4), ("dlib_resnet", 1e-3))
HALF = " (half)"


def copied(photograph: Photograph, rng: np.random.Generator) -> HeldPhotograph:
    cut = int(rng.integers(0, 5))
    left, top = rng.integers(0, cut + 1, 2)
    image = Image.fromarray(photograph.read_crop()).crop((left, top, left + 112 - cut, top + 112 - cut))
    side = int(rng.integers(56, 113))
    image = image.resize((side, side), Image.Resampling.BICUBIC).resize((112, 112), Image.Resampling.BICUBIC)
    lit = np.clip(np.asarray(image) * rng.uniform(0.8, 1.2) + rng.uniform(-10, 10), 0, 255)
    buffer = io.BytesIO()
    Image.fromarray(lit.astype(np.uint8)).save(buffer, "JPEG", quality=int(rng.integers(60, 91)))
    name = photograph.name.replace(".jpg", "_copy.jpg")
    return HeldPhotograph(name, photograph.identity, photograph.container, data=buffer.getvalue())


def planted(photographs: list[Photograph], seed: int) -> tuple[list[Photograph], list[HeldPhotograph], list[str]]:
    """The images under planted labels, the copies, and the true identity of each."""
    rng = np.random.default_rng(seed)
    true = [item.identity for item in photographs]
    people = sorted(set(true))
    labels = np.array(true, dtype=object)
    for person in rng.choice(people, round(SPLIT * len(people)), replace=False):
        rows = rng.permutation([row for row, name in enumerate(true) if name == person])
        labels[rows[: len(rows) // 2]] = person + HALF
    for row in rng.choice(len(true), round(FLIPPED * len(true)), replace=False):
        labels[row] = rng.choice(
            [name for name in (people[n] for n in rng.integers(0, len(people), 9)) if name != true[row]]
        )
    named = [replace(item, identity=label) for item, label in zip(photographs, labels, strict=True)]
    rows = rng.choice(len(true), round(COPIED * len(true)), replace=False)
    copies = [replace(copied(photographs[row], rng), identity=named[row].identity) for row in rows]
    return named, copies, [*true, *(true[row] for row in rows)]


def together(one: Features, other: Features) -> Features:
    rows = np.concatenate([one.rows, other.rows + len(one.rows)])
    return Features(rows, np.concatenate([one.vectors, other.vectors]), np.concatenate([one.hashes, other.hashes]), {})


def person(label: str) -> str:
    return label.removesuffix(HALF)


def original(name: str) -> str:
    return name.replace("_copy.jpg", ".jpg")


def answers(result: CleanedSet, limits: Thresholds, true: list[str]) -> list[Answer]:
    """What the planted truth says to the least certain cases."""
    told = []
    for case in uncertain(result.features.vectors, result.cleaned, result.pairs, limits, result.answered, ASKED):
        one, other = result.identities[case.one] if case.question == PEOPLE else result.name(case.one), ""
        if case.question == IMAGE:
            other = result.identities[case.other]
            yes = true[case.one] == person(other)
        elif case.question == PEOPLE:
            other = result.identities[case.other]
            yes = person(one) == person(other)
        else:
            other = result.name(case.other)
            yes = original(one) == original(other)
        told.append(Answer(case.question, one, other, yes, Path("truth")))
    return told


def figures(result: CleanedSet, true: list[str], known_doubles: set[tuple[str, str]]) -> list[float]:
    """Recall and precision of flips, share of moved images that are now right; of splits; of copies."""
    before = [person(result.identities[label]) for label in result.before]
    wrong = {row for row, label in enumerate(before) if label != true[row]}
    final = result.cleaned.identities
    flagged = {d.image for d in result.cleaned.decisions if d.action in ("move", "drop")}
    moved = [row for row in flagged if final[row] >= 0]
    right = np.mean([person(result.identities[final[row]]) == true[row] for row in moved])
    halves = [name for name in result.identities if name.endswith(HALF)]
    whole = 0
    for half in halves:
        ends = []
        for name in (half, person(half)):
            label = result.identities.index(name)
            rows = [r for r in range(len(true)) if result.before[r] == label and r not in wrong and final[r] >= 0]
            ends.append(Counter(final[rows].tolist()).most_common(1)[0][0] if rows else -1)
        whole += ends[0] == ends[1] >= 0
    merges = {(d.before, d.after) for d in result.cleaned.decisions if d.action == "merge"}
    good = sum(person(result.identities[a]) == person(result.identities[b]) for a, b in merges)
    names = [result.name(row) for row in range(len(true))]
    found = {names[d.image] for d in result.doubles} | {names[d.other] for d in result.doubles}
    copies = [name for name in names if name.endswith("_copy.jpg")]
    dropped = {(names[d.other], names[d.image]) for d in result.doubles}
    planted_pairs = {pair for pair in dropped if original(pair[0]) == original(pair[1])}
    own = {pair for pair in dropped if (original(pair[0]), original(pair[1])) in known_doubles} - planted_pairs
    gone = {names[d.image] for d in result.doubles}
    caught = sum(name in gone or original(name) in gone for name in copies if name in found)
    return [
        len(flagged & wrong) / len(wrong),
        len(flagged & wrong) / len(flagged),
        float(right),
        whole / len(halves),
        good / max(len(merges), 1),
        caught / len(copies),
        len(planted_pairs) / max(len(dropped - own), 1),
    ]


def main() -> None:
    keep_memory()
    everything = find(Path(sys.argv[1]))
    counts = Counter(item.identity for item in everything)
    photographs = [item for item in everything if counts[item.identity] >= LEAST]
    cache = Path(sys.argv[2] if len(sys.argv) > 2 else ".")
    detector = load_detector("cpu")
    titles = ("embedder, FMR", "flips found", "precision", "moves right", "splits", "precision", "copies", "precision")
    table = Table(*titles, title=f"{len(photographs)} images of {len({p.identity for p in photographs})} people")
    base, embedders = {}, {name: load_embedder(name, "cpu") for name, _ in ROWS}
    for name, embedder in embedders.items():
        file = cache / f"cleaning_{name}.npz"
        if not file.exists():
            found = features(photographs, embedder, detector)
            np.savez(file, rows=found.rows, vectors=found.vectors, hashes=found.hashes)
        with np.load(file) as held:
            base[name] = Features(held["rows"], normalised(held["vectors"]), held["hashes"], {})
    sets = [planted(photographs, seed) for seed in range(3)]
    for name, fmr in ROWS:
        limits = thresholds(embedders[name].card, fmr, None, None)
        plain = clean_set(photographs, base[name], limits, [], MOST_ROUNDS)
        known = {(plain.name(d.other), plain.name(d.image)) for d in plain.doubles}
        kinds = Counter(d.action for d in [*plain.cleaned.decisions, *plain.doubles])
        print(f"{name}, FMR {fmr:g} ({limits}); nothing planted: {dict(kinds)}")
        rows: dict[str, list[list[float]]] = {"": [], f", {ASKED} answers": []}
        for named, copies, true in sets:
            seen = together(base[name], features(copies, embedders[name], detector))
            result = clean_set([*named, *copies], seen, limits, [], MOST_ROUNDS)
            rows[""].append(figures(result, true, known))
            told = answers(result, limits, true)
            result = clean_set([*named, *copies], seen, limits, told, MOST_ROUNDS)
            rows[f", {ASKED} answers"].append(figures(result, true, known))
        for suffix, seeds in rows.items():
            cells = [f"{np.mean(part):.1%} ({min(part):.1%}-{max(part):.1%})" for part in zip(*seeds, strict=True)]
            table.add_row(f"{name}, {fmr:g}{suffix}", *cells)
    Console(width=220).print(table)


if __name__ == "__main__":
    main()
