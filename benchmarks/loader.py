"""Loading images for training: images per second beside the usual loaders, and what overlaps with computing.

    python benchmarks/loader.py [--images 4000] [--workers 0 1 2] [--turns 3]

All read the same JPEGs of 112x112, quality 95, by `vec2face_small`, in batches of 128: ours from shards (`Loading` with
`FaceSamples`, as `nonesuch recognize train` has it); an image folder, the published LMDB layout (image and label as
msgpack) and WebDataset's own reader, each with Pillow and the transforms of the published code (mirror, to floats,
normalise) in PyTorch's DataLoader. Ours hands over bytes, which the device makes floats of, and draws for the
augmentation. The time runs from the first batch to the last, so that it holds no start of a worker. Images per second
of a core, those of workers included, tell more than the others where cores are busy.
"""

import argparse
import io
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import lmdb
import msgpack
import numpy as np
import torch
import webdataset
from PIL import Image
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

import nonesuch
from nonesuch.core import images
from nonesuch.formats.readers import find
from nonesuch.loop import run_folder
from nonesuch.loop.loading import Loading, Order
from nonesuch.loop.settings import TrainSettings
from nonesuch.loop.trainer import Player, Trainer
from nonesuch.recognition.samples import FaceSamples

BATCH, DRAWN, SECONDS, STEPS = 128, 400, 0.05, 10


def make(work: Path, count: int) -> None:
    """The same JPEGs as a folder, shards, LMDB and WebDataset: some hundred faces, each in several files."""
    pixels = [photograph.read() for photograph in _drawn(work / "drawn")]
    for number in range(count):
        person = work / "folder" / f"{number % DRAWN:05d}"
        person.mkdir(parents=True, exist_ok=True)
        (person / f"{number}.jpg").write_bytes(images.encode(pixels[number % DRAWN], "jpeg", 95))
    nonesuch.import_images(work / "folder", work / "shards", shard_images=1000)
    for kind in ("lmdb", "webdataset"):
        nonesuch.export_dataset(work / "folder", work / kind, format=kind)


def _drawn(folder: Path) -> list:
    nonesuch.generate_dataset(folder, identities=DRAWN, images=1, generator="vec2face_small", codec="png")
    return find(folder)


def transformed(image: Image.Image) -> Tensor:
    """What torchvision's RandomHorizontalFlip, ToTensor and Normalize(0.5, 0.5) do."""
    if torch.rand(1) < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    tensor = torch.from_numpy(np.array(image, np.uint8, copy=True)).permute(2, 0, 1).contiguous()
    return tensor.to(torch.float32).div(255).sub_(0.5).div_(0.5)


class Folder(Dataset):
    """As torchvision's ImageFolder."""

    def __init__(self, folder: Path) -> None:
        people = sorted(path.name for path in folder.iterdir())
        self.items = [(path, people.index(path.parent.name)) for path in sorted(folder.rglob("*.jpg"))]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        path, label = self.items[row]
        with path.open("rb") as handle:
            return transformed(Image.open(handle).convert("RGB")), label


class Lmdb(Dataset):
    """As the published code: an environment for each process, opened when it is first needed."""

    def __init__(self, path: Path) -> None:
        self.path, self.opened = path, None
        with lmdb.open(str(path), subdir=False, readonly=True, lock=False) as opened, opened.begin() as transaction:
            self.keys = msgpack.unpackb(transaction.get(b"__keys__"))

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        if self.opened is None:
            self.opened = lmdb.open(
                str(self.path), subdir=False, readonly=True, lock=False, readahead=False, meminit=False
            )
        with self.opened.begin(write=False) as transaction:
            data, label = msgpack.unpackb(transaction.get(self.keys[row].encode()))
        return transformed(Image.open(io.BytesIO(data)).convert("RGB")), label


