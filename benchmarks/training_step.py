"""How fast is a training step, where does its time go, and what does each loss cost?

    python benchmarks/training_step.py --data celeba112.tar [--rounds 3]

The first part times the step as `nonesuch train-generator --dtype bfloat16` makes it, and the same losses in the plain
way: float32, NCHW, the C library's default allocator, torch's own PReLU. The two run in processes of their own, in turn
and several times, because other work on the machine comes and goes. The second part, in one process and step by step in
turn, times the step without one loss at a time. The third is a profile by operator.
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
from nonesuch.core.allocator import keep_memory
from nonesuch.core.devices import channels_last
from nonesuch.embedders import prelu
from nonesuch.formats.crops import Crops
from nonesuch.formats.readers import find
from nonesuch.generators.vec2face.network import Vec2Face
from nonesuch.generators.vec2face.presets import GENERATOR_RECIPES
from nonesuch.generators.vec2face.training import GeneratorTask, PhotographSamples
from nonesuch.loop.settings import TrainSettings
from nonesuch.loop.trainer import Trainer
from nonesuch.training.vec2face_run import crop_landmarks

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


ROUNDS_OF_STEPS, STEPS = 10, 8
NOTHING = "nothing"


def prepare(plain: bool) -> None:
    """Set what holds for a whole process."""
    if plain:
        prelu.PReLU.forward = nn.PReLU.forward
    else:
        keep_memory()


def trainer(data: Path, plain: bool, without: str) -> Trainer:
    """A run of the small preset's recipe with the discriminator, less one loss, on the first photographs."""
    recipe = GENERATOR_RECIPES["vec2face_small"]
    losses = replace(recipe.losses, **dict.fromkeys(PARTS.get(without, ()), 0.0))
    recipe = replace(recipe, losses=losses, adversarial_from=0)
    embedder, detector = load_embedder("mobilefacenet", "cpu"), load_detector("cpu")
    photographs = find(data)[: recipe.batch * 8]
    vectors = embedder.embed(np.stack([photograph.read() for photograph in photographs]))
    network = create_model("vec2face_small")
    assert isinstance(network, Vec2Face)
    if plain:
        for frozen in (embedder.network, detector.network):
            frozen.to(memory_format=torch.contiguous_format)
    task = GeneratorTask(network, embedder, recipe, None, crop_landmarks(detector))
    for player in task.players if not plain else ():
        channels_last(player.network)
    draw = (lambda seed: vectors[seed % len(vectors)]) if recipe.losses.need_sampled_people else None
    samples = PhotographSamples(
        Crops(photographs), vectors, 0.2, recipe.mask, network.style_dim, draw, recipe.prior_share
    )
    dtype = "float32" if plain else "bfloat16"
    settings = TrainSettings(images=10**6, batch=recipe.batch, lr=1e-4, dtype=dtype)
    with tempfile.TemporaryDirectory() as folder:
        return Trainer(task, samples, settings, Path(folder) / "run", torch.device("cpu"), {})


def step_seconds(run: Trainer) -> float:
    start = time.perf_counter()
    run._step()
    return time.perf_counter() - start


def in_a_process(data: Path, *arguments: str) -> float:
    """Median seconds of a step in a process of its own."""
    command = [sys.executable, __file__, "--data", str(data), "--row", *arguments]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--row", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--plain", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        prepare(options.plain)
        run = trainer(options.data, options.plain, NOTHING)
        print(np.median([step_seconds(run) for _ in range(STEPS)][2:]))
        return
    batch, console = GENERATOR_RECIPES["vec2face_small"].batch, Console()
    table = Table("round", "as trained, images/s", "plain", "ratio")
    ratios = []
    for number in range(options.rounds):
        fast, plain = in_a_process(options.data), in_a_process(options.data, "--plain")
        ratios.append(plain / fast)
        table.add_row(str(number + 1), f"{batch / fast:.1f}", f"{batch / plain:.1f}", f"{ratios[-1]:.2f}")
    table.add_row("median", "", "", f"{np.median(ratios):.2f}")
    console.print(table)

    prepare(plain=False)
    runs = {name: trainer(options.data, False, name) for name in (NOTHING, *PARTS)}
    seconds = np.array([[step_seconds(run) for run in runs.values()] for _ in range(ROUNDS_OF_STEPS)])[2:]
    table = Table("without", "images/s", "cost of the loss, share of the step", title="what each loss costs")
    for name, column in zip(runs, seconds.T, strict=True):
        cost = np.median(1.0 - column / seconds[:, 0])
        table.add_row(name, f"{batch / np.median(column):.1f}", f"{cost:.0%}")
    console.print(table)
    with torch.profiler.profile() as found:
        runs[NOTHING]._step()
    print(found.key_averages().table(sort_by="self_cpu_time_total", row_limit=20, max_name_column_width=45))


if __name__ == "__main__":
    main()
