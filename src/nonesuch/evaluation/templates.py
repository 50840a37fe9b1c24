"""Templates as in IJB: one vector for all images and video frames of a person in one enrolment."""

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError
from nonesuch.core.similarity import normalised


def template_vectors(
    embeddings: NDArray[np.float32], templates: NDArray[np.int64], media: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """A unit vector per template: the mean over the images of each medium, summed over the media, normalised.

    A video's many frames so count like one photograph.

    Args:
        embeddings: (N, D) raw.
        templates, media: (N,) which template and which medium an image belongs to; media of different templates are
            different media whatever their numbers.

    Returns:
        The templates' numbers (T,), ascending, and their vectors (T, D).

    Raises:
        NonesuchError: no image, an embedding that is not finite, or a template whose vectors cancel out.
    """
    if not len(embeddings):
        raise NonesuchError("there are no images to make templates of")
    if not np.isfinite(embeddings).all():
        raise NonesuchError("an embedding holds NaN or infinity")
    pairs, medium = np.unique(np.stack([templates, media], axis=1), axis=0, return_inverse=True)
    medium = medium.ravel()
    sums = np.zeros((len(pairs), embeddings.shape[1]))
    np.add.at(sums, medium, embeddings)
    means = sums / np.bincount(medium)[:, None]
    numbers, of_medium = np.unique(pairs[:, 0], return_inverse=True)
    vectors = np.zeros((len(numbers), embeddings.shape[1]))
    np.add.at(vectors, of_medium, means)
    if not np.linalg.norm(vectors, axis=1).all():
        raise NonesuchError("a template's embeddings sum to zero")
    return numbers, normalised(vectors.astype(np.float32))
