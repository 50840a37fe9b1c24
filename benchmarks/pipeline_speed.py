"""How much of the bare network's speed does the whole job keep, and does its memory grow?

    python benchmarks/pipeline_speed.py [--images 2000] [--generator NAME_OR_FILE]

One run times two things in turn: the bare forward pass on ready tensors, on as many one-core threads as the job uses,
and the job itself (plan, perturbation, masks, forward pass, JPEG, hashes, tar, index). Then it measures the peak memory
of jobs of different sizes, each in a process of its own.
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
from peak_memory import peak_megabytes
from rich.console import Console
from rich.table import Table

from nonesuch import load_generator
from nonesuch.cli.allocator import keep_memory
from nonesuch.dataset.create import DatasetRequest, create_dataset
from nonesuch.dataset.rendering import RenderSettings, default_workers
from nonesuch.dataset.vector_sources import VectorSource
from nonesuch.generators.generator import Generator
from nonesuch.identities.variation import parse_sigma_mix

MICRO_BATCH, ROUNDS = 16, 3


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


def whole_job(generator: Generator, images: int, workers: int) -> float:
    """Images per second of plan, images and shards."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((images // 10, generator.card.feature_dim)).astype(np.float32) * 5
    source = VectorSource({}, False, lambda on_progress: ([""] * len(vectors), vectors))
    mix = parse_sigma_mix(generator.card.sigma_mix)
    request = DatasetRequest(images_per_identity=10, sigma_mix=mix, seed=0, images_per_shard=1000, vectors=source)
    settings = RenderSettings(device="cpu", dtype="float32", micro_batch=MICRO_BATCH, codec="jpeg", quality=95)
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        create_dataset(Path(folder) / "faces", request, generator, settings, workers)
        return images / (time.monotonic() - started)


def peak_memory(generator: str, images: int) -> float:
    """Megabytes of a process that makes a dataset of that many images."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--generator", generator, "--images", str(images), "--only-memory", folder]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--generator", default="vec2face_small")
    parser.add_argument("--only-memory", help=argparse.SUPPRESS)
    options = parser.parse_args()
    keep_memory()
    generator = load_generator(options.generator, "cpu")
    workers = default_workers(generator.device)
    if options.only_memory:
        whole_job(generator, options.images, workers)
        print(peak_megabytes())
        return

    rounds = [
        (bare_forward(generator, options.images, workers), whole_job(generator, options.images, workers))
        for _ in range(ROUNDS)
    ]
    table = Table("round", "bare forward", "whole job", "share", title=f"images/s, {workers} cores, float32")
    for number, (bare, job) in enumerate(rounds, start=1):
        table.add_row(str(number), f"{bare:.1f}", f"{job:.1f}", f"{job / bare:.1%}")
    bare, job = np.median(rounds, axis=0)
    table.add_row("median", f"{bare:.1f}", f"{job:.1f}", f"{np.median([j / b for b, j in rounds]):.1%}")
    Console().print(table)
    table = Table("images", "peak memory", title="one process each")
    for images in (options.images // 10, options.images, 4 * options.images):
        table.add_row(f"{images:,}", f"{peak_memory(options.generator, images):.0f} MB")
    Console().print(table)


if __name__ == "__main__":
    main()
