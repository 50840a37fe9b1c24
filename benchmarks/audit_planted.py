"""Does `nonesuch audit` see what was planted, and is it silent where nothing was?

    python benchmarks/audit_planted.py lfw112.tar CACHE_FOLDER

- clean: LFW's people with at least four photographs, each as one identity.
- everybody twice: 250 people, each as two identities of four variants of one photograph.
- leaks: 1,014 people of LFW are the set, 3,700 others the training photographs, 1,035 more the control, drawn by a
  seed. Of 0, 3 and 20 people of the set, half of the photographs are moved to the training set; and of 5 with a control
  of 300 photographs. There are three seeds.

Embeddings are kept in the cache folder, a file for each embedder.
"""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from cleaning import copied
from rich.console import Console
from rich.table import Table

from nonesuch import load_embedder
from nonesuch.audit.figures.catalogue import BY_EMBEDDER, OF_IMAGES
from nonesuch.audit.figures.counts import COUNTS
from nonesuch.audit.figures.identities import known_thresholds, separability_figures
from nonesuch.audit.figures.leakage import LEAKAGE, leakage_figures
from nonesuch.audit.figures.view import EmbedderView
from nonesuch.audit.looking import Seen
from nonesuch.audit.reference import Reference
from nonesuch.audit.verdict import Light, verdict
from nonesuch.core.allocator import keep_memory
from nonesuch.embedders.embedder import Embedder
from nonesuch.formats.photographs import Photograph
from nonesuch.formats.readers import find
from nonesuch.measures.consistency import consistency
from nonesuch.measures.figure import UNKNOWN, plain

LEAST, TWICE, VARIANTS = 4, 250, 4
SET, TRAINING, SEEDS = 1_014, 3_700, 3
LEAKS = ((0, None), (3, None), (20, None), (5, 300))  # people, photographs of the control
BATCH = 32


@dataclass(frozen=True)
class Embedded:
    """Photographs and their embeddings by one embedder."""

    model: Embedder
    photographs: Sequence[Photograph]
    vectors: np.ndarray

    def seen(self, rows: np.ndarray, labels: np.ndarray | None = None) -> Seen:
        """As the audit has them; labels other than the people's names may be given."""
        names = np.array([self.photographs[row].identity for row in rows]) if labels is None else labels
        people, identities = np.unique(names, return_inverse=True)
        photographs = [self.photographs[row] for row in rows]
        return Seen(photographs, identities, people.tolist(), {self.model.name: self.vectors[rows]}, {}, [], 0)


def embedded(model: Embedder, photographs: Sequence[Photograph], cache: Path) -> Embedded:
    if cache.exists():
        return Embedded(model, photographs, np.load(cache))
    blocks = [photographs[start : start + BATCH] for start in range(0, len(photographs), BATCH)]
    found = [model.embed(np.stack([item.read_crop() for item in block]), BATCH) for block in blocks]
    np.save(cache, np.concatenate(found))
    return Embedded(model, photographs, np.load(cache))


def view_of(found: Embedded, seen: Seen, reference: Reference | None = None) -> EmbedderView:
    name = found.model.name
    each = consistency(seen.vectors[name], seen.identities)
    return EmbedderView(seen, name, known_thresholds(found.model.card), each, reference)


def lights(view: EmbedderView, **measured: dict) -> dict[str, Light]:
    """The verdict of some parts, by what each light is about."""
    unknown = {UNKNOWN: "not part of this benchmark"}
    counts = {"identities": len(view.seen.people), "found": 1, "left_out": 0, "lost_identities": 0}
    of_images = {**dict.fromkeys(OF_IMAGES, unknown), COUNTS: counts}
    by = {**dict.fromkeys(BY_EMBEDDER, unknown), **plain(measured)}
    return {light.about: light for light in verdict({**of_images, "embedders": {view.name: by}})}


