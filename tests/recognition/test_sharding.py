"""Class centres in parts: two processes equal one, for every head that has centres, and may go on as one."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

_RANKS = """
import gc
import sys
from pathlib import Path

import torch
from torch import nn

from nonesuch.loop import distributed
from nonesuch.loop.settings import TrainSettings
from nonesuch.loop.split_parameters import own_rows, sharded
from nonesuch.loop.trainer import Player
from nonesuch.recognition.augmentation import Augmentation
from nonesuch.recognition.recipes import create_head
from nonesuch.recognition.task import Recogniser, RecogniserTask
from tests.loop.claimed import claimed_trainer

CLASSES = 11
DRAWS = torch.randn(64, 3, 112, 112, generator=torch.Generator().manual_seed(0))
PIXELS = (DRAWS * 40 + 128).clamp(0, 255).to(torch.uint8)


class Faces:
    def __len__(self):
        return 64

    def load(self, indices, seeds):
        rows = torch.from_numpy(indices)
        return {"pixels": PIXELS[rows], "labels": rows % CLASSES, "draws_here": torch.ones(len(rows), 16)}


class Overflowing:
    # A shared layer and rows in parts; in the second step the last process's rows overflow, nobody else's.

    def __init__(self):
        self.network = nn.Linear(4, 4)
        self.network.rows = sharded(torch.ones(len(range(6)[own_rows(6)]), 4), 6)
        self.players = [Player(self.network, self.losses)]

    def losses(self, batch, seen):
        last = distributed.rank() == distributed.world_size() - 1
        overflow = 1e37 if last and seen == 16 else 1.0
        shared = self.network(batch["draws_here"][:, :4]).float().square().mean()
        return {"shared": shared, "own": overflow * 1e-2 * self.network.rows.sum()}


def overflow(folder):
    torch.manual_seed(0)
    task = Overflowing()
    settings = TrainSettings(images=48, batch=16, lr=0.01, dtype="float16")
    trainer = claimed_trainer(task, Faces(), settings, Path(folder) / "overflow")
    kept = []

    def step(progress):
        weights = {name: tensor.clone() for name, tensor in task.network.state_dict().items()}
        kept.append({"scale": trainer.scalers[0].get_scale(), **weights})

    trainer.run(step, lambda: None)
    torch.save(kept, Path(folder) / f"overflow{distributed.rank()}.pt")


def work():
    torch.set_num_threads(1)
    distributed.start(torch.device("cpu"))
    HEADS = sys.argv[1].split(",")
    for job, name in ((job, name) for job in sys.argv[2:] for name in HEADS):
        folder, stop = job.split("@")
        torch.manual_seed(0)
        backbone = nn.Sequential(nn.AvgPool2d(28), nn.Flatten(), nn.Linear(48, 8))
        task = RecogniserTask(Recogniser(backbone, create_head(name, 8, CLASSES)), Augmentation())
        settings = TrainSettings(images=160, batch=16, lr=0.01, clip=1.0, weight_decay=0.01)
        trainer = claimed_trainer(task, Faces(), settings, Path(folder) / name)

        def step(progress):
            if progress.seen == int(stop):
                raise InterruptedError

        try:
            trainer.run(step, lambda: None, checkpoint_seconds=0)
        except InterruptedError:
            pass
    overflow(Path(folder).parent)
    # A share so small that a process may hold none of a step's classes, all of which are the first one's here.
    embeddings = torch.randn(4, 8, requires_grad=True)
    loss = create_head("arcface", 8, CLASSES, share=0.05)(embeddings, torch.zeros(4, dtype=torch.int64))
    loss.backward()
    assert loss.isfinite() and embeddings.grad.isfinite().all()


# What still holds a tensor of the group when the interpreter ends makes gloo abort now and then.
work()
gc.collect()
distributed.stop()
"""
HEADS = ["cosface", "arcface", "curricularface", "magface", "adaface", "uniface", "triplet"]


def _run(processes: int, script: Path, *jobs: str) -> None:
    """Train all heads, for each job FOLDER@IMAGES until so many images are seen."""
    root = str(Path(__file__).parents[2])
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [sys.executable, *(launcher if processes > 1 else []), str(script), ",".join(HEADS), *jobs]
    environment = os.environ | {"PYTHONPATH": f"{root}{os.pathsep}{root}/src", "OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, capture_output=True, env=environment)


def _check_overflow(*ranks: list[dict[str, torch.Tensor]]) -> None:
    """In float16, all processes skip the step in which one's own rows overflow, and lower their scales alike."""
    for steps in ranks:
        scales = [step["scale"] for step in steps]
        assert scales[1] == scales[2] == scales[0] / 2
        assert all(torch.equal(steps[1][name], steps[0][name]) for name in ("weight", "bias", "rows"))
        assert not torch.equal(steps[2]["weight"], steps[1]["weight"])
    assert torch.equal(ranks[0][2]["weight"], ranks[1][2]["weight"])


def test_two_processes_equal_one_and_may_go_on_as_one(tmp_path: Path) -> None:
    script = tmp_path / "ranks.py"
    script.write_text(_RANKS)
    # One process resumes what two processes saved after six steps.
    _run(2, script, f"{tmp_path}/two@-1", f"{tmp_path}/both@112")
    _check_overflow(*(torch.load(tmp_path / f"overflow{rank}.pt", weights_only=True) for rank in (0, 1)))
    shutil.rmtree(tmp_path / "overflow")
    _run(1, script, f"{tmp_path}/one@-1", f"{tmp_path}/both@-1")
    for head in HEADS:
        states = [torch.load(tmp_path / run / head / "state.pt", weights_only=True) for run in ("one", "two", "both")]
        if head != "triplet":
            assert states[1]["networks"][0]["head.centres"].shape == (11, 8)
        for other in states[1:]:
            assert other["seen"] == states[0]["seen"] == 160
            for part in ("networks", "optimizers"):
                torch.testing.assert_close(other[part], states[0][part], atol=2e-5, rtol=1e-4)
            torch.testing.assert_close(other["average"], states[0]["average"], atol=2e-5, rtol=1e-4)
        losses = [
            [json.loads(line)["loss_head"] for line in (tmp_path / run / head / "log.jsonl").read_text().splitlines()]
            for run in ("one", "two", "both")
        ]
        assert len(losses[0]) == len(losses[2]) == 10
        assert losses[1] == pytest.approx(losses[0], rel=1e-4)
        assert losses[2] == pytest.approx(losses[0], rel=1e-4)
