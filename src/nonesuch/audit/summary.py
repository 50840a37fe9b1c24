"""An audit's figures in rows, a column per dataset: the form of the papers' tables."""

from collections.abc import Sequence
from itertools import groupby

from nonesuch.audit.figures import catalogue
from nonesuch.audit.figures.catalogue import Found
from nonesuch.audit.figures.listed import Listed
from nonesuch.measures.figure import Figures

Row = tuple[str, list[str]]


def tables(found: Found) -> list[tuple[str, list[Row]]]:
    """Title and rows: a table for each embedder, one for the images.

    Raises:
        UndefinedFigureError: a figure of the list is not where the list says.
    """
    shown = []
    for embedder in next(iter(found.values()))["embedders"]:
        by = [of_dataset["embedders"][embedder] for of_dataset in found.values()]
        shown.append((f"Identities, by {embedder}", _rows(catalogue.IDENTITY_FIGURES, by)))
    return [*shown, ("Images", _rows(catalogue.IMAGE_FIGURES, list(found.values())))]


def _rows(listed: Sequence[Listed], by: Sequence[Figures]) -> list[Row]:
    """A figure that was not measured is shown as unknown."""
    rows = []
    for _, group in groupby(listed, _family):
        together = list(group)  # the figures of one threshold follow one another
        keys = dict.fromkeys(key for of_dataset in by for key in together[0].family(of_dataset)) or ["any"]
        rows += [
            (item.title(key), [item.cell(of_dataset, key) for of_dataset in by]) for key in keys for item in together
        ]
    return rows


def _family(item: Listed) -> tuple[str, str]:
    head, star, _ = item.measure.key.partition("*")
    return item.part, head if star else item.measure.key
