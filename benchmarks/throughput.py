"""How much of the bare network's speed does the whole job keep, and do its time and memory grow with the dataset?

    python benchmarks/throughput.py [--images 2000] [--rounds 3] [--generator NAME_OR_FILE]
    python benchmarks/throughput.py --sizes 1000 10000 100000

The first one times three things in turn, with the same model: the bare forward pass on ready tensors, on as many
one-core threads as the job uses; the job itself (plan, perturbation, masks, forward pass, JPEG, hashes, tar, index);
and a loop as the published script has it: batches of 50 in one thread of Python with torch's own threads, perturbed by
its global random generator, and a file per image in a folder per identity, written by Pillow.

The second one measures what the job costs besides the network: seconds, peak memory, and bytes on the disk of datasets
of different sizes, each made in a process of its own. Its generator costs next to nothing and draws noise, which JPEG
packs badly: what is measured is an upper limit of what the job adds to a network.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from peak_memory import peak_megabytes
from PIL import Image
from rich.console import Console
from rich.table import Table
from torch import Tensor

from nonesuch import load_generator
from nonesuch.core.allocator import keep_memory
from nonesuch.dataset.create import DatasetRequest, create_dataset
from nonesuch.dataset.rendering import RenderSettings, default_workers
from nonesuch.dataset.vector_sources import VectorSource
from nonesuch.generators.generator import Generator, GeneratorCard, Latent
from nonesuch.identities.variation import parse_sigma_mix

MICRO_BATCH, LOOP_BATCH = 16, 50


def bare_forward(generator: Generator, images: int, workers: int) -> float:
    """Images per second of the network alone."""
    vectors = torch.randn(MICRO_BATCH, generator.card.feature_dim) / generator.card.vector_scale
    latent = generator.draw(np.arange(MICRO_BATCH, dtype=np.uint64))

    def forward(_: int) -> None:
        with torch.inference_mode():
            generator.forward(vectors, latent)

    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        started = time.monotonic()
        list(pool.map(forward, range(images // MICRO_BATCH)))
        return images // MICRO_BATCH * MICRO_BATCH / (time.monotonic() - started)


class Noise(Generator):
    """Grey noise from the image's seed, as cheap as an image can be that JPEG does not pack away."""

    def __init__(self) -> None:
        told = {"name": "noise", "architecture": "noise", "sha256": "0" * 64, "licence": "", "source": ""}
        self.card = GeneratorCard(**told, training_data="", feature_dim=512, embedder="", embedder_sha256="")
        self.device, self.dtype = torch.device("cpu"), torch.float32

    def draw(self, seeds: NDArray[np.uint64], style_spread: float = 1.0) -> Latent:
        """A start in the noise for each image."""
        starts = torch.from_numpy((seeds % 1000).astype(np.int64))
        return Latent(torch.zeros(len(seeds), 0), {"start": starts})

    def forward(self, vectors: Tensor, latent: Latent) -> Tensor:
        """(B, 3, 112, 112)."""
        rows = [NOISE[start : start + 112 * 112] for start in latent.fixed["start"].tolist()]
        return torch.stack(rows).view(-1, 1, 112, 112).expand(-1, 3, -1, -1)


NOISE = torch.rand(112 * 112 + 1000, generator=torch.Generator().manual_seed(0)) * 60 + 90


def whole_job(folder: Path, generator: Generator, images: int, workers: int) -> float:
    """Makes plan, images and shards; returns the seconds."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((images // 10, generator.card.feature_dim)).astype(np.float32) * 5
    source = VectorSource({}, False, lambda on_progress: ([""] * len(vectors), vectors))
    mix = parse_sigma_mix(generator.card.sigma_mix)
    request = DatasetRequest(images_per_identity=10, sigma_mix=mix, seed=0, images_per_shard=1000, vectors=source)
    settings = RenderSettings(device="cpu", dtype="float32", micro_batch=MICRO_BATCH, codec="jpeg", quality=95)
    started = time.monotonic()
    create_dataset(folder, request, generator, settings, workers)
    return time.monotonic() - started


def published_loop(folder: Path, generator: Generator, images: int, workers: int) -> float:
    """Writes a file per image, as the authors' script does; returns the seconds."""
    torch.set_num_threads(workers)
    torch.manual_seed(0)
    started = time.monotonic()
    for first in range(0, images, LOOP_BATCH):
        count = min(LOOP_BATCH, images - first)
        base = torch.randn(1, generator.card.feature_dim).repeat(count, 1)
        noisy = base + torch.randn_like(base) * 0.3
        vectors = noisy * (base.norm(dim=1) / noisy.norm(dim=1))[:, None] / generator.card.vector_scale
        latent = generator.draw(np.arange(first, first + count, dtype=np.uint64))
        with torch.inference_mode():
            pixels = generator.forward(vectors, latent).clamp(0, 255).permute(0, 2, 3, 1).numpy().astype(np.uint8)
        for number, image in enumerate(pixels):
            place = folder / f"{(first + number) // 10:06d}"
            place.mkdir(exist_ok=True)
            Image.fromarray(image).save(place / f"{(first + number) % 10:03d}.jpg", quality=95)
    return time.monotonic() - started


def one_size(images: int) -> list[float]:
    """Seconds, seconds of a core, peak megabytes and megabytes on the disk of one dataset, made in its own process."""
    command = [sys.executable, __file__, "--only-size", str(images)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [float(part) for part in printed.split()]


def show_sizes(sizes: list[int]) -> None:
    """The table of the second mode."""
    columns = ("images", "seconds", "ms of a core per image", "peak memory, MB", "disk, MB")
    table = Table(*columns, title="the job without a network")
    for images in sizes:
        seconds, busy, memory, disk = one_size(images)
        table.add_row(f"{images:,}", f"{seconds:.1f}", f"{busy / images * 1e3:.2f}", f"{memory:.0f}", f"{disk:.1f}")
    Console().print(table)


def show_speeds(generator: Generator, images: int, rounds: int, workers: int) -> None:
    """The table of the first mode."""
    speeds = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            bare = bare_forward(generator, images, workers)
            job = images / whole_job(Path(folder) / "faces", generator, images, workers)
            loop = images / published_loop(Path(folder), generator, images, workers)
        speeds.append((bare, job, loop))
    title = f"images/s of {generator.name}, {workers} cores, float32"
    table = Table("round", "bare forward", "whole job", "share", "published loop", "job / loop", title=title)
    for number, (bare, job, loop) in enumerate(speeds, start=1):
        table.add_row(str(number), f"{bare:.1f}", f"{job:.1f}", f"{job / bare:.0%}", f"{loop:.1f}", f"{job / loop:.2f}")
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--generator", default="vec2face_small")
    parser.add_argument("--sizes", type=int, nargs="+", help="measure datasets of so many images of noise instead")
    parser.add_argument("--only-size", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    keep_memory()
    workers = default_workers(torch.device("cpu"))
    if options.only_size:
        with tempfile.TemporaryDirectory() as folder:
            before = time.process_time()
            seconds = whole_job(Path(folder) / "faces", Noise(), options.only_size, workers)
            busy = time.process_time() - before
            disk = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
        print(seconds, busy, peak_megabytes(), disk / 1e6)
    elif options.sizes:
        show_sizes(options.sizes)
    else:
        show_speeds(load_generator(options.generator, "cpu"), options.images, options.rounds, workers)


if __name__ == "__main__":
    main()
