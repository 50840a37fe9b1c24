"""Asking about a face of a picture."""

from pathlib import Path

import numpy as np

from nonesuch.captions.asking.answers import Answered, Box, answer
from nonesuch.captions.asking.judging import Judge
from nonesuch.captions.asking.questions import Question, read_question
from nonesuch.captions.thresholds import PRECISIONS, SHIPPED, read_thresholds
from nonesuch.core import files, images
from nonesuch.core.arguments import DTYPE, Choice, checked
from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import AnyPath, as_path
from nonesuch.core.images import CROP_SIZE, Pixels
from nonesuch.models import load_detector, load_perceiver
from nonesuch.perception.alignment import align
from nonesuch.perception.faces import NO_FACE

AGE_ERROR = 6.0  # years, mean over 1,302 adults of UTKFace: benchmarks/README.md, Perception


@checked(precision=Choice(PRECISIONS), dtype=DTYPE)
def ask_face(
    image: AnyPath,
    question: str,
    *,
    precision: str = "0.9",
    thresholds: AnyPath | None = None,
    model: str = "perceiver",
    device: str = "auto",
    dtype: str = "float32",
) -> Answered:
    """Answer a question about a face of a picture by what perception heads give, or say that it cannot be told.

    What heads give are guesses from looks. Ethnicity, emotions, identity and attractiveness are never told.

    Args:
        image: a picture; one of 112x112 counts as aligned, in others faces of 40 pixels and more are looked for.
        question: in English, as "how old is the woman with glasses?".
        precision: a fact is stated where statements like it are right in at least this share of labelled photographs.
        thresholds: what `calibrate_captions` wrote; None for what ships, which is for the shipped heads.
        model: the perception heads, by name or file.
        device, dtype: of the networks.

    Raises:
        NonesuchError: the question is not understood, the picture cannot be read or shows no face, or the thresholds
            are for other heads.

    Example:
        nonesuch.ask_face("party.jpg", "how old is the woman with glasses?").text
    """
    asked = read_question(question)
    path = as_path(image)
    pixels = images.read(path)
    perceiver = load_perceiver(model, device, dtype)
    table = read_thresholds(SHIPPED if thresholds is None else as_path(thresholds), perceiver.card.sha256)
    crops, boxes = _faces(pixels, device)
    if not boxes:
        return _of_none(asked, path)
    shipped = files.read_json(SHIPPED)["perceiver"] == perceiver.card.sha256
    judge = Judge(perceiver.perceive(crops), table, precision)
    return answer(asked, judge, boxes, AGE_ERROR if shipped else None)


def _faces(pixels: Pixels, device: str) -> tuple[Pixels, list[Box]]:
    """(N, 112, 112, 3) aligned crops of all faces, and their boxes in the picture."""
    if pixels.shape == (CROP_SIZE, CROP_SIZE, 3):
        return pixels[None], [(0.0, 0.0, float(CROP_SIZE), float(CROP_SIZE))]
    found = load_detector(device).detect(pixels)
    crops = [align(pixels, face.landmarks) for face in found]
    sides = [map(float, face.box) for face in found]  # numpy's own floats print as np.float64(...)
    boxes = [(left, top, right, bottom) for left, top, right, bottom in sides]
    return np.stack(crops) if crops else np.empty((0, CROP_SIZE, CROP_SIZE, 3), np.uint8), boxes


def _of_none(question: Question, path: Path) -> Answered:
    """The answer where there is no face: how many there are is all that can be said."""
    if question.kind != "count":
        raise NonesuchError(f"{path}: {NO_FACE}")
    return Answered(question.text, "None: no face is found.")
