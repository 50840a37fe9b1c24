"""Generators and samplers in one table: the same people, the same seeds of images, the same judges.

    python benchmarks/generators.py WORK --lfw lfw112.tar --heldout lfw_heldout_people.txt \\
        [--idiff NAME_OR_FILE] [--fast NAME_OR_FILE] [--rows NAME ...] [--recognition NAME ... --pairs lfw_pairs.txt]

Each row is a dataset that `generate_dataset` makes in WORK of the same sampled people, on one thread. Ancestral
sampling of 1,000 steps makes few images, so its row has no coverage. Coverage is the share of held-out photographs (a
half of the people) whose neighbourhood holds one of equally many images, as `nonesuch audit` measures it. The first row
says what photographs of the other half reach.

Every finished row is in WORK/generators.json, and the same command goes on with the next. WORK/contact_sheet.png shows
the same people, a row per setting, and no photograph. With --recognition, recognisers are trained on 500 x 20 images of
the named rows with the budget of loop.py, from three seeds each.
"""

import argparse
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import mean
from typing import Any

import loop
import numpy as np
import torch
from sampled_people import Faces, Judges, drawn, heldout_halves, told_apart

from nonesuch import generate_dataset, load_detector, load_embedder, sample_identities
from nonesuch.audit.figures.identities import PAPER_THRESHOLD
from nonesuch.core import files
from nonesuch.core.allocator import keep_memory
from nonesuch.formats.dataset import read_identities
from nonesuch.formats.photographs import Photograph
from nonesuch.generators.generator import GeneratorCard
from nonesuch.measures.metrics import EER, TAR
from nonesuch.measures.realism import neighbourhoods
from nonesuch.measures.similarity import normalised
from nonesuch.models import read_model_card, weights_path
from nonesuch.pages.contact_sheet import write_contact_sheet

VEC2FACE = "vec2face_small"
EMBEDDERS = ("mobilefacenet", "dlib_resnet")
FEW = 2  # images of each person where images are few
SHOWN = 5  # people on the contact sheet, FEW images each
LEARNED = 500  # people that a recogniser learns
PHOTOGRAPHS = "held-out photographs"
PLAIN = "eta=0,guidance=1,negative=0,least_cosine=1"


@dataclass(frozen=True)
class Setting:
    """A row: its name, and how IDiff-Face samples; "" for Vec2Face, which has no sampler."""

    name: str
    words: str = ""

    @property
    def sampler(self) -> str | None:
        """As `generate` takes it, whatever the weights' card says."""
        name, _, rest = self.words.partition(",")
        return f"{name},{PLAIN},{rest}" if name else None

    @property
    def few(self) -> bool:
        """Whether it is so slow that few images have to do."""
        return self.words.startswith("ddpm")


SETTINGS = [
    Setting("Vec2Face"),
    Setting("DDPM 1000", "ddpm,steps=1000"),
    Setting("DDIM 50", "ddim,steps=50"),
    Setting("DDIM 25", "ddim,steps=25"),
    Setting("DDIM 10", "ddim,steps=10"),
    Setting("DPM-Solver++ 20", "dpm,steps=20"),
    Setting("DPM-Solver++ 10", "dpm,steps=10"),
    Setting("DDIM 10, guidance 2", "ddim,steps=10,guidance=2"),
    Setting("DDIM 10, IDperturb 0.6", "ddim,steps=10,least_cosine=0.6"),
    Setting("DDIM 10, negative 0.5", "ddim,steps=10,negative=0.5"),
    Setting("One step", "lcm,steps=1"),
]
COLUMNS = {
    "images": "{:,}",
    "cosine": "{:.3f}",
    f"at least {PAPER_THRESHOLD:g}": "{:.1%}",
    "mated, first": "{:.3f}",
    "non-mated, first": "{:.3f}",
    "EER, first": "{:.2%}",
    "mated, second": "{:.3f}",
    "non-mated, second": "{:.3f}",
    "EER, second": "{:.2%}",
    "coverage, first": "{:.1%}",
    "coverage, second": "{:.1%}",
    "face found": "{:.1%}",
    "images/s": "{:.2f}",
}


