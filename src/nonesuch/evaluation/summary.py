"""Figures in rows, a column per embedder, as the terminal and the report show them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from nonesuch.evaluation.clustering import BCUBED_F, CLUSTER_THRESHOLD, CLUSTERS, PAIR_F
from nonesuch.evaluation.discard import SHARES
from nonesuch.evaluation.identification import RANK, TPIR
from nonesuch.evaluation.rates import EER_THRESHOLD, MATED, NON_MATED, THRESHOLD
from nonesuch.evaluation.retrieval import MEAN_PRECISION
from nonesuch.evaluation.verification import FOLD_ACCURACY, GRID_ACCURACY
from nonesuch.measures.fairness import DEVIATION, ERROR_RATIO, MEAN, TRADE_OFF
from nonesuch.measures.figure import (
    COSINE,
    COUNT,
    NO_FIGURE,
    SHARE,
    Figure,
    Figures,
    Measure,
    UndefinedFigureError,
    four_digits,
    rate_name,
)
from nonesuch.measures.metrics import ACCURACY, EER, FMR, FNMR, TAR
from nonesuch.pages.sections import Line, Section, section

Found = Mapping[str, Figures]  # figures by embedder

_VERIFICATION = (FOLD_ACCURACY, GRID_ACCURACY, EER, TAR)
_IDENTIFICATION = (RANK, MEAN_PRECISION, TPIR)
_COMPARISONS = (MATED, NON_MATED, EER_THRESHOLD, THRESHOLD)
_CLUSTERS = (PAIR_F, BCUBED_F, CLUSTERS, CLUSTER_THRESHOLD)
_SHOWN = (*_VERIFICATION, *_COMPARISONS, *_IDENTIFICATION)
_OF_GROUPS = (FNMR, FMR, ACCURACY)
# What the JSON also holds about an embedder: rows of their own, curves, numbers behind the figures.
_FURTHER = {
    *("clusters", "time_limit", "templates_refused", "failed_to_acquire", "groups", "discard"),
    *("curve", "histogram", "cmc", "cmc_low", "cmc_high", "accuracy_folds", "galleries"),
    *("templates", "flip", "sha256"),
}
DISCARD_COLUMNS = ("embedder", "at FMR", "threshold", *(f"{share:.0%} out" for share in SHARES))
GROUP_COLUMNS = ("embedder", "group", "mated", "non-mated", *(measure.title for measure in _OF_GROUPS))


def figure_sections(found: Found) -> list[Section]:
    """The figures that the test has, with intervals where there are any, in sections that have lines.

    Raises:
        UndefinedFigureError: a figure has a name that is not defined.
    """
    rows = list(found.values())
    _check_names(rows)
    refused = [Line("images without a face", [COUNT.write(row["failed_to_acquire"]) for row in rows])]
    if "templates_refused" in rows[0]:
        refused.insert(0, Line("templates without a face", [COUNT.write(row["templates_refused"]) for row in rows]))
    parts = {
        "Verification": _lines(_VERIFICATION, rows),
        "Identification": _lines(_IDENTIFICATION, rows),
        "Clusters of linked images": _by_rate(_CLUSTERS, rows) if "clusters" in rows[0] else [],
        "Time": _time_lines(rows) if "time_limit" in rows[0] else [],
        "Comparisons and thresholds": [*_lines(_COMPARISONS, rows), *refused],
    }
    return [section(title, lines) for title, lines in parts.items() if lines]


def main_lines(found: Found) -> list[Line]:
    """The figures to look at first: one of each kind that the test has, at its strictest rate."""
    rows = list(found.values())
    lines = []
    for measure in (FOLD_ACCURACY, EER, TAR, RANK, MEAN_PRECISION, TPIR, PAIR_F):
        if lines_of := _lines([measure], rows):
            lines.append(lines_of[0] if measure in (RANK, PAIR_F) else lines_of[-1])
    return lines


def _lines(measures: Sequence[Measure], rows: list[Figures]) -> list[Line]:
    return [
        _line(measure, key, rows) for measure in measures if _name(measure) in rows[0] for key in _keys(measure, rows)
    ]


def _by_rate(measures: Sequence[Measure], rows: list[Figures]) -> list[Line]:
    """The figures of one rate follow one another."""
    return [_line(measure, key, rows) for key in _keys(measures[0], rows) for measure in measures]


def _line(measure: Measure, key: str, rows: list[Figures]) -> Line:
    return Line(measure.titled(key), [measure.cell(row, key) for row in rows], measure.meaning)


def _keys(measure: Measure, rows: list[Figures]) -> list[str]:
    return list(dict.fromkeys(key for row in rows for key in measure.family(row)))


def _check_names(rows: list[Figures]) -> None:
    known = _FURTHER | {_name(measure) for measure in _SHOWN} | {measure.deviation for measure in _SHOWN}
    for row in rows:
        if unknown := set(row) - known:
            raise UndefinedFigureError(f"no figure of a test is called {min(unknown)}")


def _name(measure: Measure) -> str:
    return measure.key.split("/")[0]


def discard_rows(found: Found) -> list[tuple[str, ...]]:
    """Embedder, FMR, its threshold, and FNMR at each share of images left out, of the embedders that have it."""
    shown = []
    for name, row in found.items():
        curve = row.get("discard")
        if curve is not None:
            columns = (curve[key] for key in ("fnmr", "fnmr_low", "fnmr_high"))
            cells = (_share(*figure) for figure in zip(*columns, strict=True))
            shown.append((name, rate_name(curve["fmr"]), COSINE.write(curve["threshold"]), *cells))
    return shown


def _share(*numbers: float | None) -> str:
    """A share with its interval, from the JSON."""
    if numbers[0] is None:
        return NO_FIGURE
    return SHARE.written(Figure(*(math.nan if number is None else number for number in numbers)))


def group_rows(found: Found) -> list[tuple[str, ...]]:
    """Embedder, group, mated, non-mated, FNMR, FMR, accuracy; and a summary row after each embedder's groups."""
    shown: list[tuple[str, ...]] = []
    for name, row in found.items():
        fair = row["groups"]
        for group, rates in fair["groups"].items():
            cells = (measure.cell(rates) for measure in _OF_GROUPS)
            counts = (COUNT.write(rates[kind]) for kind in ("mated", "non_mated"))
            shown.append((name, group, *counts, *cells))
        told = [f"{measure.title} {measure.told(fair)}" for measure in (MEAN, DEVIATION, TRADE_OFF, ERROR_RATIO)]
        told.append(f"threshold {COSINE.write(fair['threshold'])}")
        shown.append((name, ", ".join(told), *[""] * 5))
    return shown


