"""Traffic lights: what a dataset's figures say, each by a rule that is told with it.

The bounds are this project's, chosen from its measurements of photographs (LFW, CelebA) and of generated sets; they
are there to be read, and `--require` is there for one's own.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Figures = Mapping[str, Any]
GREEN, AMBER, RED, GREY = "green", "amber", "red", "grey"
_FMR = "fmr 0.0001"


@dataclass(frozen=True)
class Light:
    """One judgement.

    Attributes:
        about: what is judged.
        by: the embedder, or "" where none is needed.
        colour: GREEN, AMBER or RED, GREY where the figures do not suffice.
        told: the figures, in words.
        rule: when it is which colour.
    """

    about: str
    by: str
    colour: str
    told: str
    rule: str


def verdict(figures: Figures) -> list[Light]:
    """The lights of one dataset's figures, as audit.json holds them."""
    lights = [_usable(figures)]
    for name, by in figures["embedders"].items():
        lights += [Light(about, name, *light) for about, light in _of_embedder(by)]
    lights += [_duplicates(figures), _faces(figures), _pose(figures), _gender(figures)]
    return lights


def _graded(value: float, green: float, amber: float, least: bool = False) -> str:
    """Green up to the first bound and amber up to the second; from them on where `least`."""
    if least:
        return GREEN if value >= green else AMBER if value >= amber else RED
    return GREEN if value <= green else AMBER if value <= amber else RED


def _share(figure: Mapping[str, float | None], digits: int = 1) -> str:
    value, low, high = (figure[key] for key in ("value", "low", "high"))
    shown = f"{value:.{digits}%}"
    return shown if low is None or high is None else f"{shown} ({low:.{digits}%} to {high:.{digits}%})"


def _usable(figures: Figures) -> Light:
    counts = figures["counts"]
    share = counts["left_out"] / counts["found"]
    told = f"{counts['left_out']} of {counts['found']} images left out"
    if counts["lost_identities"]:
        told += f", {counts['lost_identities']} identities with them"
    return Light("images usable", "", _graded(share, 0.001, 0.02), told, "green up to .1% left out, amber up to 2%")


def _of_embedder(by: Figures) -> Iterator[tuple[str, tuple[str, str, str]]]:
    judged: dict[str, tuple[Callable[[Figures], tuple[str, str]], str]] = {
        "no identity twice": (
            _twice,
            "identities as alike to another as the two halves of one identity are (all but the worst 5%): green up to "
            ".1%, amber up to 1%",
        ),
        "strangers are strangers": (
            _strangers,
            "non-mated images that match at the embedder's threshold of FMR 1e-3: green up to three times that, amber "
            "up to ten times",
        ),
        "images show their identity": (
            _consistent,
            "share of images refused as their own identity at FMR 1e-4: green up to 5%, amber up to 15%",
        ),
        "EER": (_eer, "green up to 5%, amber up to 15%"),
        "images of an identity differ": (
            _varied,
            "mean cosine of mated images between that of non-mated ones (0) and 1: green up to .85, amber up to .95",
        ),
        "no training person shown": (
            _leaks,
            "red with an image as near to a training photograph as a copy of it would be; else by the excess, the "
            "share of images beyond the cosine that 1% of held-out people's exceed, minus that 1%, by images and by "
            "people's centres: amber above 1%, or where an interval (of .1% too) lies above 0, red where both; grey "
            "without a control",
        ),
        "looks like the real set": (
            _covers,
            "coverage against that of held-out photographs of equal number: green from four fifths of it, amber from "
            "half; grey without a control",
        ),
    }
    for about, (judge, rule) in judged.items():
        if about in ("no training person shown", "looks like the real set") and "leakage" not in by:
            continue
        try:
            colour, told = judge(by)
        except KeyError:
            colour, told = GREY, "the figures do not suffice"
        yield about, (colour, told, rule)


