"""Each light at and beside its bounds."""

import copy

import pytest

from nonesuch.audit.figures.catalogue import IDENTITY_FIGURES, IMAGE_FIGURES
from nonesuch.audit.figures.listed import Listed
from nonesuch.audit.summary import tables
from nonesuch.audit.verdict import Light, verdict
from nonesuch.measures.figure import UndefinedFigureError


def _share(value: float | None, low: float | None = None, high: float | None = None) -> dict:
    return {"value": value, "low": low, "high": high}


def _place(figures: dict, path: str, value: object) -> None:
    *parents, last = path.split("/")
    for key in parents:
        figures = figures.setdefault(key, {})
    figures[last] = value


def _green(listed: tuple[Listed, ...]) -> dict:
    """Every figure of the list, at its green bound or 0."""
    figures: dict = {}
    for item in listed:
        measure, bounds = item.measure, item.measure.bounds
        at = bounds.at if bounds is not None else ""
        path = f"{item.part}/{measure.key.replace('*', at or 'x')}"
        value = bounds.green if bounds is not None else 0.0
        _place(figures, path, _share(value, value, value) if measure.interval else value)
        for beside in filter(None, (measure.count, measure.deviation)):
            _place(figures, f"{path.rpartition('/')[0]}/{beside}", 0)
    return figures


def _figures() -> dict:
    """All lights green: the catalogue's figures at their bounds, and what lights of several figures read."""
    by, figures = _green(IDENTITY_FIGURES), _green(IMAGE_FIGURES)
    by["study"] |= {"mated_mean": 0.7, "non_mated_mean": 0.0}
    clean = {"control 0.01": _share(0.0, -0.01, 0.009), "control 0.001": _share(0.0, -0.001, 0.001)}
    by["leakage"]["images"] |= {"excess": clean}
    by["leakage"]["people"] |= {"excess": {"control 0.01": _share(0.0, -0.01, 0.009)}}
    by["realism"]["coverage"], by["realism_of_control"]["coverage"] = _share(0.6, 0.5, 0.7), _share(0.6, 0.5, 0.7)
    figures["counts"] |= {"found": 1000, "lost_identities": 0}
    figures["balance"]["gender"] = {"shares": {"female": _share(0.5), "male": _share(0.5)}, "distance": None}
    return {**figures, "embedders": {"e": by}}


FIGURES = _figures()
E = ("embedders", "e")
IMAGES = (*E, "leakage", "images")
NEARER = "few images nearer to the training set than strangers'"
NO_CONTROL_WOULD = {"excess": {"control 0.01": _share(0.0, -0.01, 0.02)}, "telling": None}


def _light(about: str, place: tuple[str, ...], value: object, figures: dict = FIGURES) -> Light:
    figures = copy.deepcopy(figures)
    part = figures
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    return next(light for light in verdict(figures) if light.about == about)


def _colour(about: str, place: tuple[str, ...], value: object) -> str:
    return _light(about, place, value).colour


def test_all_green() -> None:
    assert {light.colour for light in verdict(FIGURES)} == {"green"}


@pytest.mark.parametrize(
    ("about", "place", "values"),
    [
        ("images usable", ("counts", "left_out"), (1, 2, 20, 21)),
        ("no identity twice", (*E, "separability", "twice", "share", "value"), (0.005, 0.0051, 0.01, 0.011)),
        ("strangers are strangers", (*E, "study", "false_matches", "fmr 0.001", "value"), (0.003, 0.0031, 0.01, 0.011)),
        (
            "images show their identity",
            (*E, "consistency", "at", "fmr 0.0001", "refused", "value"),
            (0.05, 0.051, 0.15, 0.16),
        ),
        ("EER", (*E, "study", "eer", "value"), (0.05, 0.051, 0.15, 0.151)),
        ("images of an identity differ", (*E, "study", "mated_mean"), (0.85, 0.86, 0.95, 0.96)),
        ("looks like the real set", (*E, "realism", "coverage", "value"), (0.49, 0.4, 0.31, 0.29)),
        ("no picture twice", ("duplicates", "share", "value"), (0.005, 0.0051, 0.01, 0.011)),
        ("every image shows a face", ("quality", "no_face_in_crop", "value"), (0.005, 0.006, 0.02, 0.021)),
        ("heads turn", ("variation", "yaw", "within", "value"), (8.0, 7.9, 4.0, 3.9)),
        (
            "gender as wanted",
            ("balance", "gender", "distance"),
            (_share(0.05), _share(0.051), _share(0.15), _share(0.151)),
        ),
    ],
)
def test_bounds(about: str, place: tuple[str, ...], values: tuple[object, ...]) -> None:
    """The last green and the last amber value, and one beyond each."""
    assert [_colour(about, place, value) for value in values] == ["green", "amber", "amber", "red"]


@pytest.mark.parametrize(
    ("about", "place", "value", "told"),
    [
        # 0 of 100 identities, by the rule of three up to 3%: six times as many would end at 0.5%.
        ("no identity twice", (*E, "separability", "twice", "share"), (0.0, 0.0, 0.03), "6 times as many identities"),
        ("no identity twice", (*E, "separability", "twice", "share"), (0.001, 0.0, 0.005), ""),
        ("EER", (*E, "study", "eer"), (0.04, 0.03, 0.06), "cannot tell: 4 times as many identities would"),
        ("EER", (*E, "study", "eer"), (0.05, 0.04, 0.06), "cannot tell: no number of identities would"),
        ("EER", (*E, "study", "eer"), (0.04, float("nan"), float("nan")), ""),
        ("every image shows a face", ("quality", "no_face_in_crop"), (0.004, 0.0, 0.006), "4 times as many"),
        ("heads turn", ("variation", "yaw", "within"), (9.0, 7.5, 11.0), "3 times as many"),
        ("looks like the real set", (*E, "realism", "coverage"), (0.5, 0.4, 0.6), "25 times as many"),
        ("genders are balanced", ("balance", "gender", "shares", "male"), (0.42, 0.38, 0.46), "4 times as many"),
    ],
)
def test_green_is_the_whole_interval(about: str, place: tuple[str, ...], value: tuple[float, ...], told: str) -> None:
    light = _light(about, place, _share(*value))
    assert light.colour == ("amber" if told else "green")
    assert ("cannot tell" in light.told) == bool(told)
    assert told in light.told


