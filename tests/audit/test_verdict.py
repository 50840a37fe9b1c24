"""Each light at and beside its bounds."""

import copy

import pytest

from nonesuch.audit.verdict import verdict


def _share(value: float | None, low: float | None = None, high: float | None = None) -> dict:
    return {"value": value, "low": low, "high": high}


FIGURES = {
    "counts": {"found": 1000, "left_out": 0, "lost_identities": 0},
    "embedders": {
        "e": {
            "separability": {"twice": {"identities": 0, "share": _share(0.0, 0.0, 0.0)}},
            "consistency": {"at": {"fmr 0.0001": {"refused": _share(0.0, 0.0, 0.0)}}},
            "study": {
                "eer": _share(0.01, 0.0, 0.02),
                "false_matches": {"fmr 0.001": _share(0.001, 0.0, 0.002)},
                "mated_mean": 0.7,
                "non_mated_mean": 0.0,
            },
            "leakage": {
                "images": {
                    "copies": 0,
                    "excess": {"control 0.01": _share(0.0, -0.01, 0.01), "control 0.001": _share(0.0, -0.001, 0.001)},
                },
                "people": {"excess": {"control 0.01": _share(0.0, -0.01, 0.01)}},
            },
            "realism": {"coverage": _share(0.6, 0.5, 0.7)},
            "realism_of_control": {"coverage": _share(0.6, 0.5, 0.7)},
        }
    },
    "duplicates": {"share": _share(0.0, 0.0, 0.0)},
    "quality": {"no_face_in_crop": _share(0.0, 0.0, 0.0)},
    "variation": {"yaw": {"within": _share(9.0, 8.0, 10.0)}},
    "balance": {"gender": {"shares": {"female": _share(0.5), "male": _share(0.5)}, "distance": None}},
}
E = ("embedders", "e")
IMAGES = (*E, "leakage", "images")


def _colour(about: str, place: tuple[str, ...], value: object) -> str:
    figures = copy.deepcopy(FIGURES)
    part = figures
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    return next(light.colour for light in verdict(figures) if light.about == about)


def test_all_green() -> None:
    assert {light.colour for light in verdict(FIGURES)} == {"green"}


@pytest.mark.parametrize(
    ("about", "place", "values"),
    [
        ("images usable", ("counts", "left_out"), (1, 2, 21)),
        ("no identity twice", (*E, "separability", "twice", "share", "value"), (0.001, 0.002, 0.011)),
        ("strangers are strangers", (*E, "study", "false_matches", "fmr 0.001", "value"), (0.003, 0.004, 0.011)),
        ("images show their identity", (*E, "consistency", "at", "fmr 0.0001", "refused", "value"), (0.05, 0.06, 0.2)),
        ("EER", (*E, "study", "eer", "value"), (0.05, 0.06, 0.16)),
        ("images of an identity differ", (*E, "study", "mated_mean"), (0.85, 0.9, 0.96)),
        ("looks like the real set", (*E, "realism", "coverage", "value"), (0.49, 0.4, 0.29)),
        ("no picture twice", ("duplicates", "share", "value"), (0.001, 0.002, 0.02)),
        ("every image shows a face", ("quality", "no_face_in_crop", "value"), (0.005, 0.01, 0.03)),
        ("heads turn", ("variation", "yaw", "within", "value"), (8.0, 5.0, 3.0)),
    ],
)
def test_bounds(about: str, place: tuple[str, ...], values: tuple[float, float, float]) -> None:
    assert [_colour(about, place, value) for value in values] == ["green", "amber", "red"]


@pytest.mark.parametrize(
    ("place", "value", "colour"),
    [
        ((*IMAGES, "copies"), 1, "red"),
        ((*IMAGES, "excess", "control 0.01"), _share(-0.01, -0.02, -0.001), "green"),
        ((*IMAGES, "excess", "control 0.01"), _share(0.02, -0.01, 0.05), "amber"),
        ((*IMAGES, "excess", "control 0.01"), _share(0.008, 0.001, 0.02), "amber"),
        ((*IMAGES, "excess", "control 0.001"), _share(0.003, 0.001, 0.005), "amber"),
        ((*IMAGES, "excess", "control 0.01"), _share(0.02, 0.001, 0.05), "red"),
        ((*E, "leakage", "people", "excess", "control 0.01"), _share(0.02, 0.001, 0.05), "red"),
        ((*IMAGES, "excess"), {}, "grey"),
    ],
)
def test_leaks(place: tuple[str, ...], value: object, colour: str) -> None:
    assert _colour("no training person shown", place, value) == colour


def test_what_the_figures_do_not_suffice_for() -> None:
    assert _colour("EER", (*E, "study"), {"unknown": "few"}) == "grey"
    assert _colour("no identity twice", (*E, "separability", "twice", "identities"), None) == "grey"
    assert _colour("heads turn", ("variation", "yaw", "within", "value"), None) == "grey"
    assert _colour("images of an identity differ", (*E, "study", "non_mated_mean"), 1.0) == "red"


def test_a_gender_alone_and_a_target() -> None:
    shares = ("balance", "gender", "shares")
    assert _colour("genders are balanced", shares, {"male": _share(1.0)}) == "red"
    assert _colour("genders are balanced", shares, {"male": _share(0.7), "female": _share(0.3)}) == "amber"
    assert _colour("gender as wanted", ("balance", "gender", "distance"), _share(0.1, 0.0, 0.2)) == "amber"
