"""What is a default generator worth? One table compares it with real photographs, each figure from two seeds.

    python benchmarks/yardstick.py --lfw lfw112.tar --heldout lfw_heldout_people.txt --pairs lfw_pairs.txt \\
        --training celeba112.tar --out FOLDER [--generator NAME_OR_FILE] [--dtype bfloat16] \\
        [--identities 300] [--mesh MODEL]

--lfw holds all aligned LFW crops; the people of --heldout were not trained on, all others were, and so was --training.
Detail and stripes are explained in detail.py, what changes within a person in variation.py; --mesh, MediaPipe's
face_landmarker_v2.task, adds how far mouth and eyes open. Coverage compares as many images as there are held-out
photographs of at most ten each, or all where they are fewer. FOLDER gets the figures as JSON, the photographs'
embeddings for the next run, spectra, and a picture of real people beside generated ones that must not be published.
"""

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy.linalg
import scipy.stats
from detail import detail, plot_spectra
from rich.console import Console
from rich.table import Table
from sampled_people import Faces, Judges, drawn, perturbed, sample_people, told_apart
from variation import drift, openness, within_spread

from nonesuch import load_detector, load_embedder, load_generator, load_perceiver
from nonesuch.audit.judges.pixels import luminance, measures
from nonesuch.core.allocator import keep_memory
from nonesuch.core.seeding import derive_seed
from nonesuch.formats.photograph_lists import exclude
from nonesuch.formats.photographs import Photograph, read_names
from nonesuch.formats.readers import find
from nonesuch.generators.generator import Generator, to_grey_levels
from nonesuch.measures.realism import neighbourhoods
from nonesuch.measures.similarity import nearest, normalised
from nonesuch.pages.contact_sheet import write_contact_sheet
from nonesuch.perception.perceiver import Perceiver
from nonesuch.perception.pose import head_pose


@dataclass(frozen=True)
class Watch:
    """Who looks at what changes within a person."""

    perceiver: Perceiver
    mesh: Path | None

    def see(self, faces: Faces) -> dict[str, float]:
        """Drift of gender and age; spread of the openness of mouth and eyes, in percent of the face's height."""
        figures = drift(faces.crops, faces.labels, self.perceiver)
        if self.mesh:
            opened = openness(faces.crops, self.mesh)
            for name, values in zip(("mouth", "eyes"), opened.T, strict=True):
                figures[f"{name} open, spread within"] = within_spread(values, faces.labels)
        return figures


def sharpness(crops: np.ndarray) -> tuple[float, float]:
    """Mean variance of the Laplacian, and share of the spectrum's energy above a quarter of the sampling rate."""
    grey = luminance(crops).astype(float)
    spectrum = np.abs(np.fft.fft2(grey - grey.mean((1, 2), keepdims=True))) ** 2
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(112), np.fft.fftfreq(112)))
    return float(measures(crops)["sharpness"].mean()), float(
        (spectrum[:, frequency > 0.25].sum(1) / spectrum.sum((1, 2))).mean()
    )


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Frechet distance between Gaussians fitted to two sets of vectors."""
    covariances = [np.cov(x.T) for x in (a, b)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    return float(np.square(a.mean(0) - b.mean(0)).sum() + np.trace(covariances[0] + covariances[1] - 2 * root))


def spreads(faces: Faces) -> dict[str, float]:
    """Within-identity spread of yaw (degrees), light (left minus right luminance) and expression (mouth / eyes)."""
    found = np.isfinite(faces.landmarks[:, 0, 0])
    yaw = np.full(len(found), np.nan)
    yaw[found] = head_pose(faces.landmarks[found])[:, 0]
    eyes, mouth = (np.linalg.norm(faces.landmarks[:, i] - faces.landmarks[:, j], axis=1) for i, j in ((0, 1), (3, 4)))
    return {
        "yaw spread within": within_spread(yaw, faces.labels),
        "light spread within": within_spread(measures(faces.crops)["light"], faces.labels),
        "expression spread within": within_spread(mouth / eyes, faces.labels),
    }


def pair_rows(pairs: Path, rows: dict[str, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of folds 8-10: rows of both images, whether mated, fold."""
    lines = [line.split("\t") for line in pairs.read_text().splitlines()[1:]]
    per_fold = len(lines) // 10
    found = []
    for number, line in enumerate(lines):
        fold = number // per_fold
        if fold < 7:
            continue
        first, one, second, two = line if len(line) == 4 else (line[0], line[1], line[0], line[2])
        names = [f"{who}/{who}_{int(image):04d}.jpg" for who, image in ((first, one), (second, two))]
        found.append((rows[names[0]], rows[names[1]], len(line) == 3, fold))
    table = np.array(found)
    return table[:, :2], table[:, 2].astype(bool), table[:, 3]


def fold_accuracy(chosen_on: np.ndarray, scores: np.ndarray, mated: np.ndarray, folds: np.ndarray) -> float:
    """Threshold from the other folds' photographs, accuracy on each fold's scores."""
    accuracies = []
    for fold in np.unique(folds):
        others = folds != fold
        thresholds = np.unique(chosen_on[others])
        best = thresholds[np.argmax([((chosen_on[others] >= t) == mated[others]).mean() for t in thresholds])]
        accuracies.append(((scores[~others] >= best) == mated[~others]).mean())
    return float(np.mean(accuracies))