def _twice(by: Figures) -> tuple[str, str]:
    found = by["separability"]["twice"]
    if found["identities"] is None:
        return GREY, "no identity has four images"
    return _graded(found["share"]["value"], 0.001, 0.01), f"{found['identities']}, {_share(found['share'], 2)}"


def _strangers(by: Figures) -> tuple[str, str]:
    share = by["study"]["false_matches"]["fmr 0.001"]
    return _graded(share["value"], 3e-3, 1e-2), _share(share, 2)


def _consistent(by: Figures) -> tuple[str, str]:
    refused = by["consistency"]["at"][_FMR]["refused"]
    return _graded(refused["value"], 0.05, 0.15), _share(refused)


def _eer(by: Figures) -> tuple[str, str]:
    eer = by["study"]["eer"]
    return _graded(eer["value"], 0.05, 0.15), _share(eer, 2)


def _varied(by: Figures) -> tuple[str, str]:
    found = by["study"]
    mated, non_mated = found["mated_mean"], found["non_mated_mean"]
    if non_mated > 0.999:
        return RED, f"mated {mated:.3f}, non-mated {non_mated:.3f}: all images are alike"
    place = (mated - non_mated) / (1.0 - non_mated)
    return _graded(place, 0.85, 0.95), f"{place:.2f} (mated {mated:.3f}, non-mated {non_mated:.3f})"


def _leaks(by: Figures) -> tuple[str, str]:
    found = {kind: part["excess"]["control 0.01"] for kind, part in by["leakage"].items()}
    copies = by["leakage"]["images"]["copies"]
    told = f"{copies} copies; excess by " + "; by ".join(f"{kind} {_share(row, 2)}" for kind, row in found.items())
    if copies:
        return RED, told
    further = [row for part in by["leakage"].values() for row in part["excess"].values()]
    surely = any(row["low"] is not None and row["low"] > 0 for row in further)
    large = any(row["value"] > 0.01 for row in found.values())
    return (GREEN, AMBER, RED)[surely + large], told


def _covers(by: Figures) -> tuple[str, str]:
    mine, floor = by["realism"]["coverage"], by["realism_of_control"]["coverage"]
    ratio = mine["value"] / floor["value"] if floor["value"] else 0.0
    return _graded(ratio, 0.8, 0.5, least=True), f"{_share(mine)}, held-out photographs {_share(floor)}"


def _duplicates(figures: Figures) -> Light:
    share = figures["duplicates"]["share"]
    colour = _graded(share["value"], 0.001, 0.01)
    return Light("no picture twice", "", colour, _share(share, 2), "green up to .1% of the images, amber up to 1%")


def _faces(figures: Figures) -> Light:
    share = figures["quality"]["no_face_in_crop"]
    rule = "crops in which the detector finds no face: green up to .5%, amber up to 2%"
    return Light("every image shows a face", "", _graded(share["value"], 0.005, 0.02), _share(share, 2), rule)


def _pose(figures: Figures) -> Light:
    within = figures["variation"]["yaw"]["within"]
    rule = "standard deviation of yaw within identities: green from 8 degrees, amber from 4 (photographs: 14)"
    if within["value"] is None:
        return Light("heads turn", "", GREY, "no identity has two images", rule)
    told = "{value:.1f} degrees ({low:.1f} to {high:.1f})".format(**within)
    return Light("heads turn", "", _graded(within["value"], 8.0, 4.0, least=True), told, rule)


def _gender(figures: Figures) -> Light:
    found = figures["balance"]["gender"]
    told = ", ".join(f"{name} {_share(share)}" for name, share in found["shares"].items())
    if found["distance"] is not None:
        rule = "total variation from the target: green up to .05, amber up to .15"
        return Light("gender as wanted", "", _graded(found["distance"]["value"], 0.05, 0.15), told, rule)
    least = min(share["value"] for share in found["shares"].values()) if len(found["shares"]) > 1 else 0.0
    rule = "share of the rarer: green from 40%, amber from 20% (a target of your own: --target)"
    return Light("genders are balanced", "", _graded(least, 0.4, 0.2, least=True), told, rule)
