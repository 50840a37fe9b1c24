"""Templates as in IJB: one vector for all images and video frames of a person in one enrolment."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError
from nonesuch.evaluation.all_pairs import Compared
from nonesuch.evaluation.clustering import linked
from nonesuch.evaluation.figures import comparison_scores, verification_figures
from nonesuch.evaluation.identification import open_set, rank_figures, search
from nonesuch.evaluation.pairs import Comparisons
from nonesuch.evaluation.probes import Embedded
from nonesuch.measures.figure import Figures, plain
from nonesuch.measures.grouping import group_means, group_sums
from nonesuch.measures.similarity import normalised

_FMRS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
_FPIRS = (1e-1, 1e-2)
_RANKS = (1, 5, 10)


def template_vectors(
    embeddings: NDArray[np.float32], templates: NDArray[np.int64], media: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """A unit vector per template: the mean over the images of each medium, summed over the media, normalised.

    In this way a video's many frames count like one photograph.

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
    means = group_means(embeddings, medium, np.float64)
    numbers, of_medium = np.unique(pairs[:, 0], return_inverse=True)
    vectors = group_sums(means, of_medium)
    if not np.linalg.norm(vectors, axis=1).all():
        raise NonesuchError("a template's embeddings sum to zero")
    return numbers, normalised(vectors.astype(np.float32))


@dataclass(frozen=True)
class Enrolled:
    """Templates with the people they show.

    Attributes:
        templates: (N,) int64 places among all templates.
        people: (N,) int64 subjects.
    """

    templates: NDArray[np.int64]
    people: NDArray[np.int64]


@dataclass(frozen=True)
class TemplateTest:
    """Templates, and how they are compared.

    Attributes:
        images: (R,) int64 row of the image of each line of the template list.
        templates: (R,) place of its template among all, which are in ascending order of their numbers.
        media: (R,) its medium.
        pairs: comparisons of templates; None where the folder has no list of them.
        galleries: of the 1:N test, none where the folder has no gallery.
        probes: searched in each gallery.
    """

    images: NDArray[np.int64]
    templates: NDArray[np.int64]
    media: NDArray[np.int64]
    pairs: Comparisons | None
    galleries: list[Enrolled]
    probes: Enrolled | None


def template_figures(test: TemplateTest, found: Embedded) -> dict[str, Any]:
    """What `nonesuch evaluate` reports about templates.

    A template without an image that shows a face is refused: its comparisons count as non-matches, its searches find
    nobody.

    Returns:
        eer, tar by FMR (those that the non-mated comparisons can resolve), and the numbers behind them; rank: share of
        mated searches that find their person among the first 1, 5, 10; cmc: among the first 1, 2, .. 20; tpir by FPIR,
        where the people of the other galleries are the strangers. These are means over the galleries, as published;
        "galleries" holds the figures of each. templates_refused: how many.
    """
    raw = found.unit * found.norm[:, None]
    lines = found.acquired[test.images]
    enrolled, made = template_vectors(raw[test.images[lines]], test.templates[lines], test.media[lines])
    vectors = np.zeros((int(test.templates.max()) + 1, raw.shape[1]), dtype=np.float32)
    vectors[enrolled] = made
    acquired = np.isin(np.arange(len(vectors)), enrolled)
    figures: dict[str, Any] = {"templates": len(vectors), "templates_refused": int((~acquired).sum())}
    if test.pairs is not None:
        scores = comparison_scores(vectors, test.pairs, acquired)
        compared = Compared(test.pairs.left, test.pairs.right, scores, test.pairs.mated)
        figures |= verification_figures(compared, _people_of(test.pairs, len(vectors)), _FMRS)
    if test.probes is not None:
        of_each = [_identification(vectors, gallery, test.probes) for gallery in test.galleries]
        for kind in ("rank", "tpir"):
            shared = [key for key in of_each[0][kind] if all(key in part[kind] for part in of_each)]
            figures[kind] = {key: _mean([part[kind][key] for part in of_each]) for key in shared}
        for key in ("cmc", "cmc_low", "cmc_high"):
            figures[key] = plain(np.mean([part[key] for part in of_each], axis=0, dtype=np.float64).tolist())
        figures["galleries"] = of_each
    return figures


def _mean(of_each: Sequence[Figures]) -> dict[str, float | None]:
    """The mean of several galleries' figures and of their intervals' ends, which are unknown if one lacks them."""
    ends = {part: [figure[part] for figure in of_each] for part in ("value", "low", "high")}
    return {part: None if None in values else float(np.mean(values)) for part, values in ends.items()}


def _people_of(pairs: Comparisons, templates: int) -> NDArray[np.int64]:
    """Whom each template shows, as far as the mated comparisons say: all that they link are one person."""
    return linked(templates, pairs.left[pairs.mated], pairs.right[pairs.mated])


def _identification(vectors: NDArray[np.float32], gallery: Enrolled, probes: Enrolled) -> dict[str, Any]:
    searched = search(vectors[gallery.templates], gallery.people, vectors[probes.templates], probes.people)
    strangers = int((searched.rank == 0).sum())
    fpirs = tuple(fpir for fpir in _FPIRS if fpir * strangers >= 1)
    tpir = open_set(searched, probes.people, fpirs) if fpirs else {}
    return {
        **rank_figures(searched.rank, _RANKS, probes.people),
        "tpir": {f"{fpir:g}": plain(share) for fpir, share in tpir.items()},
        "templates": len(gallery.templates),
        "mated_searches": len(searched.rank) - strangers,
        "non_mated_searches": strangers,
    }
