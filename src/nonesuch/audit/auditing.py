"""The audit of one dataset: what its images show, all figures, the verdict, and columns about each image."""

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nonesuch.audit.figures.catalogue import measured_by_embedder, measured_of_images
from nonesuch.audit.figures.identities import known_thresholds
from nonesuch.audit.figures.view import EmbedderView, ImageView
from nonesuch.audit.looking import Eyes, Seen
from nonesuch.audit.reference import Reference
from nonesuch.audit.verdict import verdict
from nonesuch.core import files, parquet, tables
from nonesuch.formats.photograph_lists import signature
from nonesuch.formats.source import Source
from nonesuch.loop.progress import OnProgress, no_progress
from nonesuch.measures.consistency import consistency
from nonesuch.measures.figure import plain
from nonesuch.measures.leakage import Search
from nonesuch.measures.similarity import nearest

_GROUP = "audit"


def audit(
    source: Source,
    seen: Seen,
    eyes: Eyes,
    reference: Reference | None,
    target: Mapping[str, Mapping[str, float]],
    on_step: OnProgress = no_progress,
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Measure all figures of a dataset, ready for JSON, and what they say about each image, by column.

    `own_*`: (N,) cosine to the mean of its identity's other images; `other_*`: to the nearest other identity's mean;
    `training_*`: to the nearest image of the training set; each by embedder, NaN where it is not known.

    Args:
        seen: what `look` saw in the source, with a perceiver.
        reference: seen by the same embedders; None without real photographs.
        target: see `check_target`.
        on_step: told what is being measured.
    """
    figures: dict[str, Any] = {"embedders": {}}
    images: dict[str, NDArray[Any]] = {}
    for name, embedder in eyes.embedders.items():
        on_step(f"identities by {name}", 0, 0)
        each = consistency(seen.vectors[name], seen.identities)
        images[f"own_{name}"] = each.own
        images[f"other_{name}"] = np.where(np.isfinite(each.other), each.other, np.nan)
        among = None
        if reference is not None:
            on_step(f"real photographs by {name}", 0, 0)
            among = Search(*nearest(seen.vectors[name], reference.training.vectors[name]))
            images[f"training_{name}"] = among.cosine
        view = EmbedderView(seen, name, known_thresholds(embedder.card), each, reference, among)
        figures["embedders"][name] = measured_by_embedder(view)
    on_step("images", 0, 0)
    judged = [judge.name for judge in eyes.judges]
    shown = ImageView(source, seen, target, judged, reference, eyes.inception, eyes.text_image, on_step)
    figures |= measured_of_images(shown)
    found: dict[str, Any] = plain(figures)
    found["verdict"] = [dataclasses.asdict(light) for light in verdict(found)]
    return found, images


def write_image_columns(
    source: Source,
    seen: Seen,
    images: Mapping[str, NDArray[Any]],
    eyes: Eyes,
    reference: Reference | None,
    out: Path,
) -> Path:
    """Write what the audit says about each image; null for images that cannot be used.

    A dataset of ours gets them as columns, for `--where`; one that cannot be written, columns apart from it. For other
    sources, and for a sample, a table is written to `out`, with `file`, `identity` and all that was seen.

    Args:
        images: the columns of `audit`.

    Returns:
        What was written to.

    Raises:
        NonesuchError: the place cannot be written.
    """
    used = set(seen.photographs)
    there = np.array([photograph in used for photograph in source.photographs])

    def table(columns: Mapping[str, NDArray[Any]]) -> pa.Table:
        return tables.with_nulls(
            pa.table({key: pa.array(values, from_pandas=True) for key, values in columns.items()}), there
        )

    if source.is_whole_dataset:
        told = [f"{name} {embedder.card.sha256} {embedder.dtype}" for name, embedder in eyes.embedders.items()]
        training = [] if reference is None else reference.training.photographs
        made_by = hashlib.sha256(" ".join([*told, signature(training)]).encode()).hexdigest()
        with source.columns.locked():
            for part, span in enumerate(source.columns.spans):
                out = source.columns.write(_GROUP, part, made_by, table(images)[span])
        return out
    whole = table({**seen.columns, **images})
    whole = whole.add_column(0, "identity", pa.array([photograph.identity for photograph in source.photographs]))
    whole = whole.add_column(0, "file", pa.array([photograph.name for photograph in source.photographs]))
    with files.replacing(out) as temporary:
        parquet.write_table(whole, temporary)
    return out
