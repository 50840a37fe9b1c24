"""An audit's figures in rows, a column per dataset: the form of the papers' tables."""

from collections.abc import Sequence
from itertools import groupby, product

from nonesuch.audit.figures import catalogue
from nonesuch.audit.figures.catalogue import Found
from nonesuch.audit.figures.listed import Listed
from nonesuch.measures.figure import Figures
from nonesuch.pages.sections import Line, Section, section

_ORDER = ("red", "amber", "grey", "green")
# Titles of the sections, by the part of audit.json that a figure stands in.
_SECTIONS = {
    "separability": "Are identities different people?",
    "consistency": "Do images show their identity?",
    "study": "Mated and non-mated scores",
    "diversity": "Do the images of an identity differ?",
    "variation": "Do the images of an identity differ?",
    "separability_of_people": "Are identities different people? Real ones",
    "leakage": "Are training people shown?",
    "realism": "Does it look like real photographs?",
    "realism_of_control": "Do held-out photographs look like the training set?",
    "counts": "Images and identities",
    "duplicates": "Is a picture there twice?",
    "quality": "How good are the images?",
    "fid": "Does it look like real photographs?",
    "balance": "Who is shown?",
    "attributes": "A shared look",
    "relevance": "Do captions fit?",
}


def worst_first(lights: Sequence[Figures]) -> list[Figures]:
    """The lights of a verdict, red ones first, then amber, not measured, green."""
    return sorted(lights, key=lambda light: _ORDER.index(light["colour"]))


def counted_lights(lights: Sequence[Figures]) -> dict[str, int]:
    """How many lights there are of each colour, the worst first."""
    return {colour: sum(light["colour"] == colour for light in lights) for colour in _ORDER}


def tables(found: Found) -> list[tuple[str, list[Section]]]:
    """Title and sections: a table for each embedder, one for the images.

    Raises:
        UndefinedFigureError: a figure of the list is not where the list says.
    """
    shown = []
    for embedder in next(iter(found.values()))["embedders"]:
        by = [of_dataset["embedders"][embedder] for of_dataset in found.values()]
        shown.append((f"Identities, by {embedder}", _sections(catalogue.IDENTITY_FIGURES, by)))
    return [*shown, ("Images", _sections(catalogue.IMAGE_FIGURES, list(found.values())))]


def _sections(listed: Sequence[Listed], by: Sequence[Figures]) -> list[Section]:
    """A figure that was not measured is shown as unknown."""
    lines: dict[str, list[Line]] = {}
    for _, group in groupby(listed, _family):
        together = list(group)  # the figures of one threshold follow one another
        keys = dict.fromkeys(key for of_dataset in by for key in together[0].family(of_dataset)) or ["any"]
        for key, item in product(keys, together):
            cells = [item.cell(of_dataset, key) for of_dataset in by]
            title = _SECTIONS.get(item.part, item.part)
            lines.setdefault(title, []).append(Line(item.title(key), cells, item.measure.meaning))
    return [section(title, part) for title, part in lines.items()]


def _family(item: Listed) -> tuple[str, str]:
    head, star, _ = item.measure.key.partition("*")
    return item.part, head if star else item.measure.key
