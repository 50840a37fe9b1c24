"""Does the default generator draw the person it is asked for? And does an independent embedder agree?

    python benchmarks/generator_identity.py lfw112.tar lfw_heldout_people.txt [--generator NAME_OR_FILE]

There are two sets of vectors. One is 500 identities sampled from the generator's own statistics. The other is the
embeddings of photographs of the held-out people, whom the generator has not seen; for the cosine at most one photograph
each, so that no person weighs more. The cosine is of images without perturbation; the mated and non-mated scores are of
ten perturbed images of each sampled identity. No photograph leaves the script.
"""

import argparse
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from sampled_people import IMAGES, perturbed, sample_people, told_apart

from nonesuch import load_detector, load_embedder, load_generator
from nonesuch.core.allocator import keep_memory
from nonesuch.core.seeding import derive_seed
from nonesuch.embedders.embedder import Embedder
from nonesuch.formats.photographs import read_names
from nonesuch.formats.readers import find
from nonesuch.generators.generator import Generator, to_grey_levels
from nonesuch.measures.similarity import normalised

IDENTITIES = 500


def cosine_to_request(generator: Generator, vectors: np.ndarray, embedder: Embedder) -> tuple[np.ndarray, np.ndarray]:
    """Images of the vectors as they are, and the cosine of each one's embedding with its vector."""
    seeds = np.array([derive_seed(0, row) for row in range(len(vectors))], dtype=np.uint64)
    images = to_grey_levels(generator.render(vectors, seeds, 16))
    return images, (normalised(embedder.embed(images)) * normalised(vectors)).sum(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lfw", type=Path)
    parser.add_argument("heldout", type=Path)
    parser.add_argument("--generator", default="vec2face_small")
    options = parser.parse_args()
    keep_memory()
    generator = load_generator(options.generator, "cpu")
    first, second = load_embedder("mobilefacenet", "cpu"), load_embedder("dlib_resnet", "cpu")
    detector = load_detector("cpu")

    people = read_names(options.heldout)
    held_out = {item.identity: item for item in find(options.lfw) if item.identity in people}
    photographs = first.embed(np.stack([item.read() for item in held_out.values()]))
    sampled = sample_people(options.generator, generator, first, IDENTITIES, 0)

    table = Table(
        "vectors", "number", "cosine mean", "5th percentile", "face found by MTCNN", title=str(options.generator)
    )
    for name, vectors in (("sampled (PCA-Gaussian)", sampled), ("held-out LFW people", photographs)):
        images, cosine = cosine_to_request(generator, vectors, first)
        found = np.mean([bool(detector.detect(image)) for image in images])
        row = [f"{cosine.mean():.3f}", f"{np.quantile(cosine, 0.05):.3f}", f"{found:.1%}"]
        table.add_row(name, str(len(vectors)), *row)
    Console().print(table)

    images, labels = perturbed(generator, sampled, seed=1)
    table = Table("embedder", "mated", "non-mated", "EER", title=f"{IDENTITIES} sampled identities x {IMAGES} images")
    for embedder in (first, second):
        mated, _, non_mated, eer = told_apart(embedder.name, normalised(embedder.embed(images)), labels).values()
        table.add_row(embedder.name, f"{mated:.3f}", f"{non_mated:.3f}", f"{eer:.2%}")
    Console().print(table)


if __name__ == "__main__":
    main()
