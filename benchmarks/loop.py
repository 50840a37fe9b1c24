"""The loop closed: recognisers trained on generated people, tested on real ones.

    python benchmarks/loop.py WORK --lfw lfw112.tar --pairs lfw_pairs.txt --heldout lfw_heldout_people.txt \\
        --celeba celeba112.tar [--rows NAME ...] [--images 100000]

Each row: a dataset (made by `nonesuch generate` in WORK, or photographs), a small recogniser that sees 100,000 of its
images, and real faces that nobody trained on: LFW's people of folds 8-10, all pairs of at most 10 images each, and the
official pairs of these folds. Rows run one by one, resume, and are written to WORK/loop.json as they end; the table is
printed from that file.
"""

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from nonesuch.core import files
from nonesuch.core.allocator import keep_memory
from nonesuch.core.devices import autocast, channels_last
from nonesuch.core.photographs import Photograph, exclude, find, read_names, signature
from nonesuch.core.similarity import normalised
from nonesuch.core.training import Trainer, TrainSettings
from nonesuch.evaluation.all_pairs import all_pairs
from nonesuch.evaluation.figures import comparison_scores, pair_figures
from nonesuch.evaluation.pairs import read_pairs
from nonesuch.models import create_model
from nonesuch.recognition.augmentation import Augmentation
from nonesuch.recognition.heads import MarginHead
from nonesuch.recognition.margins import CombinedMargin
from nonesuch.recognition.samples import FaceSamples
from nonesuch.recognition.training import Recogniser, RecogniserTask

MOST_PER_PERSON, FOLDS = 10, {8, 9, 10}
BACKBONE, EMBEDDING = "iresnet_mini", 256
MARGIN = {"m2": 0.3, "scale": 32.0}
AUGMENTATION = Augmentation(mirror=0.5, crop=0.3, low_resolution=0.3, photometric=0.3, erase=0.3)
console = Console(highlight=False, width=150)


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        name: of the row.
        data: what it trains on: a name of `DATASETS`, "lfw" or "celeba", several joined by +; "" for nothing.
        identities: only the first so many; 0 for all.
        seed: of the training.
    """

    name: str
    data: str
    identities: int = 0
    seed: int = 0


GENERATE = ["--images", "20", "--seed", "21"]
DATASETS = {
    "people": ["--identities", "2000", *GENERATE],
    "published": ["--identities", "500", *GENERATE, "--sigma", "0.3:40,0.5:40,0.7:20"],
    "wide": ["--identities", "500", *GENERATE, "--sigma", "0.7:40,0.9:40,1.1:20"],
    "still": ["--identities", "500", *GENERATE, "--style", "0"],
    "apart": ["--identities", "500", *GENERATE, "--max-similarity", "0.3"],
    "near": ["--identities", "500", *GENERATE, "--max-similarity", "1"],
    "steered": ["--identities", "500", *GENERATE, "--steer", "25%: yaw=choice(-35,35)"],
}
ROWS = [
    Row("floor: raw pixels", "pixels"),
    Row("floor: random weights", ""),
    Row("500 x 20", "people", 500),
    Row("250 x 20", "people", 250),
    Row("1000 x 20", "people", 1000),
    Row("2000 x 20", "people"),
    Row("real: LFW's training people", "lfw"),
    Row("real: CelebA's train part", "celeba"),
    Row("500 x 20, seed 1", "people", 500, 1),
    Row("500 x 20, seed 2", "people", 500, 2),
    Row("sigma .3 .5 .7 (published)", "published"),
    Row("sigma .7 .9 1.1", "wide"),
    Row("style code off", "still"),
    Row("identities at most .3 alike", "apart"),
    Row("identities as drawn", "near"),
    Row("a quarter at yaw 35 (AttrOP)", "steered"),
    Row("mix: 1000 x 20 and LFW", "people+lfw", 1000),
]


class Bench:
    """Where things are, and what real faces the rows are tested on."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.folder = options, options.work
        self.folder.mkdir(parents=True, exist_ok=True)
        self.heldout = read_names(options.heldout)
        lfw = find(options.lfw)
        rows, self.pairs = read_pairs(options.pairs, lfw).of_folds(FOLDS).used()
        people = [photograph.identity for photograph in lfw]
        rank = np.array([people[:row].count(person) for row, person in enumerate(people)])
        capped = np.array([person in self.heldout for person in people]) & (rank < MOST_PER_PERSON)
        self.rows, places = np.unique(np.concatenate([rows, np.flatnonzero(capped)]), return_inverse=True)
        self.pair_rows, self.capped = places[: len(rows)], places[len(rows) :]
        self.crops = np.stack([lfw[row].read_crop() for row in self.rows])
        self.people = np.unique([people[row] for row in self.rows[self.capped]], return_inverse=True)[1]

    def figures(self, embeddings: np.ndarray) -> dict[str, object]:
        """What a table row shows, from raw embeddings of the test crops."""
        unit = normalised(embeddings.astype(np.float32))
        scores = comparison_scores(unit[self.pair_rows], self.pairs, np.ones(len(self.pair_rows), dtype=bool))
        found = all_pairs(unit[self.capped], self.people)
        return {
            "accuracy": pair_figures(scores, self.pairs)["accuracy"],
            **{name: [figure.value, figure.low, figure.high] for name, figure in found.items()},
        }

    def photographs(self, row: Row) -> list[Photograph]:
        found: list[Photograph] = []
        for name in row.data.split("+"):
            part = self._part(name)
            if row.identities and name in DATASETS:
                kept = set(sorted({photograph.identity for photograph in part})[: row.identities])
                part = [photograph for photograph in part if photograph.identity in kept]
            found += part
        return found

    def _part(self, name: str) -> list[Photograph]:
        if name in DATASETS:
            folder = self.folder / name
            command = [sys.executable, "-m", "nonesuch", "generate", str(folder), *DATASETS[name], "--no-summary"]
            subprocess.run(command, check=True)
            return find(folder)
        source, split = (self.options.lfw, None) if name == "lfw" else (self.options.celeba, "train")
        photographs = exclude(find(source, split), self.heldout)
        counts: dict[str, int] = {}
        for photograph in photographs:
            counts[photograph.identity] = counts.get(photograph.identity, 0) + 1
        return [photograph for photograph in photographs if counts[photograph.identity] > 1]


