"""How fast is a training step, where does its time go, and what does each loss cost?

    python benchmarks/training_step.py --data celeba112.tar [--steps 12]

One process per row, one after the other. First the step as `nonesuch train-generator --dtype bfloat16` makes it, and
the same losses the plain way: float32, NCHW, the C library's default allocator, torch's own PReLU. Then the step
without one loss at a time, then a profile by operator.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from nonesuch import create_model, load_detector, load_embedder
from nonesuch.core import prelu
from nonesuch.core.allocator import keep_memory
from nonesuch.core.devices import channels_last
from nonesuch.core.photographs import find
from nonesuch.core.training import Trainer, TrainSettings
from nonesuch.generators.training import GeneratorTask, PhotographSamples
from nonesuch.generators.vec2face import Vec2Face
from nonesuch.presets import GENERATOR_RECIPES

PARTS = {
    "pixel": ("pixel",),
    "SSIM": ("ssim",),
    "token": ("token",),
    "identity": ("identity",),
    "perceptual": ("perceptual",),
    "identity and perceptual": ("identity", "prior_identity", "perceptual"),
    "landmarks": ("landmarks",),
    "adversarial (and the discriminator)": ("adversarial", "prior_adversarial"),
    "sampled people": ("prior_identity", "prior_adversarial"),
}


def step_speed(data: Path, steps: int, plain: bool, without: str, profile: bool) -> float:
    """Median images (photographs) per second of a run in a folder that is thrown away."""
    if plain:
        prelu.PReLU.forward = nn.PReLU.forward  # type: ignore[method-assign]
    else:
        keep_memory()
    recipe = GENERATOR_RECIPES["vec2face_small"]
    recipe = replace(recipe, losses=replace(recipe.losses, **dict.fromkeys(PARTS.get(without, ()), 0.0)))
    embedder = load_embedder("mobilefacenet", "cpu")
    photographs = find(data)[: recipe.batch * 8]
    vectors = embedder.embed(np.stack([photograph.read() for photograph in photographs]))
    network = create_model("vec2face_small")
    assert isinstance(network, Vec2Face)
    detector = load_detector("cpu")
    if plain:
        for frozen in (embedder.network, detector.network):
            frozen.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    recipe = replace(recipe, adversarial_from=0)
    task = GeneratorTask(
        network, embedder, recipe, None, lambda images: detector.crop_landmarks((images + 1.0) * 127.5)
    )
    for player in task.players if not plain else ():
        channels_last(player.network)
    draw = (lambda seed: vectors[seed % len(vectors)]) if recipe.losses.need_sampled_people else None
    samples = PhotographSamples(photographs, vectors, 0.2, recipe.mask, network.style_dim, draw, recipe.prior_share)
    settings = TrainSettings(
        images=recipe.batch * steps,
        batch=recipe.batch,
        lr=1e-4,
        dtype="float32" if plain else "bfloat16",
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(task, samples, settings, Path(folder) / "run", torch.device("cpu"), {})
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        trainer._step()
        seconds.append(time.perf_counter() - start)
    if profile:
        with torch.profiler.profile() as found:
            trainer._step()
        print(found.key_averages().table(sort_by="self_cpu_time_total", row_limit=20, max_name_column_width=45))
        print(found.key_averages(group_by_input_shape=True).table(sort_by="self_cpu_time_total", row_limit=15))
    return recipe.batch / float(np.median(seconds[2:]))


def in_a_process(options: argparse.Namespace, *arguments: str) -> float:
    command = [
        sys.executable,
        __file__,
        "--data",
        str(options.data),
        "--steps",
        str(options.steps),
        "--row",
        *arguments,
    ]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--row", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--plain", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--without", default="", help=argparse.SUPPRESS)
    parser.add_argument("--profile", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        speed = step_speed(options.data, options.steps, options.plain, options.without, options.profile)
        print(speed)
        return
    fast, plain = in_a_process(options), in_a_process(options, "--plain")
    console = Console()
    console.print(f"as trained: {fast:.1f} images/s; plain: {plain:.1f}; ratio {fast / plain:.2f}")
    table = Table("without", "images/s", "cost of the loss, share of the step", title="what each loss costs")
    for name in PARTS:
        speed = in_a_process(options, "--without", name)
        table.add_row(name, f"{speed:.1f}", f"{1 - fast / speed:.0%}")
    console.print(table)
    step_speed(options.data, 4, plain=False, without="", profile=True)


if __name__ == "__main__":
    main()