def clean(found: Embedded, table: Table) -> None:
    sizes = Counter(item.identity for item in found.photographs)
    rows = np.array([row for row, item in enumerate(found.photographs) if sizes[item.identity] >= LEAST])
    view = view_of(found, found.seen(rows))
    light = lights(view, separability=separability_figures(view))["no identity twice"]
    table.add_row(view.name, f"clean, {len(view.seen.people)} people", light.colour, light.told)


def everybody_twice(model: Embedder, photographs: Sequence[Photograph], cache: Path, table: Table) -> None:
    rng = np.random.default_rng(0)
    sizes = Counter(item.identity for item in photographs)
    several = sorted(name for name, count in sizes.items() if count > 1)
    variants = []
    for person in rng.choice(several, TWICE, replace=False):
        own = [item for item in photographs if item.identity == person]
        for at, row in enumerate(rng.choice(len(own), 2, replace=False)):
            planted = [copied(own[row], rng) for _ in range(VARIANTS)]
            variants += [replace(item, identity=f"{person} {at}") for item in planted]
    found = embedded(model, variants, cache)
    view = view_of(found, found.seen(np.arange(len(variants))))
    light = lights(view, separability=separability_figures(view))["no identity twice"]
    table.add_row(view.name, f"everybody twice, {len(view.seen.people)} identities", light.colour, light.told)


def leaks(found: Embedded, leaked: int, control_images: int | None, seed: int, table: Table) -> None:
    """People who are leaked have at least four photographs; every second one goes to the training set."""
    rng = np.random.default_rng(seed)
    names = np.array([item.identity for item in found.photographs])
    people = rng.permutation(np.unique(names))
    shown, training = people[:SET], people[SET : SET + TRAINING]
    rows = {name: np.flatnonzero(np.isin(names, part)) for name, part in (("set", shown), ("training", training))}
    control = np.flatnonzero(np.isin(names, people[SET + TRAINING :]))
    control = control if control_images is None else rng.permutation(control)[:control_images]
    sizes = Counter(names.tolist())
    planted = [person for person in shown if sizes[person] >= LEAST][:leaked]
    moved = [np.flatnonzero(names == person)[::2] for person in planted]
    moved = np.concatenate(moved) if moved else np.empty(0, np.int64)
    kept, learned = np.setdiff1d(rows["set"], moved), np.concatenate([rows["training"], moved])
    at_training = found.seen(learned)
    reference = Reference(at_training, [item.name for item in at_training.photographs], found.seen(control))
    view = view_of(found, found.seen(kept), reference)
    figures = leakage_figures(view)
    each = figures["identities"]
    suspects = [row["identity"] for row in each["worst"] if row["suspect"]]
    colours = lights(view, **{LEAKAGE: figures})
    suspected, nearer = (
        colours[about].colour
        for about in ("no identity matches a training person", "few images nearer to the training set than strangers'")
    )
    table.add_row(
        view.name,
        f"{leaked} of {len(view.seen.people):,}",
        f"{len(control):,}",
        str(seed),
        str(len(set(suspects) & set(planted))),
        str(len(set(suspects) - set(planted))),
        str(each["control_above"]),
        str(each["power"]["identities"]),
        suspected,
        nearer,
        ", ".join(sorted(set(suspects) - set(planted))),
    )


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    keep_memory()
    cache = Path(sys.argv[2])
    cache.mkdir(parents=True, exist_ok=True)
    photographs = find(Path(sys.argv[1]))
    twice, leaked = Table("embedder", "set", "no identity twice", "figure"), Table("embedder", "leaked", "control")
    for column in ("seed", "found", "other suspects", "control above", "power", "light of people", "of images", "who"):
        leaked.add_column(column)
    for name in ("mobilefacenet", "dlib_resnet"):
        model = load_embedder(name, "cpu")
        found = embedded(model, photographs, cache / f"{name}.npy")
        clean(found, twice)
        for count, control in LEAKS:
            for seed in range(SEEDS):
                leaks(found, count, control, seed, leaked)
        everybody_twice(model, photographs, cache / f"{name}_twice.npy", twice)
    for table in (twice, leaked):
        Console(width=200).print(table)


if __name__ == "__main__":
    main()
