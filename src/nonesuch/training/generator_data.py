"""A generator's training data: photographs, their vectors, and what its card says about them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nonesuch.core import parquet
from nonesuch.core.errors import NonesuchError
from nonesuch.core.tables import embeddings
from nonesuch.embedders.embedder import Embedder
from nonesuch.formats.lmdb_records import VectorPhotograph
from nonesuch.formats.photograph_lists import classes_of, exclude, excluded_names, joined
from nonesuch.formats.photographs import Photograph
from nonesuch.formats.readers import find
from nonesuch.identities import statistics
from nonesuch.identities.embedding import embed_each, stored_embeddings, write_embeddings
from nonesuch.identities.statistics import Statistics
from nonesuch.loop import distributed
from nonesuch.loop.progress import OnProgress
from nonesuch.loop.run_folder import VECTORS
from nonesuch.loop.run_images import RunImages, stand_ins
from nonesuch.training.generator_run import CardType, Material


def training_photographs(data: Sequence[Path], excluded: Sequence[Path], allow_unknown: bool) -> Sequence[Photograph]:
    """All photographs of all sources except those that the lists name; errors as in `excluded_names`."""
    found = joined([find(source, split="train") for source in data])
    return exclude(found, excluded_names(excluded, found, allow_unknown))


def embed_once(
    out: Path,
    photographs: Sequence[Photograph],
    embedder: Embedder,
    on_skipped: Callable[[list[str]], None],
    on_progress: OnProgress,
) -> None:
    """Embed the photographs into a table in the run's folder, which is kept.

    Args:
        on_skipped: called with the photographs that cannot be used, each in a line.

    Raises:
        NonesuchError: photographs are mixed with a set that has its own vectors, or none can be used.
    """
    path = out / VECTORS
    if path.exists():  # the folder is claimed for this data and embedder
        return
    stored = [photograph for photograph in photographs if isinstance(photograph, VectorPhotograph)]
    if stored and len(stored) < len(photographs):
        raise NonesuchError("--data: an LMDB set with vectors of its own cannot be mixed with photographs")
    results = stored_embeddings(stored, embedder) if stored else embed_each(photographs, embedder, detector=None)
    total = len(photographs)
    on_skipped(write_embeddings(results, embedder, path, None, lambda done: on_progress("embedding", done, total)))


def read_vectors(
    out: Path, photographs: Sequence[Photograph], images: RunImages
) -> tuple[list[Photograph], NDArray[np.float32], NDArray[np.int64]]:
    """The photographs with vectors.

    Args:
        photographs: those that are there now.
        images: those that the run was started with, in the order of the table of `embed_once`.

    Returns:
        The K photographs that `embed_once` could use and that are there now, under the table's labels; their (K, D) raw
        vectors; and for each that it could use, which of the K stands in its place.
    """
    table = parquet.read_table(out / VECTORS)
    labels = table["identity"].to_pylist()
    readable = table["embedding"].is_valid().to_numpy()
    there = readable & (images.rows >= 0)
    places = images.rows
    kept = [replace(photographs[places[row]], identity=labels[row]) for row in np.flatnonzero(there)]
    numbers = np.where(there, np.cumsum(there) - 1, -1)[readable]
    return kept, embeddings(table["embedding"].drop_null())[there[readable]], stand_ins(numbers)


def told_data(photographs: Sequence[Photograph], about_data: str) -> str:
    """What a card says about the photographs that weights were trained on."""
    packs = {photograph.container.name for photograph in photographs if photograph.is_packed}
    sources = sorted(packs) or ["a folder"]
    people = len(classes_of(photographs)[0])
    return f"{len(photographs):,} photographs of {people:,} people from {', '.join(sources)}. {about_data}".strip()


def generator_card(kind: type[CardType], preset: str, embedder: Embedder, material: Material) -> CardType:
    """The card of a generator that is trained on these photographs and their vectors."""
    norm = float(np.linalg.norm(material.vectors, axis=1).mean())
    return kind(
        name=preset,
        architecture=preset,
        sizes={"feature_dim": embedder.card.embedding_dim},
        sha256="",
        licence=material.run.licence,
        source="trained with 'nonesuch train-generator'",
        training_data=told_data(material.photographs, material.run.about_data),
        feature_dim=embedder.card.embedding_dim,
        embedder=embedder.name,
        embedder_sha256=embedder.card.sha256,
        vector_scale=vector_scale(norm, embedder.card.embedding_dim),
        vector_norm=max(round(norm, 2), 0.01),
        statistics=f"{preset}.statistics.safetensors",
    )


def fitted_statistics(material: Material, embedder: Embedder, name: str) -> Statistics:
    """Identity statistics of the photographs, saved in the run's folder under this name."""
    labels = [photograph.identity for photograph in material.photographs]
    fitted = statistics.fit(material.vectors, labels, embedder.card.sha256)
    distributed.first_does(lambda: statistics.save(fitted, material.out / name))
    return fitted


def continued(card: CardType, before: CardType) -> CardType:
    """The card of weights whose training started from others; those give the scale, and add their data and licence."""
    data, licence = before.training_data, before.licence
    return replace(
        card,
        vector_scale=before.vector_scale,
        sigma_mix=before.sigma_mix,
        source=f"{card.source} from {before.name} ({before.sha256[:8]})",
        training_data=card.training_data if card.training_data == data else f"{data} Then: {card.training_data}",
        licence=card.licence if card.licence == licence else f"{licence}; then: {card.licence}",
    )


def vector_scale(norm: float, width: int) -> float:
    """A round factor that scales raw vectors of a usual norm to about 1 per dimension, where sigmas keep their meaning.

    1 for ArcFace's norm of 22.6 in 512 dimensions, 1/5 for MobileFaceNet's 70 in 192.
    """
    return 1.0 / max(round(norm / math.sqrt(width)), 1)