def part_of(faces: Faces, rows: np.ndarray) -> Faces:
    """Some of the faces."""
    return Faces(*(getattr(faces, name)[rows] for name in ("crops", "labels", "first", "second", "landmarks")))


def at_most_ten(faces: Faces) -> Faces:
    """Of each person as many as the benchmarks compare."""
    return part_of(faces, np.concatenate([np.flatnonzero(faces.labels == one)[:10] for one in np.unique(faces.labels)]))


def halves(faces: Faces) -> tuple[Faces, Faces]:
    """Faces of two halves of the people."""
    one = np.isin(faces.labels, np.random.default_rng(0).permutation(np.unique(faces.labels))[::2])
    return part_of(faces, np.flatnonzero(one)), part_of(faces, np.flatnonzero(~one))


def coverage(held_out: Faces, faces: Faces) -> dict[str, float]:
    """Share of one half of the held-out photographs near which one of as many images lies as the other half has."""
    first, second = halves(at_most_ten(held_out))
    rows = drawn(len(faces.crops), len(second.crops))
    return {
        f"coverage, {name}": float(neighbourhoods(getattr(first, name), getattr(faces, name)[rows]).coverage.mean())
        for name in ("first", "second")
    }


def measure_generated(
    generator: Generator, judges: Judges, watch: Watch, vectors: np.ndarray, held_out: Faces, training: Faces, seed: int
) -> tuple[dict[str, float], Faces]:
    seeds = np.array([derive_seed(seed, 77, row) for row in range(len(vectors))], dtype=np.uint64)
    plain = to_grey_levels(generator.render(vectors, seeds, 16))
    own = normalised(judges.first.embed(plain))
    faces = judges.see(*perturbed(generator, vectors, seed))
    figures = {"identity cosine, sampled": float((own * normalised(vectors)).sum(1).mean())}
    for name, unit in (("first", faces.first), ("second", faces.second)):
        figures |= told_apart(name, unit, faces.labels)
    figures["Laplacian variance"], figures["high-frequency energy"] = sharpness(faces.crops)
    figures["Frechet, first"] = frechet(faces.first, held_out.first)
    figures["Frechet, second"] = frechet(faces.second, held_out.second)
    figures["face found"] = float(np.isfinite(faces.landmarks[:, 0, 0]).mean())
    figures |= detail(faces.crops) | spreads(faces) | watch.see(faces) | coverage(held_out, faces)
    upper = np.triu_indices(len(vectors), 1)
    asked = (normalised(vectors) @ normalised(vectors).T)[upper]
    for name, embedder in (("first", judges.first), ("second", judges.second)):
        unit = normalised(embedder.embed(plain))
        figures[f"inheritance, {name}"] = float(scipy.stats.spearmanr(asked, (unit @ unit.T)[upper]).statistic)
    for name in ("first", "second"):
        ours, photographs, control = (getattr(x, name) for x in (faces, training, held_out))
        count = min(len(ours), len(control))
        chosen = np.random.default_rng(seed).permutation(len(ours))[:count]
        others = np.random.default_rng(seed).permutation(len(control))[:count]
        closest, reference = nearest(ours[chosen], photographs)[0], nearest(control[others], photographs)[0]
        for cosines, whose in ((closest, "generated"), (reference, "held-out people's")):
            figures[f"nearest training image, {whose}, median, {name}"] = float(np.median(cosines))
            figures[f"nearest training image, {whose}, mean of 50 closest, {name}"] = float(
                np.sort(cosines)[-50:].mean()
            )
            figures[f"nearest training image, {whose}, closest, {name}"] = float(cosines.max())
    return figures, faces


def measure_heldout(
    generator: Generator, judges: Judges, held_out: Faces, raw: np.ndarray, pairs: Path, names: list[str], seed: int
) -> dict[str, float]:
    """Reconstructions of photographs of people that the generator has not seen."""
    seeds = np.array([derive_seed(seed, 88, row) for row in range(len(raw))], dtype=np.uint64)
    images = to_grey_levels(generator.render(raw, seeds, 16))
    first, second = normalised(judges.first.embed(images)), normalised(judges.second.embed(images))
    rows, mated, folds = pair_rows(pairs, {name: row for row, name in enumerate(names)})
    substituted = (second[rows[:, 0]] * held_out.second[rows[:, 1]]).sum(1)
    photographs = (held_out.second[rows[:, 0]] * held_out.second[rows[:, 1]]).sum(1)
    return {
        "identity cosine, held-out": float((first * held_out.first).sum(1).mean()),
        "identity cosine, held-out, second": float((second * held_out.second).sum(1).mean()),
        "substitution accuracy, second": fold_accuracy(photographs, substituted, mated, folds),
    }


