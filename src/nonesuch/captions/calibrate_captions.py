"""Measuring from which score on the facts of captions are right."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nonesuch.captions.facts import scores
from nonesuch.captions.thresholds import Thresholds, measured
from nonesuch.core import files
from nonesuch.core.arguments import DTYPE, checked
from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import AnyPath, as_path, as_paths, as_texts
from nonesuch.loop.progress import OnProgress, no_progress
from nonesuch.models import load_perceiver
from nonesuch.perception.attributes import ATTRIBUTES
from nonesuch.perception.labels import LabelledPhotographs, labelled
from nonesuch.perception.perceiver import Perceiver

_BATCH = 256


@dataclass(frozen=True)
class CalibratedCaptions:
    """What was measured.

    Attributes:
        file: with the thresholds, for `caption_faces(thresholds=...)`.
        thresholds: its content.
        images: that were looked at.
    """

    file: Path
    thresholds: Thresholds
    images: int


@checked(dtype=DTYPE)
def calibrate_captions(
    out: AnyPath,
    *,
    data: AnyPath | list[AnyPath],
    split: str | list[str] | None = None,
    model: str = "perceiver",
    device: str = "auto",
    dtype: str = "float32",
    on_progress: OnProgress = no_progress,
) -> CalibratedCaptions:
    """Measure, on photographs with labels, from which score on each fact is right with a precision.

    Args:
        out: JSON file to write.
        data: tars of aligned photographs that the heads were not trained on, with a table of labels beside each, as for
            `train_perceiver`: CelebA's attributes, landmarks (for the pose), or age.
        split: where the tables name splits, only the photographs of this one: one for all tars, or one for each.
        model: the perception heads, by name or file.
        device, dtype: of the networks.
        on_progress: told how many are looked at.

    Raises:
        NonesuchError: the data cannot be used, or `out` cannot be written.

    Example:
        nonesuch.calibrate_captions("thresholds.json", data="celeba112.tar", split="test")
    """
    place = as_path(out)
    if not files.can_write(place.parent):
        raise NonesuchError(f"{place}: cannot be written")
    perceiver = load_perceiver(model, device, dtype)
    tars = as_paths(data)
    splits = as_texts(split) if split else [None]
    if len(splits) not in (1, len(tars)):
        raise NonesuchError(f"--split: {len(splits)} of them for {len(tars)} tars; give one, or one for each")
    parts = [labelled([tar], part) for tar, part in zip(tars, splits * (len(tars) // len(splits)), strict=True)]
    total = sum(len(part.photographs) for part in parts)
    found, truth, before = [], [], 0
    for part in parts:
        found.append(seen_scores(part, perceiver, partial(_tell, on_progress, before, total)))
        truth.append(true_columns(part))
        before += len(part.photographs)
    columns = {name: np.concatenate([part[name] for part in truth]) for name in truth[0]}
    names = ", ".join(path.name for path in tars)
    thresholds = measured(np.concatenate(found), columns, perceiver.card.sha256, f"{total:,} photographs of {names}")
    thresholds.write(place)
    return CalibratedCaptions(place, thresholds, total)


def _tell(on_progress: OnProgress, before: int, total: int, done: int) -> None:
    on_progress("perceiving", before + done, total)


def seen_scores(
    known: LabelledPhotographs, perceiver: Perceiver, on_image: Callable[[int], None] = lambda done: None
) -> NDArray[np.float64]:
    """(N, F) scores of the facts that heads see in aligned photographs; `on_image` is told how many are looked at."""
    found = []
    for start in range(0, len(known.photographs), _BATCH):
        crops = np.stack([photograph.read_crop() for photograph in known.photographs[start : start + _BATCH]])
        found.append(scores(perceiver.perceive(crops)))
        on_image(start + len(crops))
    return np.concatenate(found)


def true_columns(known: LabelledPhotographs) -> dict[str, np.ndarray]:
    """The labels by the name of the column that estimates them; NaN where there are none."""
    found = {name: known.attributes[:, place] for place, name in enumerate(ATTRIBUTES)}
    return {**found, "yaw": known.pose[:, 0], "age": known.face[:, 0]}
