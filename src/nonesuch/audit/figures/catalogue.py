"""The list of an audit's figures with their places in audit.json, in the order of the tables.

A new figure is a function with its `Measure` in `nonesuch.measures`, and two lines here: how its part of audit.json is
measured, and the figure in the list. audit.json, the tables and, for one with bounds, the verdict then hold it.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from nonesuch.audit.figures.attributes import ATTRIBUTES_PART
from nonesuch.audit.figures.identities import (
    consistency_figures,
    diversity_figures,
    duplicate_figures,
    separability_figures,
    study_figures,
)
from nonesuch.audit.figures.images import balance_figures, quality_figures, variation_figures
from nonesuch.audit.figures.listed import Listed, Need, part_of
from nonesuch.audit.figures.real import control_figures, people_figures, realism_figures
from nonesuch.audit.figures.view import EmbedderView, ImageView
from nonesuch.audit.reference import Reference
from nonesuch.core.errors import NonesuchError
from nonesuch.measures.balance import DISTANCES
from nonesuch.measures.consistency import MISLABELLED, OWN, REFUSED
from nonesuch.measures.diversity import SPREADS, VENDI
from nonesuch.measures.duplicates import DOUBLED, NEAR_DUPLICATES
from nonesuch.measures.figure import (
    COUNT,
    NUMBER,
    SHARE,
    UNKNOWN,
    Better,
    Bounds,
    Figures,
    Measure,
    Unit,
    why_unknown,
)
from nonesuch.measures.leakage import EXCESSES
from nonesuch.measures.metrics import EER
from nonesuch.measures.realism import (
    COVERAGE,
    DENSITY,
    FID,
    FID_OF_CONTROL,
    FRECHET,
    KERNEL,
    PRECISION,
    RECALL,
)
from nonesuch.measures.scores import FALSE_MATCHES, FMR100, FMR1000, MATED_MEAN, NON_MATED_MEAN
from nonesuch.measures.separability import COLLIDING, SEPARABLE, SEPARABLE_PEOPLE, TWICE
from nonesuch.measures.shared_look import OVER_FREQUENT

Measured = dict[str, Any]

# How each part of audit.json is measured: by each embedder, by each against real photographs, and from the images. A
# part that needs more than there is holds `unknown`, in words, instead; one that is None does not apply.
BY_EMBEDDER: dict[str, Callable[[EmbedderView], Measured]] = {
    "separability": separability_figures,
    "consistency": consistency_figures,
    "diversity": diversity_figures,
    "study": study_figures,
}
AGAINST: dict[str, Callable[[EmbedderView, Reference], Measured | None]] = {
    "separability_of_people": people_figures,
    "realism": realism_figures,
    "realism_of_control": control_figures,
}
OF_IMAGES: dict[str, Callable[[ImageView], Measured]] = {
    "duplicates": duplicate_figures,
    "variation": variation_figures,
    "balance": balance_figures,
    "quality": quality_figures,
}
# Parts that `audit` itself makes.
COUNTS, LEAKAGE, FID_PART = "counts", "leakage", "fid"


def measured_by_embedder(view: EmbedderView) -> Measured:
    """The parts of `BY_EMBEDDER`."""
    return {part: _or_unknown(partial(measure, view)) for part, measure in BY_EMBEDDER.items()}


def measured_against(view: EmbedderView, reference: Reference) -> Measured:
    """The parts of `AGAINST` that apply."""
    found = {part: _or_unknown(partial(measure, view, reference)) for part, measure in AGAINST.items()}
    return {part: figures for part, figures in found.items() if figures is not None}


def measured_of_images(view: ImageView) -> Measured:
    """The parts of `OF_IMAGES`."""
    return {part: measure(view) for part, measure in OF_IMAGES.items()}


def _or_unknown(measure: Callable[[], Measured | None]) -> Measured | None:
    try:
        return measure()
    except NonesuchError as error:
        return {UNKNOWN: str(error)}


PHOTOGRAPHS = Need(LEAKAGE, "no photographs to compare with (--against)")
CONTROL = Need("realism_of_control", "no control (--held-out or --control)")
INCEPTION = Need(FID_PART, "Inception was not given (--inception)")
INCEPTION_AND_CONTROL = Need(f"{FID_PART}/{FID_OF_CONTROL.key}_images", f"{INCEPTION.why}, or {CONTROL.why}")
BRISQUE = Need("quality/brisque", "its files were not given (--brisque)")
CLIP_IQA = Need("quality/clip_iqa", "its files were not given (--clip-iqa)")


def known_part(figures: Figures, part: str) -> Figures | None:
    """The content of a part, to draw and list; None where it was not measured.

    Raises:
        UndefinedFigureError: no part has that name.
    """
    if part in (*AGAINST, LEAKAGE, FID_PART) and part not in figures:
        return None
    found = part_of(figures, part)
    return None if why_unknown(found) is not None else found


def _counted(key: str, title: str, meaning: str, better: Better = Better.NEITHER) -> Listed:
    return Listed(COUNTS, Measure(key, title, COUNT, better, interval=False, meaning=meaning))


def _mean(column: str, better: Better = Better.NEITHER, needs: Need | None = None, unit: Unit = NUMBER) -> Listed:
    title = f"{'clipped pixels' if column == 'clipped' else column}: mean"
    return Listed("quality", Measure(f"{column}/mean", title, unit, better, meaning=_MEANINGS[column]), needs)


_MEANINGS = {
    "quality": "length of the raw embedding, as a percentile of real photographs (MagFace)",
    "sharpness": "variance of the Laplacian of the luminance",
    "brightness": "mean luminance, 0 to 255",
    "contrast": "standard deviation of the luminance",
    "brisque": "distortion of natural scenes: lower is better, made for large photographs",
    "clip_iqa": "nearness to the prompt of a good photograph, 0 to 1",
    "clipped": "pixels that are black or white",
}


IDENTITY_FIGURES: tuple[Listed, ...] = (
    Listed("separability", TWICE),
    Listed("separability", SEPARABLE),
    Listed("separability", COLLIDING),
    Listed("consistency", REFUSED),
    Listed("consistency", MISLABELLED),
    Listed("consistency", OWN),
    Listed("study", MATED_MEAN),
    Listed("study", NON_MATED_MEAN),
    Listed("study", FALSE_MATCHES),
    Listed("study", EER),
    Listed("study", FMR100),
    Listed("study", FMR1000),
    Listed("diversity", VENDI),
    Listed("diversity", NEAR_DUPLICATES),
    Listed("separability_of_people", SEPARABLE_PEOPLE, PHOTOGRAPHS),
    *(Listed(LEAKAGE, measure, CONTROL) for measure in EXCESSES.values()),
    *(
        Listed(part, measure, needs, of)
        for part, needs, of in (
            ("realism", PHOTOGRAPHS, ""),
            ("realism_of_control", CONTROL, "held-out photographs: "),
        )
        for measure in (FRECHET, KERNEL, PRECISION, RECALL, DENSITY, COVERAGE)
    ),
)
FACELESS = Measure(
    "no_face_in_crop",
    "crops without a face",
    SHARE,
    Better.LOWER,
    bounds=Bounds(
        "every image shows a face",
        0.005,
        0.02,
        "share of crops in which the detector finds no face: green up to 0.5%, amber up to 2%",
    ),
    meaning="crops in which the detector finds no face",
)
IMAGE_FIGURES: tuple[Listed, ...] = (
    _counted("images", "images", "those that can be used"),
    _counted("identities", "identities", "with a usable image"),
    _counted("single_image_identities", "identities of one image", "of which no mated comparison can be made"),
    _counted("left_out", "images left out", "damaged, too small, or without a face to align", Better.LOWER),
    Listed("duplicates", DOUBLED),
    Listed("quality", FACELESS),
    Listed(FID_PART, FID, INCEPTION),
    Listed(FID_PART, FID_OF_CONTROL, INCEPTION_AND_CONTROL),
    *(Listed("variation", measure) for measure in SPREADS.values()),
    _mean("quality", Better.HIGHER),
    _mean("sharpness", Better.HIGHER),
    _mean("brightness"),
    _mean("contrast"),
    _mean("brisque", Better.LOWER, BRISQUE),
    _mean("clip_iqa", Better.HIGHER, CLIP_IQA),
    _mean("clipped", Better.LOWER, unit=SHARE),
    *(Listed("balance", measure) for measure in DISTANCES.values()),
    Listed(ATTRIBUTES_PART, OVER_FREQUENT),
)
Found = Mapping[str, Figures]  # figures by dataset
