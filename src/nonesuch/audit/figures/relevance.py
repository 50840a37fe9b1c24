"""Part of audit.json: how well a dataset's captions fit its images."""

import dataclasses
from functools import partial
from typing import Any

from nonesuch.audit.figures.view import ImageView
from nonesuch.captions.analysis.caption_texts import CaptionTexts, read_captions
from nonesuch.captions.analysis.relevance import relevance
from nonesuch.core.errors import NonesuchError
from nonesuch.core.notices import notice
from nonesuch.measures.figure import COSINE, SHARE, Better, Measure

RELEVANCE_PART = "relevance"
NO_TEXT_IMAGE = "a text-image model was not given (--relevance)"
_MOST = 100_000  # captions, the first ones


CAPTIONS_OWN = Measure(
    "own",
    "captions: cosine with the own image",
    COSINE,
    Better.HIGHER,
    interval=False,
    meaning="of caption and image, by the text-image model (FLIP score)",
)
CAPTIONS_OTHER = Measure(
    "other",
    "captions: cosine with another image",
    COSINE,
    interval=False,
    meaning="what any caption of this dataset has",
)
CAPTIONS_FIRST = Measure(
    "first",
    "captions that fit their own image better",
    SHARE,
    Better.HIGHER,
    interval=False,
    meaning="than another image of the dataset; half by chance",
)


def relevance_figures(view: ImageView) -> dict[str, Any]:
    """`nonesuch.captions.analysis.relevance` of the first captions, by the text-image model that was given.

    Raises:
        NonesuchError: there is no model, or no caption, or what holds them is no dataset of ours.
    """
    if view.text_image is None:
        raise NonesuchError(NO_TEXT_IMAGE)
    try:
        captions = _captions(view)
    except NonesuchError as error:
        notice(f"--relevance: {error}")
        raise
    on_image = partial(view.on_step, "captions beside images")
    found = relevance(view.source, captions, view.text_image, on_image)
    return {"model": view.text_image.model.card.sha256, **dataclasses.asdict(found)}


def _captions(view: ImageView) -> CaptionTexts:
    if not view.source.is_dataset:
        raise NonesuchError(f"{view.source.path}: only a dataset of nonesuch holds captions")
    return read_captions(view.source.path, _MOST)
