"""Figures in rows, a column per embedder, as the terminal and the report show them."""

from collections.abc import Mapping
from functools import reduce
from operator import getitem
from typing import Any

from nonesuch.evaluation.discard import SHARES

Found = Mapping[str, Mapping[str, Any]]  # figures by embedder
Row = tuple[str, list[str]]


def figure_rows(found: Found) -> list[Row]:
    """The figures that every embedder has, with intervals where there are."""
    rows = list(found.values())
    first = rows[0]
    shown: list[Row] = []

    def add(title: str, *keys: str) -> None:
        shown.append((title, [_share(reduce(getitem, keys, row)) for row in rows]))

    if "accuracy" in first:
        shown.append(("accuracy (sd of folds)", [f"{row['accuracy']:.2%} ({row['accuracy_sd']:.2%})" for row in rows]))
        add("by insightface's grid", "accuracy_grid")
    if "eer" in first:
        add("EER", "eer")
    for rate in first.get("tar", {}):
        add(f"TAR at FMR {rate}", "tar", rate)
    for key in (key for key in first if key.startswith("tar@")):
        add(f"TAR at FMR {key.removeprefix('tar@')}", key)
    for rank in first.get("rank", {}):
        add(f"rank {rank}", "rank", rank)
    if "map" in first:
        add("mean average precision", "map")
    for rate in first.get("tpir", {}):
        add(f"TPIR at FPIR {rate}", "tpir", rate)
    for rate in first.get("clusters", {}):
        of_each = [row["clusters"][rate] for row in rows]
        cells = [f"{scores['pair_f']:.2%}, {scores['bcubed_f']:.2%}" for scores in of_each]
        shown.append((f"pairwise F, BCubed F of clusters at FMR {rate}", cells))
    if "time_limit" in first:
        shown += _time_rows(rows)
    if "templates_refused" in first:
        shown.append(("templates without a face", [str(row["templates_refused"]) for row in rows]))
    shown.append(("images without a face", [str(row["failed_to_acquire"]) for row in rows]))
    return shown


def discard_rows(found: Found) -> list[tuple[str, ...]]:
    """Embedder, FMR of the threshold, and FNMR at each share of images left out, of the embedders that have it."""
    shown = []
    for name, row in found.items():
        curve = row.get("discard")
        if curve is not None:
            cells = ("-" if value is None else f"{value:.2%}" for value in curve["fnmr"])
            shown.append((name, f"{curve['fmr']:g}", *cells))
    return shown


def group_rows(found: Found) -> list[tuple[str, ...]]:
    """Embedder, group, mated, non-mated, FNMR, FMR, accuracy; and a row of summary behind each embedder's groups."""
    shown: list[tuple[str, ...]] = []
    for name, row in found.items():
        fair = row["groups"]
        for group, rates in fair["groups"].items():
            shares = ("-" if rates[key] is None else _share(rates[key]) for key in ("fnmr", "fmr", "accuracy"))
            shown.append((name, group, str(rates["mated"]), str(rates["non_mated"]), *shares))
        ratio = "{value} ({low}-{high})".format(
            **{
                key: "infinite" if value is None else f"{value:.2f}"
                for key, value in fair["skewed_error_ratio"].items()
            }
        )
        spread = f"mean {_share(fair['mean'])}, sd {_share(fair['deviation'])}, mean - sd {_share(fair['trade_off'])}"
        shown.append((name, f"{spread}, error ratio {ratio}", *[""] * 5))
    return shown


def _time_rows(rows: list[Mapping[str, Any]]) -> list[Row]:
    """Milliseconds, and the main figure that each limit leaves."""
    limited = [row["time_limit"] for row in rows]
    cells = [f"{row['median_ms']:.1f} ({row['p95_ms']:.1f})" for row in limited]
    shown = [("ms per image on one core, median (95th percentile)", cells)]
    for limit in limited[0]["limits"]:
        left = [row["limits"][limit] for row in limited]
        known: Mapping[str, Any] = next((row for row in left if len(row) > 1), {})
        if "accuracy" in rows[0]:
            title, keys = "accuracy", ["accuracy"]
        elif known.get("tar"):
            rate = list(known["tar"])[-1]
            title, keys = f"TAR at FMR {rate}", ["tar", rate]
        elif "eer" in rows[0]:
            title, keys = "EER", ["eer"]
        else:
            title, keys = "rank 1", ["rank", "1"]
        cells = [
            "all images over" if row["over"] == 1.0 else _share(reduce(getitem, keys, row)) + _over(row["over"])
            for row in left
        ]
        shown.append((f"{title} within {limit} ms", cells))
    return shown


def _over(share: float) -> str:
    return f" ({share:.0%} of images over)" if share else ""


DISCARD_COLUMNS = ("embedder", "at FMR", *(f"{share:.0%} out" for share in SHARES))
GROUP_COLUMNS = ("embedder", "group", "mated", "non-mated", "FNMR", "FMR", "accuracy")


def _share(value: float | Mapping[str, float | None]) -> str:
    if isinstance(value, Mapping):
        shown = ("?" if part is None else f"{part:.2%}" for part in (value[key] for key in ("value", "low", "high")))
        return "{} ({}-{})".format(*shown)
    return f"{value:.2%}"
