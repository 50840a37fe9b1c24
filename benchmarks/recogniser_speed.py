"""Training a recogniser: images per second, compared with the published loop's structure.

    python benchmarks/recogniser_speed.py FACES [--backbone iresnet_mini] [--batch 128] [--steps 12]

FACES is a dataset, folder or tar of aligned faces. The published structure is that of HSFace's and AdaFace's training
code. A PyTorch dataset decodes one image at a time with Pillow and augments it as a Pillow image; a DataLoader has two
worker processes. It trains in float32 with PyTorch's own memory layout and allocator, by SGD, with ArcFace on a full
matrix of logits. Ours is `Trainer` as `nonesuch recognize train` runs it, with augmentation on tensors, in float32 and
bfloat16; images are decoded at each step like theirs, and in one more run come from memory. Both change images with the
same probabilities. Each runs in a process of its own, one after the other, in turn.
"""

import argparse
import io
import os
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageEnhance

from nonesuch import create_model
from nonesuch.core.allocator import keep_memory
from nonesuch.core.devices import channels_last
from nonesuch.formats.photographs import Photograph
from nonesuch.formats.readers import find
from nonesuch.loop.settings import TrainSettings
from nonesuch.loop.trainer import Trainer
from nonesuch.recognition.augmentation import Augmentation
from nonesuch.recognition.recipes import create_head
from nonesuch.recognition.samples import FaceSamples
from nonesuch.recognition.task import Recogniser, RecogniserTask

WAYS = ("published", "float32", "bfloat16", "bfloat16, from memory")
TURNS, WARM = 3, 3


class PublishedFaces(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
    """One image at a time, augmented by Pillow: crop, low resolution, photometric (0.3 each), erasing (0.5), mirror."""

    def __init__(self, photographs: list[Photograph]) -> None:
        self.photographs = photographs
        names = sorted({photograph.identity for photograph in photographs})
        self.labels = {name: number for number, name in enumerate(names)}

    def __len__(self) -> int:
        return len(self.photographs)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        item = self.photographs[row]
        image = Image.open(io.BytesIO(item.read_bytes())).convert("RGB")
        draw = np.random.rand
        if draw() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if draw() < 0.3:
            side = int(112 * (0.75 + 0.25 * draw()))
            left, top = (int((112 - side) * draw()) for _ in range(2))
            image = image.crop((left, top, left + side, top + side)).resize((112, 112), Image.Resampling.BILINEAR)
        if draw() < 0.3:
            side = int(24 + 64 * draw())
            image = image.resize((side, side), Image.Resampling.BILINEAR).resize((112, 112), Image.Resampling.BILINEAR)
        if draw() < 0.3:
            for kind in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
                image = kind(image).enhance(0.6 + 0.8 * draw())
        tensor = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 127.5 - 1.0
        if draw() < 0.5:
            high, wide = (int(112 * (0.15 + 0.4 * draw())) for _ in range(2))
            top, left = int((112 - high) * draw()), int((112 - wide) * draw())
            tensor[:, top : top + high, left : left + wide] = 0.0
        return tensor, self.labels[item.identity]


def published(photographs: list[Photograph], backbone: str, batch: int, steps: int) -> float:
    faces = PublishedFaces(photographs)
    loader = torch.utils.data.DataLoader(faces, batch, shuffle=True, num_workers=2, drop_last=True)
    network = create_model(backbone).train()
    width = network.eval()(torch.zeros(1, 3, 112, 112)).shape[1]
    network.train()
    centres = torch.nn.Parameter(0.01 * torch.randn(len(faces.labels), width))
    optimizer = torch.optim.SGD([*network.parameters(), centres], lr=0.01, momentum=0.9, weight_decay=5e-4)
    times: list[float] = []
    started = time.perf_counter()
    while len(times) < steps + WARM:
        for images, labels in loader:
            cosine = F.linear(F.normalize(network(images)), F.normalize(centres)).clamp(-1 + 1e-7, 1 - 1e-7)
            with torch.no_grad():
                angles = cosine.gather(1, labels[:, None]).acos() + 0.5
                moved = angles.clamp(1e-3, 3.14).cos()
            own = cosine.gather(1, labels[:, None])
            logits = 64.0 * cosine.scatter(1, labels[:, None], own + (moved - own).detach())
            optimizer.zero_grad()
            F.cross_entropy(logits, labels).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            times.append(time.perf_counter() - started)
            started = time.perf_counter()
            if len(times) == steps + WARM:
                break
    return batch / float(np.median(times[WARM:]))


def ours(photographs: list[Photograph], backbone: str, batch: int, steps: int, way: str) -> float:
    samples = FaceSamples(photographs)
    network = create_model(backbone)
    width = network.eval()(torch.zeros(1, 3, 112, 112)).shape[1]
    recogniser = channels_last(Recogniser(network, create_head("arcface", width, len(samples.identities))))
    task = RecogniserTask(recogniser, Augmentation(crop=0.3, low_resolution=0.3, photometric=0.3, erase=0.5))
    settings = TrainSettings(
        images=(steps + WARM) * batch, batch=batch, optimizer="sgd", lr=0.01, clip=5.0, dtype=way.split(",")[0]
    )
    speeds: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(task, samples, settings, Path(folder), torch.device("cpu"), {})
        with samples.kept(Path(folder)) if way.endswith("memory") else nullcontext():
            trainer.run(lambda progress: speeds.append(progress.images_per_second), lambda: None)
    return float(np.median(speeds[WARM:]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faces", type=Path)
    parser.add_argument("--backbone", default="iresnet_mini")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--way", choices=WAYS, help="Run only this one, in this process.")
    options = parser.parse_args()
    if options.way is None:
        found: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(TURNS):
            for way in WAYS:
                done = subprocess.run([sys.executable, *sys.argv, "--way", way], stdout=subprocess.PIPE, check=True)
                found[way].append(float(done.stdout))
        base = np.median(found["published"])
        for way, speeds in found.items():
            ratio = np.median(speeds) / base
            print(f"{way:22} {np.median(speeds):6.0f} images/s ({min(speeds):.0f}-{max(speeds):.0f})  {ratio:.2f}x")
        return
    if options.way != "published":
        os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count()))
        keep_memory()
    photographs = find(options.faces, split="train")
    if len(photographs) < options.batch:
        parser.error(f"{len(photographs)} images make no batch of {options.batch}")
    rest = (photographs, options.backbone, options.batch, options.steps)
    print(published(*rest) if options.way == "published" else ours(*rest, options.way))


if __name__ == "__main__":
    main()