def by_webdataset(work: Path, workers: int) -> DataLoader:
    """Its own pipeline; a shard belongs to one worker."""
    shards = [str(path) for path in sorted((work / "webdataset").rglob("*.tar"))]
    found = webdataset.WebDataset(shards, shardshuffle=False, empty_check=False).decode("pil").to_tuple("jpg", "cls")
    return DataLoader(found.map_tuple(transformed), BATCH, num_workers=workers)


def ours(work: Path, workers: int, count: int) -> Iterator[dict[str, Tensor]]:
    """Batches as a training gets them."""
    samples = FaceSamples(find(work / "shards"))
    settings = TrainSettings(images=count, batch=BATCH, lr=0.1)
    loading = Loading(samples.load, Order(len(samples), settings), 1, workers)
    for seen in range(0, count - BATCH + 1, BATCH):
        yield loading.parts(seen, count - BATCH + 1)[0]
    loading.close()


def speed(batches: Iterable[object]) -> tuple[float, float]:
    """Images per second from the first batch to the last, and per second of a core, those of workers included."""
    moments = [(time.perf_counter(), _core_seconds()) for _ in batches]
    wall, cores = np.subtract(moments[-1], moments[0])
    done = BATCH * (len(moments) - 1)
    return done / wall, done / cores


def _core_seconds() -> float:
    """Of this process and those it has started."""
    ticks = 0
    for process in multiprocessing.active_children():
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


class Sleeper:
    """Loading and computing that take 50 ms each and nothing else."""

    def __init__(self) -> None:
        self.network = nn.Linear(1, 1)
        self.players = [Player(self.network, self.losses)]

    def __len__(self) -> int:
        return 100

    def load(self, indices: np.ndarray, seeds: list[int]) -> dict[str, Tensor]:
        time.sleep(SECONDS)
        return {"x": torch.zeros(len(seeds), 1)}

    def losses(self, batch: dict[str, Tensor], seen: int) -> dict[str, Tensor]:
        time.sleep(SECONDS)
        return {"squared": self.network(batch["x"]).square().mean()}


def overlapped(workers: int | None) -> float:
    """Seconds of ten steps."""
    task, settings = Sleeper(), TrainSettings(images=4 * STEPS, batch=4, lr=0.1)
    with tempfile.TemporaryDirectory() as folder, run_folder.claimed(Path(folder), settings, {}):
        trainer = Trainer(task, task, settings, Path(folder), torch.device("cpu"), {}, workers)
        begun = time.perf_counter()
        trainer.run(lambda progress: None, lambda: None)
        return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    console = Console(highlight=False, width=120)
    for workers, how in ((None, "one after the other"), (0, "overlapped")):
        seconds = np.median([overlapped(workers) for _ in range(options.turns)])
        console.print(
            f"{STEPS} steps of {SECONDS * 1000:.0f} ms of loading and as much computing: {seconds:.2f} s, {how}"
        )
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        make(work, options.images)
        ways: dict[str, Callable[[int], Iterable[object]]] = {
            "image folder, Pillow": lambda n: DataLoader(Folder(work / "folder"), BATCH, True, num_workers=n),
            "published LMDB, Pillow": lambda n: DataLoader(
                Lmdb(work / "lmdb" / "train.lmdb"), BATCH, True, num_workers=n
            ),
            "WebDataset, Pillow": lambda n: by_webdataset(work, n),
            "nonesuch, shards": lambda n: ours(work, n, options.images),
        }
        for workers in options.workers:
            found = {name: [speed(way(workers)) for _ in range(options.turns)] for name, way in ways.items()}
            _show(console, workers, {name: np.median(np.array(rates), axis=0) for name, rates in found.items()})


def _show(console: Console, workers: int, found: dict[str, np.ndarray]) -> None:
    base = next(iter(found.values()))
    table = Table("loader", "images/s", "ratio", "images/s of a core", "ratio", title=f"{workers} workers")
    for name, (rate, of_core) in found.items():
        table.add_row(name, f"{rate:,.0f}", f"{rate / base[0]:.2f}", f"{of_core:,.0f}", f"{of_core / base[1]:.2f}")
    console.print(table)


if __name__ == "__main__":
    main()