class Bench:
    """What rows have in common: the people, who looks at them, the photographs, and the rows that are done."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.folder = options, options.work
        files.make_folder(self.folder)
        names = (VEC2FACE, str(options.idiff), str(options.fast))
        cards = {name: read_model_card(weights_path(name), GeneratorCard) for name in names}
        self.sha256 = {name: card.sha256 for name, card in cards.items()}
        asked = ("identities", "images", "ddpm_images", "seed", "dtype")
        self.settings: dict[str, Any] = {name: getattr(options, name) for name in asked}
        kinds = ("default", "idiff", "fast")
        self.settings |= {kind: self.sha256[name] for kind, name in zip(kinds, names, strict=True)}
        self.settings |= {"held_out": files.sha256(options.heldout), "threads": 1, "torch": torch.__version__}
        self.state = self.folder / "generators.json"
        found = files.read_json(self.state) if self.state.exists() else {"settings": self.settings}
        if found["settings"] != self.settings:
            raise SystemExit(f"{self.state}: of other weights or options; name another folder")
        self.rows: dict[str, dict[str, Any]] = found.get("rows", {})
        self.recognition: dict[str, list[dict[str, Any]]] = found.get("recognition", {})

    def write(self) -> None:
        """Keep what is done, in WORK and where --json says."""
        content = {"settings": self.settings, "rows": self.rows, "recognition": self.recognition}
        for path in filter(None, (self.state, self.options.json)):
            files.write_json(path, content)

    def generator(self, setting: Setting) -> str:
        """The weights that a row is made by, as `generate` takes them."""
        if not setting.words:
            return VEC2FACE
        return str(self.options.fast if setting.words.startswith("lcm") else self.options.idiff)

    def people(self, count: int, seed: int) -> Path:
        """A table of sampled people; of one seed, the first n of more are the n."""
        path = self.folder / f"people_{count}_{seed}.parquet"
        if not path.exists():
            sample_identities(path, identities=count, seed=seed, generator=VEC2FACE)
        return path

    @cached_property
    def judges(self) -> Judges:
        """Both embedders, and the detector."""
        first, second = (load_embedder(name, "cpu") for name in EMBEDDERS)
        return Judges(first, second, load_detector("cpu"))

    @cached_property
    def halves(self) -> tuple[list[Photograph], list[Photograph]]:
        """The held-out people's photographs in two halves without a common person, so many of each as loop.py takes."""
        return heldout_halves(self.options.lfw, self.options.heldout, loop.MOST_PER_PERSON)

    @property
    def compared(self) -> int:
        """Images of each set that coverage compares; it depends on their number, so all rows have the same."""
        return min(self.options.identities * self.options.images, *map(len, self.halves))

    @cached_property
    def photographs(self) -> dict[str, np.ndarray]:
        """What coverage is of: normalised embeddings of the first half's photographs, by column."""
        chosen = [self.halves[0][row] for row in drawn(len(self.halves[0]), self.compared)]
        crops = np.stack([photograph.read_crop() for photograph in chosen])
        judges = {"first": self.judges.first, "second": self.judges.second}
        return {name: normalised(judge.embed(crops)) for name, judge in judges.items()}

    def measured(self, faces: Faces) -> dict[str, Any]:
        """The columns that photographs have too."""
        figures: dict[str, Any] = {"images": len(faces.crops)}
        for name, unit in (("first", faces.first), ("second", faces.second)):
            figures |= told_apart(name, unit, faces.labels)
            if len(unit) >= self.compared:
                near = neighbourhoods(self.photographs[name], unit[drawn(len(unit), self.compared)])
                figures[f"coverage, {name}"] = float(near.coverage.mean())
        return {**figures, "face found": float(np.isfinite(faces.landmarks[:, 0, 0]).mean())}


def photograph_row(bench: Bench) -> dict[str, Any]:
    """What photographs of the other half reach."""
    crops = np.stack([photograph.read_crop() for photograph in bench.halves[1]])
    labels = np.unique([photograph.identity for photograph in bench.halves[1]], return_inverse=True)[1]
    return bench.measured(bench.judges.see(crops, labels))


