"""Which photographs of others are worth a caption: the rules of published sets, and how many each of them removes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from nonesuch.core.arguments import Choice
from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import Pixels
from nonesuch.formats.photographs import Photograph
from nonesuch.perception.detection import Detector, Face

EVERY = "none"
_CONFIDENCE, _SIDE = 0.98, 128  # FaceCaption-15M (arXiv 2407.08515)
_MOST_FACES, _SHARE = 3, 0.04  # FaceID-6M
_FLOOR = 256  # pixels of the shorter side; FaceID-6M has a floor and does not say which


@dataclass(frozen=True)
class Rule:
    """What a photograph must fulfil to go on.

    Attributes:
        title: what is left then, in words.
        holds: takes the photograph and its faces, largest first.
    """

    title: str
    holds: Callable[[Pixels, Sequence[Face]], bool]


def _side(face: Face) -> float:
    left, top, right, bottom = face.box
    return min(right - left, bottom - top)


def _share(face: Face, image: Pixels) -> float:
    return face.area / (image.shape[0] * image.shape[1])


_FACE = Rule("with a face", lambda image, faces: bool(faces))
FUNNELS: dict[str, tuple[Rule, ...]] = {
    EVERY: (),
    "facecaption": (
        _FACE,
        Rule(f"a confidence above {_CONFIDENCE}", lambda image, faces: faces[0].score > _CONFIDENCE),
        Rule(f"a face of {_SIDE} pixels or more", lambda image, faces: _side(faces[0]) >= _SIDE),
    ),
    "faceid": (
        _FACE,
        Rule(f"at most {_MOST_FACES} faces", lambda image, faces: len(faces) <= _MOST_FACES),
        Rule(
            f"each face {_SHARE:.0%} of the picture or more",
            lambda image, faces: all(_share(face, image) >= _SHARE for face in faces),
        ),
        Rule(f"a shorter side of {_FLOOR} pixels or more", lambda image, faces: min(image.shape[:2]) >= _FLOOR),
    ),
}
FUNNEL = Choice(tuple(FUNNELS))


def sifted(
    photographs: Sequence[Photograph],
    detector: Detector,
    funnel: str,
    on_image: Callable[[int], None] = lambda done: None,
) -> tuple[list[Photograph], dict[str, int]]:
    """The photographs that fulfil all rules, with their largest face's landmarks, and how many each rule leaves.

    Args:
        funnel: of `FUNNELS`.
        on_image: told how many have been looked at.

    Returns:
        The photographs in their order; counts by what is left, in the order of the rules, "photographs" first.

    Raises:
        NonesuchError: none is left.
    """
    rules = FUNNELS[funnel]
    counts = {"photographs": len(photographs), "that can be read": 0, **{rule.title: 0 for rule in rules}}
    kept = []
    for number, photograph in enumerate(photographs, 1):
        on_image(number)
        try:
            image = photograph.read()
        except NonesuchError:
            continue
        counts["that can be read"] += 1
        faces = detector.detect(image)
        for rule in rules:
            if not rule.holds(image, faces):
                break
            counts[rule.title] += 1
        else:
            points = tuple((float(x), float(y)) for x, y in faces[0].landmarks)
            kept.append(replace(photograph, landmarks=points))
    if not kept:
        told = ", ".join(f"{title} {count:,}" for title, count in counts.items())
        raise NonesuchError(f"--funnel {funnel}: no photograph is left ({told})")
    return kept, counts