def test_a_copy() -> None:
    assert _colour("no copy of a training photograph", (*IMAGES, "copies"), 1) == "red"
    assert _colour("no copy of a training photograph", (*IMAGES, "copies"), None) == "grey"


@pytest.mark.parametrize(
    ("about", "place"),
    [
        ("no copy of a training photograph", (*E, "leakage")),
        (NEARER, (*E, "leakage")),
        (NEARER, (*IMAGES, "excess")),
        ("looks like the real set", (*E, "realism")),
        ("looks like the real set", (*E, "realism_of_control")),
    ],
)
def test_what_was_not_tested_is_grey_and_says_how_to_test(about: str, place: tuple[str, ...]) -> None:
    light = _light(about, place, {"unknown": "give --against"})
    assert (light.colour, light.told) == ("grey", "not tested: give --against")


@pytest.mark.parametrize("part", ["leakage", "realism", "realism_of_control", "separability_of_people"])
def test_a_renamed_part_is_an_error(part: str) -> None:
    figures = copy.deepcopy(FIGURES)
    by = figures["embedders"]["e"]
    by["renamed"] = by.pop(part)
    with pytest.raises(UndefinedFigureError):
        tables({"d": figures})


@pytest.mark.parametrize(
    ("place", "value", "colour"),
    [
        ((*IMAGES, "excess", "control 0.01"), _share(-0.01, -0.02, -0.001), "green"),
        ((*IMAGES, "excess", "control 0.01"), _share(0.02, -0.01, 0.05), "amber"),
        ((*IMAGES, "excess", "control 0.01"), _share(0.008, 0.001, 0.02), "amber"),
        ((*IMAGES, "excess", "control 0.001"), _share(0.003, 0.001, 0.005), "amber"),
        ((*IMAGES, "excess", "control 0.01"), _share(0.02, 0.001, 0.05), "red"),
        ((*E, "leakage", "people", "excess", "control 0.01"), _share(0.02, 0.001, 0.05), "red"),
        ((*IMAGES, "excess", "control 0.01"), _share(0.0088, -0.0016, 0.0231), "amber"),
        ((*E, "leakage", "people", "excess", "control 0.01"), _share(0.0, -0.01, 0.01), "amber"),
    ],
)
def test_leaks(place: tuple[str, ...], value: object, colour: str) -> None:
    """Green only where the whole interval is below the bound."""
    assert _colour(NEARER, place, value) == colour


def test_what_would_tell() -> None:
    figures = copy.deepcopy(FIGURES)
    figures["embedders"]["e"]["leakage"]["people"]["telling"] = 5000
    place = (*E, "leakage", "people", "excess", "control 0.01")
    light = _light(NEARER, place, _share(0.0, -0.01, 0.02), figures)
    assert light.told.endswith("cannot tell: about 5,000 control images would")
    assert "cannot tell: no control would" in _light(NEARER, (*E, "leakage", "people"), NO_CONTROL_WOULD).told


@pytest.mark.parametrize(
    ("found", "colour", "told"),
    [
        ({"suspects": 1}, "red", "1 suspects"),
        ({"suspects": 1, "control_above": 2}, "red", "2 held-out people"),
        ({"power": {"identities": 1, "share": 0.01}}, "green", "a leak of 1 identities (1.000%) or more"),
        ({"power": {"identities": 10, "share": 0.001}}, "green", "a leak of 10 identities (0.1000%) or more"),
        (
            {"power": {"identities": 3, "share": 0.003}, "telling": 900},
            "amber",
            "cannot tell: about 900 control people would",
        ),
        ({"power": {"identities": 3, "share": 0.003}, "telling": None}, "amber", "cannot tell: no control would"),
        ({"power": {"identities": None, "share": None}}, "amber", "cannot tell: not even a leak of all"),
        ({"power": {"unknown": "none planted"}}, "amber", "cannot tell: none planted"),
    ],
)
def test_suspects(found: dict, colour: str, told: str) -> None:
    identities = {**FIGURES["embedders"]["e"]["leakage"]["identities"], **found}
    light = _light("no identity matches a training person", (*E, "leakage", "identities"), identities)
    assert light.colour == colour
    assert told in light.told


def test_what_the_figures_do_not_suffice_for() -> None:
    assert _colour("EER", (*E, "study"), {"unknown": "few"}) == "grey"
    assert _colour("no identity twice", (*E, "separability", "twice", "share"), _share(None)) == "grey"
    assert _colour("heads turn", ("variation", "yaw", "within", "value"), None) == "grey"
    assert _colour("images of an identity differ", (*E, "study", "non_mated_mean"), 1.0) == "red"


def test_a_gender_alone_and_a_target() -> None:
    shares = ("balance", "gender", "shares")
    assert _colour("genders are balanced", shares, {"male": _share(1.0)}) == "red"
    assert _colour("genders are balanced", shares, {"male": _share(0.7), "female": _share(0.3)}) == "amber"
    assert _colour("gender as wanted", ("balance", "gender", "distance"), _share(0.1, 0.0, 0.2)) == "amber"
