"""How large and how slow is Arc2Face beside Vec2Face base? (Published: 311 times, with LCM.)

    python benchmarks/arc2face_speed.py [--images 1] [--steps 25]

One run times both with random weights of the published sizes, as one worker of `generate` on a CPU runs them: on one
core, in float32, Vec2Face 16 images at a time, Arc2Face one, from the vector to the aligned crop. Arc2Face is timed
with LCM in 4 steps and with DPM-Solver++ in --steps steps and guidance 3. Needs nonesuch[diffusers].
"""

import argparse
import time
from typing import Any

import numpy as np
import torch
from torch import nn

from nonesuch.cli.allocator import keep_memory
from nonesuch.generators.generator import Generator
from nonesuch.models import _MODELS, create_model


def random_generator(architecture: str, **more: Any) -> tuple[Generator, nn.Module]:
    """A generator of random weights, and its network."""
    network = create_model(architecture).eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    about = {"name": architecture, "architecture": architecture, "sha256": "", "licence": "", "source": ""}
    kind, make = _MODELS[architecture].card, _MODELS[architecture].generator
    assert make is not None
    card = kind(**about, training_data="", feature_dim=512, embedder="", embedder_sha256="", **more)
    return make(card, network, torch.device("cpu"), torch.float32), network


def seconds(generator: Generator, images: int, batch: int) -> float:
    """Seconds per image."""
    vectors = np.random.default_rng(0).standard_normal((images, 512)).astype(np.float32)
    started = time.monotonic()
    generator.render(vectors, np.arange(images, dtype=np.uint64), batch)
    return (time.monotonic() - started) / images


def told(name: str, network: nn.Module) -> None:
    """Print the size of a network."""
    weights = sum(part.numel() for part in network.state_dict().values())
    print(f"{name}: {weights / 1e6:.0f}M weights, {weights * 2 / 1e6:.0f} MB in half precision", flush=True)


def main() -> None:
    """Time both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1)
    parser.add_argument("--steps", type=int, default=25)
    given = parser.parse_args()
    keep_memory()
    torch.set_num_threads(1)
    small, network = random_generator("vec2face_base")
    told("vec2face_base", network)
    seconds(small, 16, 16)  # the first call allocates
    unit = seconds(small, 48, 16)
    print(f"vec2face_base: {unit:.2f} s per image", flush=True)
    del small, network
    distilled, network = random_generator("arc2face", distilled=True, sampling={"sampler": "lcm", "steps": 4})
    told("arc2face", network)
    for sampler in ("lcm,steps=4,guidance=1", f"dpm,steps={given.steps},guidance=3"):
        taken = seconds(distilled.with_sampler(sampler), given.images, 1)
        print(f"arc2face, {sampler}: {taken:.1f} s per image, {taken / unit:.0f} times vec2face_base", flush=True)


if __name__ == "__main__":
    main()
