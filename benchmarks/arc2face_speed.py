"""How large and how slow is Arc2Face beside Vec2Face base? (Published: 311 times, with LCM.)

    python benchmarks/arc2face_speed.py [--images 1]

One run times both with random weights of the published sizes, as one worker of `generate` on a CPU runs them: on one
core, in float32, Vec2Face 16 images at a time, Arc2Face one, from the vector to the aligned crop. Seconds are those
that the core worked, so that others on the machine count less. Arc2Face is timed with LCM in 4 steps and in 1, which
tells what a pass of the U-Net takes, and from that what the 50 passes of DPM-Solver++ in 25 steps with guidance take.
Needs nonesuch[diffusers].
"""

import argparse
import time
from typing import Any

import numpy as np
import torch
from torch import nn

from nonesuch.core.allocator import keep_memory
from nonesuch.embedders.embedder import freeze
from nonesuch.generators.arc2face.generator import Arc2FaceCard, Arc2FaceGenerator
from nonesuch.generators.generator import Generator
from nonesuch.generators.vec2face.generator import Vec2FaceCard, Vec2FaceGenerator
from nonesuch.models import create_model, load_detector
from nonesuch.perception.aligned_images import ImageAligner


def card(architecture: str) -> dict[str, Any]:
    """What the cards of both have in common."""
    about = dict.fromkeys(("sha256", "licence", "source", "training_data", "embedder", "embedder_sha256"), "")
    return {"name": architecture, "architecture": architecture, "feature_dim": 512, **about}


def seconds(generator: Generator, images: int, batch: int) -> float:
    """Seconds of the core per image."""
    vectors = np.random.default_rng(0).standard_normal((images, 512)).astype(np.float32)
    started = time.process_time()
    generator.render(vectors, np.arange(images, dtype=np.uint64), batch)
    return (time.process_time() - started) / images


def told(name: str, network: nn.Module) -> None:
    """Print the size of a network."""
    weights = sum(part.numel() for part in network.state_dict().values())
    print(f"{name}: {weights / 1e6:.0f}M weights, {weights * 2 / 1e6:.0f} MB in half precision", flush=True)


def main() -> None:
    """Time both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1)
    given = parser.parse_args()
    keep_memory()
    torch.set_num_threads(1)
    cpu, float32 = torch.device("cpu"), torch.float32
    network = freeze(create_model("vec2face_base"), cpu)
    told("vec2face_base", network)
    small = Vec2FaceGenerator(Vec2FaceCard(**card("vec2face_base")), network, cpu, float32)
    seconds(small, 16, 16)  # the first call allocates
    unit = seconds(small, 48, 16)
    print(f"vec2face_base: {unit:.2f} s per image", flush=True)
    del small, network
    network = freeze(create_model("arc2face"), cpu)
    told("arc2face", network)
    known = Arc2FaceCard(**card("arc2face"), distilled=True, sampling={"sampler": "lcm", "steps": 4})
    distilled = Arc2FaceGenerator(
        known, network, cpu, float32, ImageAligner(load_detector("cpu", network.image_side // 4))
    )
    taken = {steps: seconds(distilled.with_sampler(f"steps={steps}"), given.images, 1) for steps in (1, 4)}
    one_pass = (taken[4] - taken[1]) / 3.0
    print(f"arc2face: {one_pass:.1f} s per pass of the U-Net, {taken[1] - one_pass:.1f} s for the rest")
    for sampler, found in (("lcm,steps=4", taken[4]), ("dpm,steps=25,guidance=3", taken[1] + 49.0 * one_pass)):
        print(f"arc2face, {sampler}: {found:.1f} s per image, {found / unit:.0f} times vec2face_base", flush=True)


if __name__ == "__main__":
    main()