def measure_real(held_out: Faces, watch: Watch, pairs: Path, names: list[str]) -> dict[str, float]:
    """The same figures of the held-out people's photographs."""
    figures: dict[str, float] = {}
    few = at_most_ten(held_out)
    for name in ("first", "second"):
        figures |= told_apart(name, getattr(few, name), few.labels)
    figures["Laplacian variance"], figures["high-frequency energy"] = sharpness(held_out.crops)
    figures["face found"] = float(np.isfinite(held_out.landmarks[:, 0, 0]).mean())
    several = part_of(few, np.flatnonzero(np.isin(few.labels, np.flatnonzero(np.bincount(few.labels) >= 2))))
    figures |= detail(held_out.crops) | spreads(several) | watch.see(several)
    # Two halves of the people: as few images as that make the distance larger than it is between large sets.
    one, other = halves(held_out)
    for name in ("first", "second"):
        figures[f"Frechet, {name}"] = frechet(getattr(one, name), getattr(other, name))
    figures |= coverage(held_out, halves(few)[1])
    rows, mated_pairs, folds = pair_rows(pairs, {name: row for row, name in enumerate(names)})
    scores = (held_out.second[rows[:, 0]] * held_out.second[rows[:, 1]]).sum(1)
    figures["substitution accuracy, second"] = fold_accuracy(scores, scores, mated_pairs, folds)
    return figures


def load_faces(photographs: list[Photograph], judges: Judges, cache: Path) -> tuple[Faces, np.ndarray]:
    """Photographs as both embedders and the detector see them, and their raw vectors; computed once, kept in cache."""
    crops = np.stack([photograph.read() for photograph in photographs])
    labels = np.unique([photograph.identity for photograph in photographs], return_inverse=True)[1]
    if not cache.exists():
        faces = judges.see(crops, labels)
        sums = crops.sum((1, 2, 3))
        raw = judges.first.embed(crops)
        np.savez(cache, raw=raw, first=faces.first, second=faces.second, found=faces.landmarks, sums=sums)
    kept = np.load(cache)
    if not np.array_equal(kept["sums"], crops.sum((1, 2, 3))):
        raise SystemExit(f"{cache}: of other photographs; remove it")
    return Faces(crops, labels, kept["first"], kept["second"], kept["found"]), kept["raw"]


def closest_pairs(path: Path, faces: Faces, training: Faces) -> None:
    """The 50 faces nearest to a training photograph, by the second embedder, each beside it."""
    cosine, row = nearest(faces.second, training.second)
    worst = np.argsort(-cosine)[:50]
    rows = [
        [image for pick in worst[start : start + 5] for image in (faces.crops[pick], training.crops[row[pick]])]
        for start in range(0, 50, 5)
    ]
    write_contact_sheet(rows, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("lfw", "heldout", "pairs", "training", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--generator", default="idiff_fast")
    parser.add_argument("--dtype", default="float32", help="of the generator")
    parser.add_argument("--identities", type=int, default=300)
    parser.add_argument("--mesh", type=Path, help="face_landmarker_v2.task; needs mediapipe")
    options = parser.parse_args()
    keep_memory()
    options.out.mkdir(parents=True, exist_ok=True)
    generator = load_generator(options.generator, "cpu", options.dtype)
    judges = Judges(
        load_embedder(generator.card.embedder, "cpu"), load_embedder("dlib_resnet", "cpu"), load_detector("cpu")
    )
    watch = Watch(load_perceiver(device="cpu"), options.mesh)
    people, lfw = read_names(options.heldout), find(options.lfw)
    held_out_photographs = [photograph for photograph in lfw if photograph.identity in people]
    held_out, raw = load_faces(held_out_photographs, judges, options.out / "held_out.npz")
    training_photographs = [*exclude(lfw, people), *find(options.training, split="train")]
    training, _ = load_faces(training_photographs, replace(judges, detector=None), options.out / "training.npz")
    names = [photograph.name for photograph in held_out_photographs]
    precision = "" if options.dtype == "float32" else f"_{options.dtype}"
    stem = f"{generator.name}_{generator.card.sha256[:8]}{precision}"

    runs = []
    for seed in (1, 2):
        vectors = sample_people(options.generator, generator, judges.first, options.identities, seed)
        figures, faces = measure_generated(generator, judges, watch, vectors, held_out, training, seed)
        runs.append(figures | measure_heldout(generator, judges, held_out, raw, options.pairs, names, seed))
    real = measure_real(held_out, watch, options.pairs, names)
    plot_spectra({generator.name: faces.crops, "photographs": held_out.crops}, options.out / f"{stem}_spectra.png")
    closest_pairs(options.out / f"{stem}_closest_to_training.png", faces, training)
    closest_pairs(options.out / "held_out_closest_to_training.png", held_out, training)
    table = Table("figure", "generated", "two-seed spread", "real (held-out LFW)", title=str(options.generator))
    for name in runs[0]:
        values = [run[name] for run in runs]
        shown = f"{real[name]:.4g}" if name in real else "-"
        table.add_row(name, f"{np.mean(values):.4g}", f"{abs(values[0] - values[1]):.2g}", shown)
    Console(width=120).print(table)
    (options.out / f"{stem}.json").write_text(json.dumps({"runs": runs, "real": real}, indent=2) + "\n")


if __name__ == "__main__":
    main()