def embedded(backbone: torch.nn.Module, crops: np.ndarray) -> np.ndarray:
    """(N, D) sums of the embeddings of crops and of their mirror images."""
    backbone = channels_last(backbone.eval())
    found = []
    with torch.inference_mode(), autocast(torch.device("cpu"), torch.bfloat16):
        for start in range(0, len(crops), 128):
            pixels = torch.from_numpy(crops[start : start + 128]).permute(0, 3, 1, 2).float() / 127.5 - 1.0
            found.append((backbone(pixels).float() + backbone(pixels.flip(3)).float()).numpy())
    return np.concatenate(found)


def train(bench: Bench, row: Row) -> tuple[torch.nn.Module, dict[str, object]]:
    samples = FaceSamples(bench.photographs(row), cached=True)
    options = bench.options
    settings = TrainSettings(
        images=options.images,
        batch=128,
        optimizer=options.optimizer,
        lr=options.lr,
        warmup=4_000,
        weight_decay=5e-4 if options.optimizer == "sgd" else 0.05,
        clip=5.0,
        ema_images=4_000,
        seed=row.seed,
        dtype="bfloat16",
    )
    torch.manual_seed(row.seed)
    backbone = create_model(BACKBONE, embedding_dim=EMBEDDING)
    network = Recogniser(backbone, MarginHead(EMBEDDING, len(samples.identities), CombinedMargin(**MARGIN)))
    task = RecogniserTask(channels_last(network), AUGMENTATION)
    what = {"data": signature(samples.photographs), "margin": MARGIN, "backbone": BACKBONE}
    run = bench.folder / "runs" / "".join(letter if letter.isalnum() else "_" for letter in row.name)
    trainer = Trainer(task, samples, settings, run, torch.device("cpu"), what)
    started, before = time.perf_counter(), trainer.seen

    def on_step(progress: object) -> None:
        if trainer.step % 100 == 0:
            print(f"  {row.name}: {progress.seen:,} {progress.note}", flush=True)  # type: ignore[attr-defined]

    trainer.run(on_step, lambda: None)
    seconds = time.perf_counter() - started
    network.load_state_dict(trainer.averaged())
    made = (trainer.seen - before) / seconds
    return backbone, {"identities": len(samples.identities), "images": len(samples), "images_per_second": made}


def run_row(bench: Bench, row: Row) -> dict[str, object]:
    if row.data == "pixels":
        small = torch.nn.functional.interpolate(
            torch.from_numpy(bench.crops).permute(0, 3, 1, 2).float(), size=(28, 28), mode="area"
        )
        vectors = small.flatten(1).numpy()
        return bench.figures(vectors - vectors.mean(0))
    if not row.data:
        torch.manual_seed(0)
        backbone = create_model(BACKBONE, embedding_dim=EMBEDDING)
        return bench.figures(embedded(backbone, bench.crops))
    backbone, about = train(bench, row)
    return {**bench.figures(embedded(backbone, bench.crops)), **about}


def show(done: dict[str, dict[str, object]]) -> None:
    shown = Table("row", "identities", "images", "folds 8-10", "EER", "TAR at FMR 1e-2", "TAR at FMR 1e-3")

    def interval(figure: list[float]) -> str:
        return f"{figure[0]:.1%} ({figure[1]:.1%}-{figure[2]:.1%})"

    for name, row in done.items():
        cells = [str(row.get("identities", "")), str(row.get("images", "")), f"{row['accuracy']:.1%}"]
        cells += [interval(row[key]) for key in ("eer", "tar@0.01", "tar@0.001")]  # type: ignore[arg-type]
        shown.add_row(name, *cells)
    console.print(shown)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    for name in ("--lfw", "--pairs", "--heldout", "--celeba"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--rows", nargs="*")
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--optimizer", default="sgd")
    parser.add_argument("--lr", type=float, default=0.1)
    options = parser.parse_args()
    keep_memory()
    bench = Bench(options)
    path = options.work / "loop.json"
    done = json.loads(path.read_text()) if path.exists() else {}
    for row in ROWS:
        if row.name in done or (options.rows and row.name not in options.rows):
            continue
        done[row.name] = run_row(bench, row)
        files.write_json(path, done)
        show(done)
    show(done)


if __name__ == "__main__":
    main()
