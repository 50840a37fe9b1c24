"""What the benchmarks of generators share: sampled people, their perturbed images, and who looks at images."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nonesuch.core.seeding import derive_seed
from nonesuch.embedders.embedder import Embedder
from nonesuch.formats.photographs import Photograph, read_names
from nonesuch.formats.readers import find
from nonesuch.generators.generator import Generator, to_grey_levels
from nonesuch.identities.sampling import draw_apart
from nonesuch.identities.source import SamplingOptions, identity_source
from nonesuch.identities.variation import parse_sigma_mix, perturb, stratified_sigmas
from nonesuch.measures.metrics import equal_error_rate
from nonesuch.measures.similarity import normalised
from nonesuch.models import weights_path
from nonesuch.perception.detection import Detector

IMAGES = 10  # of each identity


@dataclass(frozen=True)
class Faces:
    """Crops with labels, embeddings by both embedders, and landmarks (NaN where no face was found)."""

    crops: np.ndarray
    labels: np.ndarray
    first: np.ndarray
    second: np.ndarray
    landmarks: np.ndarray


@dataclass(frozen=True)
class Judges:
    """The embedder that made the vectors, an independent one, and the detector."""

    first: Embedder
    second: Embedder
    detector: Detector | None

    def see(self, crops: np.ndarray, labels: np.ndarray) -> Faces:
        found = [self.detector.detect(crop) if self.detector else [] for crop in crops]
        landmarks = np.stack([faces[0].landmarks if faces else np.full((5, 2), np.nan) for faces in found])
        return Faces(
            crops, labels, normalised(self.first.embed(crops)), normalised(self.second.embed(crops)), landmarks
        )


def sample_people(weights: str, generator: Generator, embedder: Embedder, count: int, seed: int) -> np.ndarray:
    """Raw vectors as `nonesuch generate` samples them by default, from the weights' own statistics."""
    source = identity_source(generator.card, weights_path(weights), embedder.card, SamplingOptions())
    return draw_apart(source.draw, count, seed, source.max_cosine)


def heldout_halves(lfw: Path, heldout: Path, most: int) -> tuple[list[Photograph], list[Photograph]]:
    """The held-out people's photographs in two halves without a common person, at most so many of each person."""
    people = read_names(heldout)
    order = np.random.default_rng(0).permutation(sorted(people))
    first, counts, halves = set(order[::2]), dict.fromkeys(people, 0), ([], [])
    for photograph in find(lfw):
        person = photograph.identity
        if person in people and counts[person] < most:
            counts[person] += 1
            halves[person not in first].append(photograph)
    return halves


def drawn(count: int, wanted: int) -> np.ndarray:
    """Which of `count` images are compared."""
    return np.sort(np.random.default_rng(0).permutation(count)[:wanted])


def perturbed(
    generator: Generator, vectors: np.ndarray, seed: int, count: int = IMAGES
) -> tuple[np.ndarray, np.ndarray]:
    """So many perturbed images of each vector, as `nonesuch generate` makes them, and their labels."""
    images, mix = [], parse_sigma_mix(generator.card.sigma_mix)
    for row, base in enumerate(vectors):
        sigmas = stratified_sigmas(mix, count, derive_seed(seed, row))
        seeds = np.array([derive_seed(seed, row, image) for image in range(count)], dtype=np.uint64)
        scale = generator.card.vector_scale
        moved = [perturb(base, float(sigma), int(own), scale) for sigma, own in zip(sigmas, seeds, strict=True)]
        images.append(to_grey_levels(generator.render(np.stack(moved), seeds, count)))
    return np.concatenate(images), np.repeat(np.arange(len(vectors)), count)


def mated_scores(unit: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cosines of all mated and of all non-mated pairs of normalised embeddings."""
    upper = np.triu_indices(len(unit), 1)
    cosines, same = (unit @ unit.T)[upper], labels[upper[0]] == labels[upper[1]]
    return cosines[same], cosines[~same]


def told_apart(embedder: str, unit: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """How alike the images of one identity are, and those of two: over all pairs of an embedder's unit vectors."""
    mated, non_mated = mated_scores(unit, labels)
    return {
        f"mated, {embedder}": float(mated.mean()),
        f"mated sd, {embedder}": float(mated.std()),
        f"non-mated, {embedder}": float(non_mated.mean()),
        f"EER, {embedder}": equal_error_rate(mated, non_mated),
    }
