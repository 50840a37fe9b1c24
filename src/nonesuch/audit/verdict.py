"""Traffic lights: what a dataset's figures say, each by a rule that is shown with it.

The bounds are this project's, chosen from its measurements of photographs (LFW, CelebA) and of generated sets. They are
there to be read; `--require` is there for bounds of one's own.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from nonesuch.audit.figures import catalogue
from nonesuch.audit.figures.counts import COUNTS, FOUND, LEFT_OUT, LOST
from nonesuch.audit.figures.leakage import LEAKAGE
from nonesuch.audit.figures.listed import Listed
from nonesuch.measures.balance import DISTANCES, SHARES
from nonesuch.measures.figure import SHARE, Better, Bounds, Figure, Figures, NotMeasuredError, four_digits
from nonesuch.measures.leakage import EXCESS, EXCESSES, TELLING
from nonesuch.measures.realism import COVERAGE
from nonesuch.measures.scores import FALSE_MATCHES, MATED_MEAN, NON_MATED_MEAN
from nonesuch.measures.separability import TWICE
from nonesuch.measures.suspects import LEAK, MATCHING_CONTROL, POWER, SUSPECTED, SUSPECTS, TELLING_PEOPLE

GREEN, AMBER, RED, GREY = "green", "amber", "red", "grey"

_FIRST = (TWICE, FALSE_MATCHES)  # the lights of other figures follow in the list's order

_USABLE = Bounds("images usable", 0.001, 0.02, "green up to 0.1% left out, amber up to 2%")
_VARIED = Bounds(
    "images of an identity differ",
    0.85,
    0.95,
    "mean cosine of mated images, from that of non-mated ones (0) to 1: green up to 0.85, amber up to 0.95",
)
_COVERS = Bounds(
    "looks like the real set",
    0.8,
    0.5,
    "coverage, compared with that of equally many held-out photographs: green from four fifths of it, amber from "
    "half; grey without a control",
)
_BALANCED = Bounds(
    "genders are balanced",
    0.4,
    0.2,
    "share of the rarer: green from 40%, amber from 20% (a target of your own: --target)",
)

_FOUND, _LEFT_OUT, _LOST = (Listed(COUNTS, measure) for measure in (FOUND, LEFT_OUT, LOST))
_MATED, _NON_MATED = Listed("study", MATED_MEAN), Listed("study", NON_MATED_MEAN)
_EXCESSES, _TELLING = (
    {kind: Listed(LEAKAGE, measure) for kind, measure in measures.items()} for measures in (EXCESSES, TELLING)
)
_SUSPECTS, _MATCHING_CONTROL, _LEAK, _POWER, _TELLING_PEOPLE = (
    Listed(LEAKAGE, measure) for measure in (SUSPECTS, MATCHING_CONTROL, LEAK, POWER, TELLING_PEOPLE)
)
_COVERAGE = Listed("realism", COVERAGE)
_COVERAGE_OF_CONTROL = Listed("realism_of_control", COVERAGE)
_GENDERS, _GENDER_DISTANCE = Listed("balance", SHARES["gender"]), Listed("balance", DISTANCES["gender"])


@dataclass(frozen=True)
class Light:
    """One judgement.

    Attributes:
        about: what is judged.
        by: the embedder, or "" where none is needed.
        colour: GREEN, AMBER or RED; GREY where the figures do not suffice.
        told: the figures, in words, or why they do not suffice.
        rule: which colour it has when.
    """

    about: str
    by: str
    colour: str
    told: str
    rule: str


Judgement = tuple[str, str]  # colour and what is told


def verdict(figures: Figures) -> list[Light]:
    """The lights of one dataset's figures, as audit.json holds them.

    Raises:
        UndefinedFigureError: a figure is not where its definition says.
    """
    lights = [_light(_USABLE, _usable, figures)]
    for name, by in figures["embedders"].items():
        lights += [_by_bounds(item, by, name) for item in _with_bounds(catalogue.IDENTITY_FIGURES)]
        for bounds, judge in _OF_SEVERAL.items():
            lights.append(_light(bounds, judge, by, name))
    lights += [_by_bounds(item, figures) for item in _with_bounds(catalogue.IMAGE_FIGURES) if item != _GENDER_DISTANCE]
    return [*lights, _gender(figures)]


def _with_bounds(listed: Sequence[Listed]) -> list[Listed]:
    bounded = [item for item in listed if item.measure.bounds is not None]
    return sorted(bounded, key=lambda item: item.measure not in _FIRST)


def _by_bounds(item: Listed, figures: Figures, by: str = "") -> Light:
    """The light of a figure that has bounds."""
    bounds = item.measure.bounds
    if bounds is None:
        raise ValueError(f"{item.measure.key} has no bounds")
    at = bounds.at

    def judge(figures: Figures) -> Judgement:
        colour, unsure = _judged(item.read(figures, at), bounds, item.measure.better)
        return colour, item.told(figures, at) + unsure

    return _light(bounds, judge, figures, by)


def _light(bounds: Bounds, judge: Callable[[Figures], Judgement], figures: Figures, by: str = "") -> Light:
    """A light that is grey where a figure that it needs was not measured."""
    try:
        colour, told = judge(figures)
    except NotMeasuredError as reason:
        colour, told = GREY, f"not tested: {reason}"
    return Light(bounds.about, by, colour, told, bounds.rule)


def _graded(value: float, bounds: Bounds, better: Better) -> str:
    """Green up to the first bound and amber up to the second; where higher is better, down to them."""
    if better is Better.HIGHER:
        return GREEN if value >= bounds.green else AMBER if value >= bounds.amber else RED
    return GREEN if value <= bounds.green else AMBER if value <= bounds.amber else RED


def _judged(figure: Figure, bounds: Bounds, better: Better) -> Judgement:
    """The colour of a figure, green only where its whole interval is; and what would tell, where that is unsure."""
    colour, worst = _graded(figure.value, bounds, better), figure.low if better is Better.HIGHER else figure.high
    if colour != GREEN or math.isnan(worst) or _graded(worst, bounds, better) == GREEN:
        return colour, ""
    room = abs(bounds.green - figure.value)
    # An interval shrinks with the root of the number, that of a share of 0 or 1 with the number itself (rule of three).
    power = 1 if figure.value in (0.0, 1.0) else 2
    if not room:
        return AMBER, "; cannot tell: no number of identities would"
    times = math.ceil((abs(worst - figure.value) / room) ** power - 1e-6)
    return AMBER, f"; cannot tell: {times:,} times as many identities would"


def _usable(figures: Figures) -> Judgement:
    told = f"{_LEFT_OUT.told(figures)} of {_FOUND.told(figures)} images left out"
    if _LOST.read(figures).value:
        told += f", {_LOST.told(figures)} identities with them"
    return _graded(_LEFT_OUT.read(figures).value / _FOUND.read(figures).value, _USABLE, Better.LOWER), told


def _varied(by: Figures) -> Judgement:
    mated, non_mated = _MATED.read(by).value, _NON_MATED.read(by).value
    if non_mated > 0.999:
        return RED, f"mated {four_digits(mated)}, non-mated {four_digits(non_mated)}: all images are alike"
    place = (mated - non_mated) / (1.0 - non_mated)
    told = f"{four_digits(place)} (mated {four_digits(mated)}, non-mated {four_digits(non_mated)})"
    return _graded(place, _VARIED, Better.LOWER), told


def _nearer(by: Figures) -> Judgement:
    excesses = {kind: item.read(by, EXCESS.at) for kind, item in _EXCESSES.items()}
    told = "; ".join(f"by {kind} {item.told(by, EXCESS.at)}" for kind, item in _EXCESSES.items())
    large = any(excess.value > EXCESS.amber for excess in excesses.values())
    if any(item.read(by, key).low > 0 for item in _EXCESSES.values() for key in item.family(by)):
        return (RED if large else AMBER), told
    unsure = [_TELLING[kind] for kind, excess in excesses.items() if not excess.high < EXCESS.green]
    return (AMBER, f"{told}; {_cannot_tell(by, unsure)}") if unsure else (GREEN, told)


def _suspected(by: Figures) -> Judgement:
    told = f"{_SUSPECTS.told(by)} suspects"
    if _SUSPECTS.read(by).value:
        if _MATCHING_CONTROL.read(by).value:
            told += f"; {_MATCHING_CONTROL.told(by)} {_MATCHING_CONTROL.title()}: look whether names are wrong"
        return RED, told
    try:
        leak, share = _LEAK.read(by).value, _POWER.read(by).value
    except NotMeasuredError as reason:
        return AMBER, f"{told}; cannot tell: {reason}"
    told += f"; a leak of {_LEAK.told(by)} identities ({SHARE.write(share)}) or more is seen nine times in ten"
    if leak <= 1 or share <= SUSPECTED.green:
        return GREEN, told
    return AMBER, f"{told}; {_cannot_tell(by, [_TELLING_PEOPLE])}"


def _cannot_tell(by: Figures, telling: Sequence[Listed]) -> str:
    """What would tell, in words."""
    try:
        most = max(telling, key=lambda item: item.read(by).value)
    except NotMeasuredError as reason:
        return f"cannot tell: {reason}"
    return f"cannot tell: about {most.told(by)} {most.measure.title.partition(' that ')[0]} would"


def _covers(by: Figures) -> Judgement:
    mine, floor = _COVERAGE.read(by), _COVERAGE_OF_CONTROL.read(by).value
    told = f"{_COVERAGE.told(by)}, held-out photographs {_COVERAGE_OF_CONTROL.told(by)}"
    if not floor:
        return RED, told
    share = Figure(mine.value / floor, mine.low / floor, mine.high / floor)
    colour, unsure = _judged(share, _COVERS, Better.HIGHER)
    return colour, told + unsure


def _gender(figures: Figures) -> Light:
    shares = {name: _GENDERS.read(figures, name) for name in _GENDERS.family(figures)}
    told = ", ".join(f"{name} {_GENDERS.told(figures, name)}" for name in shares)
    wanted = _by_bounds(_GENDER_DISTANCE, figures)
    if wanted.colour != GREY:
        return replace(wanted, told=told)
    rarer = min(shares.values(), key=lambda share: share.value) if len(shares) > 1 else Figure(0.0)  # without a target
    colour, unsure = _judged(rarer, _BALANCED, Better.HIGHER)
    return _light(_BALANCED, lambda _: (colour, told + unsure), figures)


# Lights of an embedder's figures that read several of them.
_OF_SEVERAL: dict[Bounds, Callable[[Figures], Judgement]] = {
    SUSPECTED: _suspected,
    EXCESS: _nearer,
    _VARIED: _varied,
    _COVERS: _covers,
}