def _time_lines(rows: list[Figures]) -> list[Line]:
    """Milliseconds, and the main figure that each limit leaves."""
    limited = [row["time_limit"] for row in rows]
    cells = [f"{four_digits(row['median_ms'])} ({four_digits(row['p95_ms'])})" for row in limited]
    shown = [Line("ms per image on one core, median (95th percentile)", cells)]
    for limit in limited[0]["limits"]:
        left = [row["limits"][limit] for row in limited]
        measure, at = _main(rows[0], left)
        cells = [_under_limit(measure, at, row) for row in left]
        shown.append(Line(f"{measure.titled(at)} within {limit} ms", cells))
    return shown


def _main(figures: Figures, left: list[Figures]) -> tuple[Measure, str]:
    """The figure by which a limit is judged, and which one of its family."""
    known: Mapping[str, Any] = next((row for row in left if len(row) > 1), {})
    if "accuracy" in figures:
        return ACCURACY, ""
    if known.get("tar"):
        return TAR, TAR.family(known)[-1]
    return (EER, "") if "eer" in figures else (RANK, "1")


def _under_limit(measure: Measure, at: str, left: Figures) -> str:
    if left["over"] == 1.0:
        return "all images over"
    return measure.cell(left, at) + (f" ({SHARE.write(left['over'])} of images over)" if left["over"] else "")
