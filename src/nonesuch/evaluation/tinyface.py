"""TinyFace's protocol (Cheng et al., ACCV 2018): probes are searched among images of their people and distractors."""

from functools import partial
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError
from nonesuch.evaluation.benchmarks import Benchmark
from nonesuch.evaluation.identification import rank_figures
from nonesuch.evaluation.probes import Embedded
from nonesuch.evaluation.retrieval import retrieve
from nonesuch.formats.photographs import Photograph
from nonesuch.measures.figure import plain
from nonesuch.measures.intervals import mean_over_identities

MATCH, DISTRACTOR, PROBE = "Gallery_Match", "Gallery_Distractor", "Probe"  # folders of the official Testing_Set
_RANKS = (1, 5, 10, 20)


def is_tinyface(photographs: list[Photograph]) -> bool:
    """Whether images lie in folders `Gallery_Match` and `Probe`."""
    return {MATCH, PROBE} <= {_role(photograph) for photograph in photographs}


def tinyface_benchmark(photographs: list[Photograph]) -> Benchmark:
    """Searches of every image below `Probe` in a gallery of those below `Gallery_Match` and `Gallery_Distractor`.

    The file's name says who is shown, before the first underscore; no distractor is a person of the probes. Images in
    other folders do not take part.

    Raises:
        NonesuchError: a name has no underscore, or a probe's person is not in the gallery.
    """
    used = [photograph for photograph in photographs if _role(photograph)]
    roles = np.array([_role(photograph) for photograph in used])
    names = [_person(photograph) if _role(photograph) != DISTRACTOR else "" for photograph in used]
    people = np.unique(names, return_inverse=True)[1]
    people[roles == DISTRACTOR] = -1
    absent = np.flatnonzero((roles == PROBE) & ~np.isin(people, people[roles == MATCH]))
    if len(absent):
        raise NonesuchError(f"{used[absent[0]].name}: {MATCH} holds no image of its person, {names[absent[0]]}")
    probes, gallery, distractors = (int((roles == role).sum()) for role in (PROBE, MATCH, DISTRACTOR))
    title = f"TinyFace: {probes:,} probes in a gallery of {gallery:,} images and {distractors:,} distractors"
    return Benchmark(title, used, partial(_figures, roles == PROBE, people))


def _figures(is_probe: NDArray[np.bool_], people: NDArray[np.int64], found: Embedded) -> dict[str, Any]:
    """rank: share of probes with an image of their person among the first 1, 5, 10, 20; cmc: 1, 2, .. 20; map: mean
    average precision. A probe without a face finds nobody; an image of the gallery without one is not found.
    """
    gallery = ~is_probe
    searched = retrieve(found.unit[gallery], people[gallery], found.unit[is_probe], people[is_probe])
    precision = plain(mean_over_identities(searched.average_precision, people[is_probe]))
    return {**rank_figures(searched.rank, _RANKS, people[is_probe]), "map": precision}


def _role(photograph: Photograph) -> str:
    folders = PurePosixPath(photograph.name).parts[:-1]
    return next((role for role in (MATCH, DISTRACTOR, PROBE) if role in folders), "")


def _person(photograph: Photograph) -> str:
    name, underscore, _ = PurePosixPath(photograph.name).name.partition("_")
    if not underscore or not name:
        raise NonesuchError(f"{photograph.name}: TinyFace's names begin with the person and an underscore, as 17_2.jpg")
    return name
