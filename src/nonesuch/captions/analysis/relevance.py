"""How well captions fit their images, by a text-image model (the FLIP score)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nonesuch.captions.analysis.caption_texts import CaptionTexts
from nonesuch.core.seeding import Stream, permutation
from nonesuch.dataset.text_image_vectors import vectors_of_source
from nonesuch.flip.model import FlipModel
from nonesuch.formats.shards import key_of
from nonesuch.formats.source import Source
from nonesuch.perception.detection import Detector


class RelevanceJudge(NamedTuple):
    """What looks at images and reads captions.

    Attributes:
        model: the text-image model.
        detector: finds the images that show a face.
    """

    model: FlipModel
    detector: Detector


@dataclass(frozen=True)
class Relevance:
    """Captions beside images.

    Attributes:
        own: mean cosine of a caption and its image.
        other: the same with an image of the same source, drawn by a seed: what any caption has.
        first: share of the captions that fit their own image better than that other one; one half by chance.
    """

    own: float
    other: float
    first: float


def relevance(
    source: Source,
    found: CaptionTexts,
    judge: RelevanceJudge,
    on_image: Callable[[int, int], None] = lambda done, total: None,
) -> Relevance:
    """The relevance of captions of a dataset, whose vectors of images are kept beside its shards.

    Args:
        source: the dataset.
        found: its captions.
        judge: whose vectors are compared.
        on_image: told how many images are done, and of how many.

    Raises:
        NonesuchError: no image shows a face, the dataset is incomplete or being written, or the disk is full.
    """
    seen = vectors_of_source(source, judge.model, judge.detector, on_image)
    place = {key_of(photograph.name): row for row, photograph in enumerate(seen.photographs)}
    pairs = [(text, place[name]) for text, name in zip(found.texts, found.names, strict=True) if name in place]
    texts = judge.model.text_vectors([text for text, _ in pairs])
    images = seen.vectors[[row for _, row in pairs]]
    order = permutation(0, Stream.SPLIT, len(pairs))
    others = np.empty_like(order)
    others[order] = np.roll(order, 1)  # everyone gets another one's image
    own, other = (texts * images).sum(1), (texts * images[others]).sum(1)
    return Relevance(float(own.mean()), float(other.mean()), float(((own > other) + 0.5 * (own == other)).mean()))
