"""An audit's figures in rows, a column per dataset: the form of the papers' tables."""

from collections.abc import Callable, Mapping
from typing import Any

Found = Mapping[str, Mapping[str, Any]]  # figures by dataset
Row = tuple[str, list[str]]
_UNKNOWN = "-"


def tables(found: Found) -> list[tuple[str, list[Row]]]:
    """Title and rows: a table for each embedder, one for the images."""
    shown = []
    for embedder in next(iter(found.values()))["embedders"]:
        by = [figures["embedders"][embedder] for figures in found.values()]
        shown.append((f"Identities, by {embedder}", _filled(_of_embedder(by[0]), by)))
    return [*shown, ("Images", _filled(_of_images(), list(found.values())))]


Cell = Callable[[Mapping[str, Any]], str]


def _filled(rows: list[tuple[str, Cell]], by: list[Mapping[str, Any]]) -> list[Row]:
    """Cells of figures that a dataset lacks are shown as unknown; rows that none has are left out."""
    found = []
    for title, cell in rows:
        cells = []
        for figures in by:
            try:
                cells.append(cell(figures))
            except (KeyError, TypeError):
                cells.append(_UNKNOWN)
        if set(cells) != {_UNKNOWN}:
            found.append((title, cells))
    return found


def _of_embedder(first: Mapping[str, Any]) -> list[tuple[str, Cell]]:
    rows: list[tuple[str, Cell]] = []
    matched = first["study"].get("false_matches", {})
    rows.append(("identities as alike to another as their own halves are", _at("separability", "twice", "share")))
    for key in first["separability"].get("at", {}):
        rows.append((f"separable identities at {key}", _separable(key)))
        rows.append((f"identities that match another at {key}", _at("separability", "at", key, "colliding")))
    for key in first["consistency"].get("at", {}):
        rows.append((f"images refused as their own identity at {key}", _at("consistency", "at", key, "refused")))
        rows.append((f"images nearer to another identity at {key}", _count("consistency", "at", key, "mislabelled")))
    rows += [
        ("cosine of an image to its identity's others", _at("consistency", "own", share=False)),
        ("mean cosine, mated (sd)", _mean("mated")),
        ("mean cosine, non-mated (sd)", _mean("non_mated")),
        *((f"non-mated images that match at {key}", _at("study", "false_matches", key)) for key in matched),
        ("EER", _at("study", "eer")),
        ("FMR100", _at("study", "fmr100")),
        ("FMR1000", _at("study", "fmr1000")),
        ("Vendi score within identities", _at("diversity", "vendi", share=False)),
        ("images that another of their identity nearly equals", _at("diversity", "near_duplicates")),
    ]
    for key in first.get("separability_of_people", {}).get("at", {}):
        rows.append((f"training people: separable at {key}", _at("separability_of_people", "at", key)))
    for kind, told in (("images", "photographs"), ("people", "people's centres")):
        for key in first.get("leakage", {}).get(kind, {}).get("excess", {}):
            rows.append((f"excess near training {told} over {key}", _at("leakage", kind, "excess", key)))
    for part, told in (("realism", ""), ("realism_of_control", "held-out photographs: ")):
        rows += [
            (f"{told}Frechet distance", _at(part, "frechet_distance", share=False)),
            (f"{told}kernel distance", _at(part, "kernel_distance", share=False)),
            *((f"{told}{name}", _at(part, name)) for name in ("precision", "recall", "density", "coverage")),
        ]
    return rows


def _of_images() -> list[tuple[str, Cell]]:
    rows: list[tuple[str, Cell]] = [
        ("images", _count("counts", "images")),
        ("identities", _count("counts", "identities")),
        ("identities of one image", _count("counts", "single_image_identities")),
        ("images left out", _count("counts", "left_out")),
        ("pictures that are there twice", _at("duplicates", "share")),
        ("crops without a face", _at("quality", "no_face_in_crop")),
        ("FID", lambda figures: f"{figures['fid']['frechet_distance']:.2f}"),
        ("FID of held-out photographs", lambda figures: f"{figures['fid']['frechet_distance_of_control']:.2f}"),
    ]
    for column in ("yaw", "pitch", "age", "quality", "light"):
        rows.append((f"{column}: sd within identities", _at("variation", column, "within", share=False)))
    for column in ("quality", "sharpness", "brightness", "contrast", "brisque", "clip_iqa"):
        rows.append((f"{column}: mean", _at("quality", column, "mean", share=False)))
    rows.append(("clipped pixels: mean", _at("quality", "clipped", "mean")))
    for grouping in ("gender", "age", "ethnicity", "pose"):
        rows.append((f"{grouping}: distance from the target", _at("balance", grouping, "distance")))
    return rows


def _reach(figures: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    for key in keys:
        figures = figures[key]
    return figures


def _at(*keys: str, share: bool = True) -> Cell:
    """A figure with its interval, as a share in percent or as a number."""

    def cell(figures: Mapping[str, Any]) -> str:
        found = _reach(figures, keys)
        value, low, high = (found[key] for key in ("value", "low", "high"))
        if value is None:
            return _UNKNOWN
        show = _percent if share else _number
        return show(value) + ("" if low is None or high is None else f" ({show(low)} to {show(high)})")

    return cell


def _percent(value: float) -> str:
    return f"{value:.2%}"


def _number(value: float) -> str:
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def _count(*keys: str) -> Cell:
    return lambda figures: f"{_reach(figures, keys):,}"


def _separable(key: str) -> Cell:
    def cell(figures: Mapping[str, Any]) -> str:
        found = figures["separability"]["at"][key]
        return f"{found['count']:,}, {_percent(found['share']['value'])}"

    return cell


def _mean(kind: str) -> Cell:
    return lambda figures: f"{figures['study'][f'{kind}_mean']:.3f} ({figures['study'][f'{kind}_deviation']:.3f})"
