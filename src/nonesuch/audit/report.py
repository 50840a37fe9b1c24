"""The audit as one HTML page that opens offline. Needs jinja2 and matplotlib (the `[report]` extra)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nonesuch.audit.drawing import draw_all
from nonesuch.audit.figures.catalogue import BRISQUE, CLIP_IQA, INCEPTION, Found
from nonesuch.audit.figures.leakage import LEAKAGE
from nonesuch.audit.figures.listed import known_part
from nonesuch.audit.reference import Reference
from nonesuch.audit.summary import counted_lights, tables, worst_first
from nonesuch.formats.photographs import Photograph
from nonesuch.measures.figure import NO_FIGURE, SHARE, Figures, as_figure, four_digits, key_name
from nonesuch.pages.page import write_page
from nonesuch.pages.thumbnails import Thumbnails

_PAGE = Path(__file__).with_name("report.html.jinja")
_REAL = ""  # the dataset that training photographs go by; no dataset has an empty name
_SAMPLES, _OF_EACH, _OF_GROUP = 8, 6, 8
_BROUGHT = {"FID (--inception)": INCEPTION, "BRISQUE (--brisque)": BRISQUE, "CLIP-IQA (--clip-iqa)": CLIP_IQA}


@dataclass(frozen=True)
class Item:
    """Thumbnails that belong together, None where one may not be shown, and the text below them."""

    images: list[str | None]
    told: str


@dataclass(frozen=True)
class Gallery:
    """Images worth a look."""

    title: str
    items: list[Item]
    open: bool = False


def write_report(
    path: Path,
    found: Mapping[str, Any],
    shown: Mapping[str, Sequence[Photograph]],
    training: Reference | None = None,
) -> None:
    """Write the page: verdict, tables, curves, and images worth a look. audit.json has all its figures too.

    Args:
        found: the content of audit.json.
        shown: by dataset, images whose thumbnails may be shown; of others only the names are shown.
        training: the training photographs, if thumbnails of them may be shown.

    Raises:
        NonesuchError: the disk is full or the place cannot be written.
    """
    datasets: Found = found["datasets"]
    thumbnails = Thumbnails()
    for name, photographs in shown.items():
        thumbnails.allow(name, ((item.name, item.identity, item) for item in photographs))
    if training is not None:
        people = (training.training.people[label] for label in training.training.identities)
        thumbnails.allow(_REAL, zip(training.names, people, training.training.photographs, strict=True))
    write_page(
        path,
        _PAGE,
        title=f"Audit of {', '.join(datasets)}",
        about=_about(found),
        datasets=datasets,
        verdicts={name: worst_first(figures["verdict"]) for name, figures in datasets.items()},
        counted={name: counted_lights(figures["verdict"]) for name, figures in datasets.items()},
        colours=list(counted_lights([])),
        worst={name: _worst(figures) for name, figures in datasets.items()},
        tables=tables(datasets),
        pictures=draw_all(datasets),
        galleries={name: list(_galleries(name, figures, thumbnails)) for name, figures in datasets.items()},
        requirements=[_required(row) for row in found.get("requirements", [])],
        against=found.get("against"),
        attributes={name: figures["attributes"] for name, figures in datasets.items()},
        told={name: _attribute_cells(figures["attributes"]["shares"]) for name, figures in datasets.items()},
        absent=_absent(next(iter(datasets.values()))),
        hidden=[name for name in datasets if name not in shown],
    )


def _about(found: Mapping[str, Any]) -> str:
    made_by = ", ".join(f"{name} (SHA-256 {sha256[:12]})" for name, sha256 in found["made_by"].items())
    against = found.get("against")
    if against is None:
        return f"Embedders: {made_by}. Not compared with photographs."
    parts = [f"{against['training']['images']:,} training photographs"]
    control = against["control"]
    parts.append(f"{control['images']:,} of held-out people" if control else "no control")
    return f"Embedders: {made_by}. Compared with {' and '.join(parts)}."


def _worst(figures: Figures) -> str:
    """What the worst lights are about, each once."""
    lights = worst_first(figures["verdict"])
    told = dict.fromkeys(light["about"] for light in lights if light["colour"] == lights[0]["colour"] != "green")
    return ", ".join(told) or "none"


def _attribute_cells(shares: Figures) -> list[list[str]]:
    """A row for each attribute: name, share of images, of identities, real ones' shares, times the odds."""
    rows = []
    for name, found in sorted(shares.items(), key=lambda item: -(item[1]["times"] or 0.0)):
        real = found["real"] or {}
        kinds = [part.get(kind) for kind in ("images", "identities") for part in (found, real)]
        cells = [NO_FIGURE if figure is None else SHARE.written(as_figure(figure)) for figure in kinds]
        within = " / ".join(SHARE.write(found["within"][key]) for key in ("p5", "p50", "p95"))
        times = NO_FIGURE if found["times"] is None else four_digits(found["times"])
        rows.append([name.replace("_", " "), *cells, within, times])
    return rows


def _required(row: Figures) -> dict[str, Any]:
    return {**row, "value": NO_FIGURE if row["value"] is None else four_digits(row["value"])}


