"""FLIP's training step: the twins, the queue, and two processes beside one."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nonesuch.flip.network import Flip
from nonesuch.flip.presets import FLIPS
from nonesuch.flip.pretraining import FlipLosses, FlipPretraining
from nonesuch.loop.trainer import Batch

JOINT = 4


def learner(**losses: object) -> FlipPretraining:
    torch.manual_seed(0)
    sizes = FLIPS["flip_tiny"]
    network = Flip(sizes["image"], {**sizes["text"], "dropout": 0.0}, sizes["dim"])
    return FlipPretraining(network, FlipLosses(**{"queue": 12, "ramp": 1, **losses}), JOINT)


def batch(number: int, size: int = 4) -> Batch:
    draws = torch.Generator().manual_seed(number)
    tokens = torch.randint(5, 300, (size, 9), generator=draws)
    tokens[:, 0], tokens[:, -2:] = 2, 0
    rows = torch.arange(size)
    return {
        "images": torch.randn(size, 896, 7, 7, generator=draws),
        "tokens": tokens,
        "said": torch.stack([1000 * number + rows // 2, 0 * rows, 0 * rows, 1000 * number + rows], dim=1),
        "draws": torch.rand(size, 2, generator=draws),
    }


def test_the_twins_follow_and_never_drop() -> None:
    ours = learner(momentum=0.9).train()
    before = {name: tensor.clone() for name, tensor in ours.twins.state_dict().items()}
    with torch.no_grad():
        for parameter in ours.network.parameters():
            parameter += 1.0
    ours(batch(0), seen=0)
    for name, tensor in ours.twins.state_dict().items():
        torch.testing.assert_close(tensor, before[name] + 0.1, rtol=1e-5, atol=1e-5)
    assert not any(module.training for module in ours.twins.modules())
    assert ours.network.text_encoder.training
    assert not any(parameter.requires_grad for parameter in ours.twins.parameters())


def test_the_queue_holds_the_last_vectors_and_says_whose_they_are() -> None:
    ours = learner().eval()
    seen = [batch(number) for number in range(5)]
    for one in seen:
        ours(one, seen=0)
    assert ours.ptr_queue.tolist() == [(5 * 4) % 12, 12]
    # Places 0..7 were filled a second time by the fourth and the fifth batch, 8..11 are the third's.
    expected = torch.cat([seen[3]["said"], seen[4]["said"], seen[2]["said"]]).T
    assert torch.equal(ours.said_queue, expected)
    with torch.no_grad():
        twins = ours.twins
        last = twins["text_proj"](twins["text_encoder"](seen[4]["tokens"])[:, 0])
        torch.testing.assert_close(ours.text_queue[4:8], torch.nn.functional.normalize(last, dim=1), atol=1e-3, rtol=0)
    torch.testing.assert_close(ours.image_queue.norm(dim=1), torch.ones(12))


@pytest.mark.parametrize("positives", ["facts", "equal", "diagonal"])
def test_the_contrast_counts_equal_texts_as_asked(positives: str) -> None:
    """Of four texts pairs are equal; the loss is that of a loop over one target matrix or the other."""
    ours = learner(positives=positives, alpha=0.0, matching=0.0).eval()
    one = batch(0)
    network = ours.network
    with torch.no_grad():
        images = network.image_vectors(network.visual_encoder(one["images"])).double()
        texts = network.text_vectors(network.text_encoder.first(one["tokens"])).double()
    found = ours(one, seen=0)["itc"].item()
    logits = (images @ texts.T / 0.07).tolist()
    total = 0.0
    for row in range(4):
        right = [row] if positives == "diagonal" else [row // 2 * 2, row // 2 * 2 + 1]
        for values in (logits[row], [logits[other][row] for other in range(4)]):
            shares = torch.tensor(values, dtype=torch.float64).log_softmax(0)
            total -= sum(shares[column].item() for column in right) / len(right)
    assert found == pytest.approx(total / 8, abs=2e-3)  # the twins have moved with the network: not at all


_TWO = """
import torch
from nonesuch.loop import distributed
from tests.flip.test_pretraining import batch, learner
with distributed.group(torch.device("cpu")):
    ours, half = learner().eval(), 2 * distributed.rank()
    terms = []
    for number in range(4):
        mine = {name: tensor[half : half + 2] for name, tensor in batch(number).items()}
        loss = ours(mine, seen=100)
        terms.append({name: value.detach() for name, value in loss.items()})
    ours.zero_grad()
    sum(ours({name: tensor[half : half + 2] for name, tensor in batch(9).items()}, seen=100).values()).backward()
    gradients = [p.grad for p in ours.network.parameters() if p.grad is not None]
    distributed.average_([value for one in terms for value in one.values()] + gradients)
    if distributed.rank() == 0:
        found = {"terms": terms, "queue": ours.text_queue, "said": ours.said_queue, "gradients": gradients}
        torch.save(found, "two.pt")
"""


def test_two_processes_equal_one(tmp_path: Path) -> None:
    (tmp_path / "two.py").write_text(_TWO)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "two.py"]
    root = Path(__file__).parents[2]
    environment = {"PYTHONPATH": f"{root}:{root / 'src'}", "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(torchrun, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = torch.load(tmp_path / "two.pt", weights_only=True)
    ours = learner().eval()
    for number in range(4):
        for name, value in ours(batch(number), seen=100).items():
            assert found["terms"][number][name].item() == pytest.approx(value.item(), abs=1e-5)
    ours.zero_grad()
    sum(ours(batch(9), seen=100).values()).backward()
    gradients = [p.grad for p in ours.network.parameters() if p.grad is not None]
    for one, other in zip(found["gradients"], gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found["queue"], ours.text_queue, atol=1e-6, rtol=0)
    assert torch.equal(found["said"], ours.said_queue)