def generated_row(bench: Bench, setting: Setting) -> dict[str, Any]:
    """Make a row's images on one thread, and look at them."""
    options, folder = bench.options, bench.folder / loop.slug(setting.name)
    shutil.rmtree(folder, ignore_errors=True)  # a row that was interrupted: its speed would be that of a part
    count, images = options.identities, options.images
    if setting.few:
        count, images = max(options.ddpm_images // FEW, 2), FEW
    made = generate_dataset(
        folder,
        vectors=bench.people(count, options.seed),
        images=images,
        seed=options.seed,
        generator=bench.generator(setting),
        sampler=setting.sampler,
        workers=1,
        summary=False,
        device="cpu",
        dtype=options.dtype,
    )
    if made.manifest.generator["sha256"] != bench.sha256[bench.generator(setting)]:
        raise SystemExit(f"{bench.generator(setting)}: the weights have changed since the start; start again")
    people = read_identities(folder, count, images)
    labels = np.repeat(np.arange(len(people)), images)
    faces = bench.judges.see(np.concatenate([person.images for person in people]), labels)
    asked = normalised(np.stack([person.vector for person in people]))
    cosines = (faces.first * asked[labels]).sum(1)
    kept = {
        "cosine": float(cosines.mean()),
        f"at least {PAPER_THRESHOLD:g}": float((cosines >= PAPER_THRESHOLD).mean()),
    }
    return {**bench.measured(faces), **kept, "images/s": made.rendered / made.seconds}


def write_sheet(bench: Bench) -> None:
    """The same people and image seeds, a row for each finished setting."""
    done = [setting.name for setting in SETTINGS if setting.name in bench.rows]
    folders = [bench.folder / loop.slug(name) for name in done]
    rows = [[image for person in read_identities(folder, SHOWN, FEW) for image in person.images] for folder in folders]
    if rows:
        write_contact_sheet(rows, bench.folder / "contact_sheet.png")
        print(f"\n{bench.folder / 'contact_sheet.png'}, from the top: {'; '.join(done)}")


def recognise(bench: Bench, settings: list[Setting]) -> None:
    """Rows of the recognition loop on images of LEARNED people, the same as in its row "500 x 20"."""
    options = bench.options
    places = {"work": bench.folder / "recognition", "lfw": options.lfw, "pairs": options.pairs}
    shared = {"heldout": options.heldout, "images": options.budget, "dtype": options.dtype}
    recognition = loop.Bench(argparse.Namespace(**places, **shared))
    people = ["--vectors", str(bench.people(LEARNED, 21)), *loop.GENERATE]
    for setting in settings:
        data = loop.slug(setting.name)
        made_by = ["--generator", bench.generator(setting), "--dtype", options.dtype]
        loop.DATASETS[data] = [*people, *made_by, *(["--sampler", setting.sampler] if setting.sampler else [])]
        rows = [loop.Row(f"{setting.name}, seed {seed}", data, seed=seed) for seed in range(options.recognisers)]
        loop.run_rows(recognition, rows, rows)
        bench.recognition[setting.name] = list(loop.finished(recognition, rows).values())
        bench.write()


def markdown(rows: list[list[str]]) -> str:
    """A table; the first row is its head."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def spread(values: list[float]) -> str:
    """Mean and range of several seeds."""
    return f"{mean(values):.1%} ({min(values):.1%} to {max(values):.1%})"


def show(bench: Bench) -> None:
    """Print the tables; a figure that a row cannot have is left empty."""
    options = bench.options
    shown = [["setting", *COLUMNS]]
    for name in (PHOTOGRAPHS, *(setting.name for setting in SETTINGS)):
        if (row := bench.rows.get(name)) is not None:
            shown.append([name, *(how.format(row[key]) if key in row else "" for key, how in COLUMNS.items())])
    first, second = EMBEDDERS
    print(f"\n{options.identities} people x {options.images} images, {options.dtype}, one thread; first is {first},")
    print(f"second {second}; coverage compares {bench.compared:,} images with as many held-out photographs\n")
    print(markdown(shown))
    shown = [["setting", "images seen", "folds 8-10", "EER", "TAR at FMR 1e-2", "TAR at FMR 1e-3"]]
    for name, rows in bench.recognition.items():
        columns = [[row["accuracy"] for row in rows], [EER.read(row).value for row in rows]]
        columns += [[TAR.read(row, rate).value for row in rows] for rate in ("0.01", "0.001")]
        shown.append([name, f"{rows[0]['seen']:,}", *map(spread, columns)])
    if bench.recognition:
        print(f"\nRecognisers of {LEARNED} people x 20 images; mean (range) of {options.recognisers} seeds\n")
        print(markdown(shown))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--idiff", type=Path, default=Path("idiff_small"), help="a name or a weight file")
    parser.add_argument("--fast", type=Path, default=Path("idiff_fast"), help="the same of one step")
    for name in ("--lfw", "--heldout"):
        parser.add_argument(name, type=Path, required=True)
    names = [setting.name for setting in SETTINGS]
    parser.add_argument("--rows", nargs="*", choices=[PHOTOGRAPHS, *names], default=[PHOTOGRAPHS, *names])
    parser.add_argument("--identities", type=int, default=100)
    parser.add_argument("--images", type=int, default=5, help="of each person")
    parser.add_argument("--ddpm-images", type=int, default=16, help=f"in all, {FEW} of each person")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--json", type=Path, help="a second place for WORK/generators.json")
    parser.add_argument("--recognition", nargs="+", choices=names, default=[])
    parser.add_argument("--pairs", type=Path, help="for --recognition")
    parser.add_argument("--recognisers", type=int, default=3, help="seeds of each row of --recognition")
    parser.add_argument("--budget", type=int, default=100_000, help="images that a recogniser sees")
    options = parser.parse_args()
    if options.recognition and options.pairs is None:
        parser.error("--recognition needs --pairs")
    if min(options.identities, options.images) < 2:
        parser.error("mated and non-mated pairs need at least 2 --identities of 2 --images")
    torch.set_num_threads(1)
    keep_memory()
    bench = Bench(options)
    for name in [PHOTOGRAPHS, *names]:
        if name in options.rows and name not in bench.rows:
            print(f"{name} ...", flush=True)
            setting = next((setting for setting in SETTINGS if setting.name == name), None)
            bench.rows[name] = photograph_row(bench) if setting is None else generated_row(bench, setting)
            bench.write()
    if options.recognition:
        recognise(bench, [setting for setting in SETTINGS if setting.name in options.recognition])
    bench.write()
    show(bench)
    write_sheet(bench)


if __name__ == "__main__":
    main()