def _absent(figures: Figures) -> list[str]:
    """Measures that need files from the user, where none were given."""
    return [name for name, item in _BROUGHT.items() if item.cell(figures) == NO_FIGURE]


def _galleries(name: str, figures: Figures, thumbnails: Thumbnails) -> Iterator[Gallery]:
    samples = [
        Item(list(thumbnails.of_identity(name, identity, _OF_EACH)), identity)
        for identity in thumbnails.identities(name, _SAMPLES)
    ]
    yield Gallery("Samples: the first identities", samples, open=True)
    for embedder, by in figures["embedders"].items():
        yield from _by_embedder(name, embedder, by, thumbnails)
    doubles = [
        Item(
            [thumbnails.of_image(name, row["first"]), thumbnails.of_image(name, row["second"])],
            f"{row['first']} and {row['second']}",
        )
        for row in figures["duplicates"]["pairs"]
    ]
    yield Gallery("Pictures that are there twice", doubles)
    faceless = figures["quality"]["faceless"]
    items = [Item([thumbnails.of_image(name, file)], file) for file in faceless]
    yield Gallery("Crops in which the detector finds no face", items)


def _by_embedder(name: str, embedder: str, by: Figures, thumbnails: Thumbnails) -> Iterator[Gallery]:
    if separability := known_part(by, "separability"):
        groups = [_group(name, group, thumbnails) for group in separability["look_alikes"]]
        yield Gallery(f"Look-alikes: groups of the identities most alike, by {embedder}", groups, open=True)
        pairs = [_people(name, pair, thumbnails) for pair in separability["closest"]]
        yield Gallery(f"Identities most alike, by {embedder}", pairs)
    if consistency := known_part(by, "consistency"):
        outliers = [_with_identity(name, row, "identity", "cosine", thumbnails) for row in consistency["outliers"]]
        yield Gallery(f"Images least like their identity, by {embedder}", outliers)
        if at := list(consistency["at"].items()):
            key, rows = at[min(1, len(at) - 1)]
            wrong = [
                _with_identity(name, row, "nearest_other", "cosine_to_other", thumbnails)
                for row in rows["mislabelled_images"]
            ]
            yield Gallery(
                f"Images nearer to another identity at {key_name(key)}, shown beside it, by {embedder}", wrong
            )
    if leakage := known_part(by, LEAKAGE):
        nearest = [_beside_photograph(name, row, thumbnails) for row in leakage["images"]["worst"]]
        yield Gallery(f"Images nearest to training photographs, by {embedder}", nearest)
        if identities := known_part(leakage, "identities"):
            suspected = [_suspect(name, row, thumbnails) for row in identities["worst"]]
            yield Gallery(f"Identities nearest to training people, suspects first, by {embedder}", suspected)
        beside = [_beside_person(name, row, thumbnails) for row in leakage["people"]["worst"]]
        yield Gallery(f"Images nearest to training people's centres, by {embedder}", beside)


def _group(name: str, group: Figures, thumbnails: Thumbnails) -> Item:
    people = group["identities"]
    pictures = [thumbnail for person in people[:_OF_GROUP] for thumbnail in thumbnails.of_identity(name, person, 2)]
    more = f" and {len(people) - _OF_GROUP} more" if len(people) > _OF_GROUP else ""
    return Item(list(pictures), f"{', '.join(people[:_OF_GROUP])}{more}: linked from {four_digits(group['cosine'])}")


def _people(name: str, pair: Figures, thumbnails: Thumbnails) -> Item:
    pictures = [thumbnail for side in ("first", "second") for thumbnail in thumbnails.of_identity(name, pair[side], 3)]
    return Item(list(pictures), f"{pair['first']} and {pair['second']}: {four_digits(pair['cosine'])}")


def _beside_photograph(name: str, row: Figures, thumbnails: Thumbnails) -> Item:
    told = f"{row['file']} and training photograph {row['nearest']}: {four_digits(row['cosine'])}"
    return Item([thumbnails.of_image(name, row["file"]), thumbnails.of_image(_REAL, row["nearest"])], told)


def _beside_person(name: str, row: Figures, thumbnails: Thumbnails) -> Item:
    pictures = thumbnails.of_identity(_REAL, row["nearest"], 3)
    told = f"{row['file']} and training person {row['nearest']}: {four_digits(row['cosine'])}"
    return Item([thumbnails.of_image(name, row["file"]), *pictures], told)


def _suspect(name: str, row: Figures, thumbnails: Thumbnails) -> Item:
    pictures = [*thumbnails.of_identity(name, row["identity"], 3), *thumbnails.of_identity(_REAL, row["nearest"], 3)]
    told = f"{row['identity']} and training person {row['nearest']}: {row['cosine']:.3f}"
    return Item(list(pictures), told + (", a suspect" if row["suspect"] else ""))


def _with_identity(name: str, row: Figures, whose: str, cosine: str, thumbnails: Thumbnails) -> Item:
    """An image, and some of an identity that it is compared with."""
    others = thumbnails.of_identity(name, row[whose], 3) if row[whose] is not None else []
    return Item(
        [thumbnails.of_image(name, row["file"]), *others], f"{row['file']} to {row[whose]}: {four_digits(row[cosine])}"
    )
