"""The list of an audit's figures with their places in audit.json, in the order of the tables.

A new figure is a function with its `Measure` in `nonesuch.measures`, and two lines here: how its part of audit.json is
measured, in `BY_EMBEDDER` or `OF_IMAGES`, and its place in `IDENTITY_FIGURES` or `IMAGE_FIGURES`. audit.json, the
tables, `--require` and, for one with bounds, the verdict then hold it.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from nonesuch.audit.figures.attributes import ATTRIBUTES_PART, attribute_figures
from nonesuch.audit.figures.counts import COUNTS, IDENTITIES, IMAGES, LEFT_OUT, SINGLES, count_figures
from nonesuch.audit.figures.identities import (
    consistency_figures,
    diversity_figures,
    duplicate_figures,
    separability_figures,
    study_figures,
)
from nonesuch.audit.figures.images import balance_figures, quality_figures
from nonesuch.audit.figures.leakage import LEAKAGE, leakage_figures
from nonesuch.audit.figures.listed import Listed
from nonesuch.audit.figures.real import control_figures, fid_figures, people_figures, realism_figures
from nonesuch.audit.figures.relevance import (
    CAPTIONS_FIRST,
    CAPTIONS_OTHER,
    CAPTIONS_OWN,
    RELEVANCE_PART,
    relevance_figures,
)
from nonesuch.audit.figures.view import EmbedderView, ImageView
from nonesuch.audit.judges import brought_files as judges
from nonesuch.core.errors import NonesuchError
from nonesuch.measures.balance import DISTANCES
from nonesuch.measures.consistency import MISLABELLED, OWN, REFUSED
from nonesuch.measures.diversity import SPREADS, VENDI, spreads
from nonesuch.measures.duplicates import DOUBLED, NEAR_DUPLICATES
from nonesuch.measures.figure import (
    NUMBER,
    SHARE,
    UNKNOWN,
    Better,
    Bounds,
    Figures,
    Measure,
    Unit,
)
from nonesuch.measures.leakage import COPIES, EXCESSES, TELLING
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
from nonesuch.measures.suspects import MATCHING_CONTROL, POWER, SUSPECTS, TELLING_PEOPLE

Measured = dict[str, Any]

# How each part of audit.json is measured: by each embedder, and from the images. A part that needs more than there is
# holds `unknown`, in words, instead; no part is ever absent.
BY_EMBEDDER: dict[str, Callable[[EmbedderView], Measured]] = {
    "separability": separability_figures,
    "consistency": consistency_figures,
    "diversity": diversity_figures,
    "study": study_figures,
    LEAKAGE: leakage_figures,
    "separability_of_people": people_figures,
    "realism": realism_figures,
    "realism_of_control": control_figures,
}
OF_IMAGES: dict[str, Callable[[ImageView], Measured]] = {
    COUNTS: count_figures,
    "duplicates": duplicate_figures,
    "variation": lambda view: spreads(view.seen.columns, view.seen.identities),
    "balance": balance_figures,
    "quality": quality_figures,
    "fid": fid_figures,
    ATTRIBUTES_PART: attribute_figures,
    RELEVANCE_PART: relevance_figures,
}


def measured_by_embedder(view: EmbedderView) -> Measured:
    """The parts of `BY_EMBEDDER`."""
    return {part: _or_unknown(partial(measure, view)) for part, measure in BY_EMBEDDER.items()}


def measured_of_images(view: ImageView) -> Measured:
    """The parts of `OF_IMAGES`."""
    return {part: _or_unknown(partial(measure, view)) for part, measure in OF_IMAGES.items()}


def _or_unknown(measure: Callable[[], Measured]) -> Measured:
    try:
        return measure()
    except NonesuchError as error:
        return {UNKNOWN: str(error)}


def _mean(column: str, better: Better = Better.NEITHER, unit: Unit = NUMBER) -> Listed:
    title = f"{'clipped pixels' if column == 'clipped' else column}: mean"
    return Listed("quality", Measure(f"{column}/mean", title, unit, better, meaning=_MEANINGS[column]))


_MEANINGS = {
    "quality": "length of the raw embedding, as a percentile of real photographs (MagFace)",
    "sharpness": "variance of the Laplacian of the luminance",
    "brightness": "mean luminance, 0 to 255",
    "contrast": "standard deviation of the luminance",
    "brisque": "distortion of natural scenes: lower is better, made for large photographs",
    "clip_iqa": "nearness to the prompt of a good photograph, 0 to 1",
    "clipped": "pixels that are black or white",
}


# What needs weights from the user.
INCEPTION, BRISQUE, CLIP_IQA = (
    Listed("fid", FID),
    _mean(judges.BRISQUE, Better.LOWER),
    _mean(judges.CLIP_IQA, Better.HIGHER),
)
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
    Listed("separability_of_people", SEPARABLE_PEOPLE),
    *(
        Listed(LEAKAGE, measure)
        for measure in (
            COPIES,
            *EXCESSES.values(),
            *TELLING.values(),
            SUSPECTS,
            MATCHING_CONTROL,
            POWER,
            TELLING_PEOPLE,
        )
    ),
    *(
        Listed(part, measure, of)
        for part, of in (("realism", ""), ("realism_of_control", "held-out photographs: "))
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
    *(Listed(COUNTS, measure) for measure in (IMAGES, IDENTITIES, SINGLES, LEFT_OUT)),
    Listed("duplicates", DOUBLED),
    Listed("quality", FACELESS),
    INCEPTION,
    Listed("fid", FID_OF_CONTROL),
    *(Listed("variation", measure) for measure in SPREADS.values()),
    _mean("quality", Better.HIGHER),
    _mean("sharpness", Better.HIGHER),
    _mean("brightness"),
    _mean("contrast"),
    BRISQUE,
    CLIP_IQA,
    _mean("clipped", Better.LOWER, unit=SHARE),
    *(Listed("balance", measure) for measure in DISTANCES.values()),
    Listed(ATTRIBUTES_PART, OVER_FREQUENT),
    *(Listed(RELEVANCE_PART, measure) for measure in (CAPTIONS_OWN, CAPTIONS_OTHER, CAPTIONS_FIRST)),
)
Found = Mapping[str, Figures]  # figures by dataset
