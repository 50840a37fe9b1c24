"""Figures in rows, a column per embedder, as the terminal and the report show them."""

from collections.abc import Mapping
from typing import Any

from nonesuch.evaluation.clustering import BCUBED_F, PAIR_F
from nonesuch.evaluation.discard import SHARES
from nonesuch.evaluation.identification import RANK, TPIR
from nonesuch.evaluation.retrieval import MEAN_PRECISION
from nonesuch.evaluation.verification import FOLD_ACCURACY, GRID_ACCURACY
from nonesuch.measures.fairness import DEVIATION, ERROR_RATIO, MEAN, TRADE_OFF
from nonesuch.measures.figure import NO_FIGURE, SHARE, Figures, Measure, UndefinedFigureError
from nonesuch.measures.metrics import ACCURACY, EER, FMR, FNMR, TAR

Found = Mapping[str, Figures]  # figures by embedder
Row = tuple[str, list[str]]

_SHOWN = (FOLD_ACCURACY, GRID_ACCURACY, EER, TAR, RANK, MEAN_PRECISION, TPIR)
_OF_GROUPS = (FNMR, FMR, ACCURACY)
# What the JSON also holds about an embedder: rows of their own, curves, numbers behind the figures.
_FURTHER = {
    *("clusters", "time_limit", "templates_refused", "failed_to_acquire", "groups", "discard"),
    *("curve", "histogram", "cmc", "accuracy_folds", "galleries"),
    *("mated", "non_mated", "templates", "flip", "sha256"),
}
DISCARD_COLUMNS = ("embedder", "at FMR", *(f"{share:.0%} out" for share in SHARES))
GROUP_COLUMNS = ("embedder", "group", "mated", "non-mated", *(measure.title for measure in _OF_GROUPS))


def figure_rows(found: Found) -> list[Row]:
    """The figures that the test has, with intervals where there are any.

    Raises:
        UndefinedFigureError: a figure has a name that is not defined.
    """
    rows = list(found.values())
    first = rows[0]
    _check_names(rows)
    shown: list[Row] = []
    for measure in _SHOWN:
        if _name(measure) in first:
            keys = measure.family(first)
            shown += [(measure.title.format(key), [measure.cell(row, key) for row in rows]) for key in keys]
    if "clusters" in first:
        for rate in PAIR_F.family(first):
            cells = [f"{PAIR_F.cell(row, rate)}, {BCUBED_F.cell(row, rate)}" for row in rows]
            shown.append((f"pairwise F, BCubed F of clusters at FMR {rate}", cells))
    if "time_limit" in first:
        shown += _time_rows(rows)
    if "templates_refused" in first:
        shown.append(("templates without a face", [str(row["templates_refused"]) for row in rows]))
    shown.append(("images without a face", [str(row["failed_to_acquire"]) for row in rows]))
    return shown


def _check_names(rows: list[Figures]) -> None:
    known = _FURTHER | {_name(measure) for measure in _SHOWN} | {measure.deviation for measure in _SHOWN}
    for row in rows:
        if unknown := set(row) - known:
            raise UndefinedFigureError(f"no figure of a test is called {min(unknown)}")


def _name(measure: Measure) -> str:
    return measure.key.split("/")[0]


def discard_rows(found: Found) -> list[tuple[str, ...]]:
    """Embedder, FMR of the threshold, and FNMR at each share of images left out, of the embedders that have it."""
    shown = []
    for name, row in found.items():
        curve = row.get("discard")
        if curve is not None:
            cells = (NO_FIGURE if value is None else SHARE.write(value) for value in curve["fnmr"])
            shown.append((name, f"{curve['fmr']:g}", *cells))
    return shown


def group_rows(found: Found) -> list[tuple[str, ...]]:
    """Embedder, group, mated, non-mated, FNMR, FMR, accuracy; and a summary row after each embedder's groups."""
    shown: list[tuple[str, ...]] = []
    for name, row in found.items():
        fair = row["groups"]
        for group, rates in fair["groups"].items():
            cells = (measure.cell(rates) for measure in _OF_GROUPS)
            shown.append((name, group, str(rates["mated"]), str(rates["non_mated"]), *cells))
        told = (f"{measure.title} {measure.told(fair)}" for measure in (MEAN, DEVIATION, TRADE_OFF, ERROR_RATIO))
        shown.append((name, ", ".join(told), *[""] * 5))
    return shown


def _time_rows(rows: list[Figures]) -> list[Row]:
    """Milliseconds, and the main figure that each limit leaves."""
    limited = [row["time_limit"] for row in rows]
    cells = [f"{row['median_ms']:.1f} ({row['p95_ms']:.1f})" for row in limited]
    shown = [("ms per image on one core, median (95th percentile)", cells)]
    for limit in limited[0]["limits"]:
        left = [row["limits"][limit] for row in limited]
        measure, at = _main(rows[0], left)
        cells = [_under_limit(measure, at, row) for row in left]
        shown.append((f"{measure.title.format(at)} within {limit} ms", cells))
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
    return measure.cell(left, at) + (f" ({left['over']:.0%} of images over)" if left["over"] else "")
