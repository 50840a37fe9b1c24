"""How fast is sampling beside a loop of the published structure, and does its memory grow with the images?

    python benchmarks/sampling_speed.py [--steps 20] [--batch 16] [--rounds 3] [--cores 1]

One run times both in turn, with the same random weights of the published size: 20 ancestral steps of the U-Net. The
published structure has channels first, 1x1 convolutions for the projections of attention, a softmax of its own in
float32, and one batch on all cores. Ours is as `generate` runs it: a part of the batch on each core, and Winograd's
algorithm for wide, small maps. Both give the same latents, which is checked. Then it measures the peak memory of making
few and many images, each in a process of its own.
"""

import argparse
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import numpy as np
import torch
from peak_memory import peak_megabytes
from torch import Tensor, nn

from nonesuch.core.allocator import keep_memory
from nonesuch.core.devices import available_cores, channels_last
from nonesuch.generators.diffusion.ddpm import ddpm
from nonesuch.generators.diffusion.schedule import linear, visits
from nonesuch.generators.idiff import unet
from nonesuch.generators.idiff.generator import IDiffCard, IDiffGenerator
from nonesuch.generators.idiff.winograd import Convolution3x3
from nonesuch.models import create_model


class PublishedAttention(nn.Module):
    """The same weights as convolutions of (B, C, N), scores and softmax one after the other."""

    def __init__(self, ours: unet.Attention) -> None:
        super().__init__()
        self.heads = ours.heads
        self.to_q, self.to_k, self.to_v, self.proj_out = ours.to_q, ours.to_k, ours.to_v, ours.proj_out

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        x, context = x.transpose(1, 2), context.transpose(1, 2)
        q, k, v = (
            part.unflatten(1, (self.heads, -1)) for part in (self.to_q(x), self.to_k(context), self.to_v(context))
        )
        scores = torch.einsum("bhdn,bhdm->bhnm", q, k) / q.shape[2] ** 0.5
        found = torch.einsum("bhnm,bhdm->bhdn", scores.float().softmax(-1).to(v), v)
        return self.proj_out(found.flatten(1, 2)).transpose(1, 2)


def as_published(network: unet.IDiffUNet) -> None:
    """Replace the attention of a network by the published structure's, and its convolutions by torch's."""
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, unet.Attention):
                setattr(module, name, PublishedAttention(child))
            elif isinstance(child, Convolution3x3):
                plain = nn.Conv2d(child.in_channels, child.out_channels, 3, padding=1)
                plain.load_state_dict(child.state_dict())
                setattr(module, name, plain)


def sampled(network: unet.IDiffUNet, noise: Tensor, context: Tensor, steps: int) -> Tensor:
    """Latents by ancestral sampling, without fresh noise that would differ."""
    with torch.inference_mode():
        return ddpm(
            lambda x, when: network(x, x.new_full((len(x),), when), context),
            noise,
            visits(linear(), steps),
            lambda step: torch.zeros_like(noise),
        )


def on_each_core(network: unet.IDiffUNet, noise: Tensor, context: Tensor, steps: int) -> Tensor:
    """The same, a part of the batch on each of torch's threads."""
    cores = torch.get_num_threads()
    with ThreadPoolExecutor(cores, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        parts = zip(noise.chunk(cores), context.chunk(cores), strict=True)
        return torch.cat(list(pool.map(lambda part: sampled(network, *part, steps), parts)))


def speeds(steps: int, batch: int, rounds: int, cores: int) -> None:
    """Print seconds of both, and their ratio."""
    ours, published = unet.IDiffUNet().eval(), unet.IDiffUNet().eval()
    for module in ours.modules():
        if isinstance(module, nn.Conv2d) and not module.weight.any():
            nn.init.kaiming_normal_(module.weight)  # zero before training: nothing of a block would reach the result
    published.load_state_dict(ours.state_dict())
    as_published(published)
    channels_last(ours)
    noise, context = torch.randn(batch, 3, 32, 32), nn.functional.normalize(torch.randn(batch, 512))
    taken: dict[str, list[float]] = {"published structure": [], "ours": []}
    latents = {}
    for _ in range(rounds):
        for name, run, network in (("published structure", sampled, published), ("ours", on_each_core, ours)):
            torch.set_num_threads(cores)
            started = time.monotonic()
            latents[name] = run(network, noise, context, steps)
            taken[name].append(time.monotonic() - started)
    assert latents["ours"].std() > 0.1
    torch.testing.assert_close(*latents.values(), atol=1e-3, rtol=1e-3)
    for name, seconds in taken.items():
        print(f"{name}: {median(seconds):.1f} s for {batch} latents of {steps} steps")
    ratios = [a / b for a, b in zip(*taken.values(), strict=True)]
    print(f"ratio: {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f} over {rounds} rounds)")


def peak_memory(images: int) -> float:
    """Megabytes of a process that makes so many images with the small preset."""
    command = [sys.executable, __file__, "--only-memory", str(images)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def only_memory(images: int) -> None:
    """Make images in micro-batches and print this process's peak memory."""
    network = create_model("idiff_small").eval()
    about = {"name": "random", "architecture": "idiff_small", "sha256": "", "licence": "", "source": ""}
    card = IDiffCard(**about, training_data="", feature_dim=192, embedder="", embedder_sha256="", sampling={"steps": 2})
    generator = IDiffGenerator(card, network, torch.device("cpu"))  # type: ignore[arg-type]
    for start in range(0, images, 16):
        vectors = np.random.default_rng(start).standard_normal((16, 192)).astype(np.float32)
        generator.render(vectors, np.arange(start, start + 16, dtype=np.uint64), 16)
    print(peak_megabytes())


def main() -> None:
    """Run both parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--cores", type=int, default=available_cores(), help="1 is fair on a machine shared with others"
    )
    parser.add_argument("--only-memory", type=int)
    given = parser.parse_args()
    keep_memory()
    if given.only_memory:
        torch.set_num_threads(1)
        only_memory(given.only_memory)
        return
    speeds(given.steps, given.batch, given.rounds, given.cores)
    for images in (64, 640):
        print(f"peak memory of {images} images: {peak_memory(images):.0f} MB")


if __name__ == "__main__":
    main()
