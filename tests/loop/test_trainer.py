import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nonesuch.core.errors import NonesuchError
from nonesuch.core.seeding import derive_seed
from nonesuch.loop.loading import Order
from nonesuch.loop.settings import TrainSettings
from nonesuch.loop.step_results import Progress
from nonesuch.loop.trainer import Player, Trainer
from tests.loop.claimed import claimed_trainer

CPU = torch.device("cpu")


class Line:
    """Fits y = 2x - 1 with a network that also draws random numbers (dropout)."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.network = nn.Sequential(nn.Linear(1, 8), nn.Dropout(0.3), nn.Linear(8, 1))

    @property
    def players(self) -> list[Player]:
        return [Player(self.network, self.losses)]

    def losses(self, batch: dict[str, Tensor], seen: int) -> dict[str, Tensor]:
        error = self.network(batch["x"]) - batch["y"]
        return {"squared": error.square().mean(), "absolute": 0.1 * error.abs().mean()}


class Points:
    """Twenty points; the noise of each comes from its own seed."""

    def __init__(self) -> None:
        self.loaded: list[int] = []

    def __len__(self) -> int:
        return 20

    def load(self, indices: np.ndarray, seeds: list[int]) -> dict[str, Tensor]:
        self.loaded += indices.tolist()
        x = torch.tensor(indices / 10.0).float()[:, None]
        noise = torch.tensor([seed % 1000 / 1e4 for seed in seeds])[:, None]
        return {"x": x, "y": 2 * x - 1 + noise}


def _settings(**changes: object) -> TrainSettings:
    return TrainSettings(**{"images": 160, "batch": 8, "lr": 1e-2, "warmup": 16, "ema_images": 50, **changes})


def _trainer(folder: Path, task: Line | None = None, what: dict[str, str] | None = None, **changes: object) -> Trainer:
    return claimed_trainer(task or Line(), Points(), _settings(**changes), folder, what or {"data": "line"})


def _run(trainer: Trainer, stop_after: int | None = None, stop_with: int = signal.SIGINT) -> None:
    steps = 0

    def on_step(progress: Progress) -> None:
        nonlocal steps
        steps += 1
        if steps == stop_after:
            os.kill(os.getpid(), stop_with)

    if stop_after is None:
        trainer.run(on_step, lambda: None, 1e9)
    else:
        with pytest.raises(KeyboardInterrupt):
            trainer.run(on_step, lambda: None, 1e9)


def _log(folder: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "images_per_second"} for line in lines]


@pytest.mark.parametrize("stops", [[1], [3, 4], [7, 1, 5]])
def test_an_interrupted_run_equals_an_uninterrupted_one_to_the_bit(tmp_path: Path, stops: list[int]) -> None:
    whole = _trainer(tmp_path / "whole")
    _run(whole)
    for stop in stops:
        _run(_trainer(tmp_path / "parts"), stop_after=stop, stop_with=random.choice([signal.SIGINT, signal.SIGTERM]))
    parts = _trainer(tmp_path / "parts")
    assert parts.seen == 8 * sum(stops)
    _run(parts)
    for name, tensor in whole.averaged().items():
        assert torch.equal(parts.averaged()[name], tensor), name
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(parts.network.state_dict()[name], tensor), name
    assert _log(tmp_path / "parts") == _log(tmp_path / "whole")


def test_a_killed_run_goes_on_from_its_last_state(tmp_path: Path) -> None:
    whole = _trainer(tmp_path / "whole")
    _run(whole)
    killed = _trainer(tmp_path / "killed")
    _run(killed, stop_after=5)
    with torch.random.fork_rng():  # steps after the state, whose process then dies without saving
        for _ in range(3):
            killed._step()
            killed._look()
    resumed = _trainer(tmp_path / "killed")
    assert resumed.step == 5
    _run(resumed)
    assert _log(tmp_path / "killed") == _log(tmp_path / "whole")
    assert all(torch.equal(resumed.averaged()[name], tensor) for name, tensor in whole.averaged().items())


def test_a_signal_in_the_middle_of_a_step_waits_for_its_end(tmp_path: Path) -> None:
    class Signalled(Line):
        def losses(self, batch: dict[str, Tensor], seen: int) -> dict[str, Tensor]:
            if len(steps) == 3:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().losses(batch, seen)

    steps: list[Progress] = []
    with pytest.raises(KeyboardInterrupt):
        _trainer(tmp_path / "parts", Signalled()).run(steps.append, lambda: None)
    assert len(steps) == 4
    parts, whole = _trainer(tmp_path / "parts"), _trainer(tmp_path / "whole")
    assert parts.step == 4
    _run(parts)
    _run(whole)
    assert all(torch.equal(parts.averaged()[name], tensor) for name, tensor in whole.averaged().items())


def test_the_average_really_averages(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path, ema_images=50)
    expected = {name: tensor.double() for name, tensor in trainer.network.state_dict().items()}
    for step in range(1, 21):
        trainer._step()
        half_life = min(50.0, 0.05 * 8 * step)
        decay = 0.5 ** (8 / half_life)
        for name, tensor in trainer.network.state_dict().items():
            expected[name] = decay * expected[name] + (1 - decay) * tensor.double()
    for name, tensor in trainer.averaged().items():
        torch.testing.assert_close(tensor.double(), expected[name], atol=1e-6, rtol=1e-5)
    live = trainer.network.state_dict()
    assert any((live[name] - tensor).abs().max() > 1e-4 for name, tensor in trainer.averaged().items())


def test_accumulated_parts_give_the_whole_batchs_step(tmp_path: Path) -> None:
    averages = []
    for accumulate in (1, 4):
        task = Line()
        task.network[1] = nn.Identity()  # dropout draws differently for parts
        trainer = _trainer(tmp_path / str(accumulate), task, accumulate=accumulate)
        _run(trainer)
        averages.append(trainer.averaged())
    for name, tensor in averages[0].items():
        torch.testing.assert_close(averages[1][name], tensor, atol=1e-5, rtol=1e-4)


def test_the_gradient_is_clipped(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path, clip=1e-3)
    trainer._step()
    squares = [parameter.grad.square().sum() for parameter in trainer.network.parameters()]
    assert torch.stack(squares).sum().sqrt() == pytest.approx(1e-3, rel=1e-3)


def test_each_epoch_shows_each_sample_once(tmp_path: Path) -> None:
    samples = Points()
    trainer = claimed_trainer(Line(), samples, _settings(images=80), tmp_path)
    _run(trainer)
    epochs = [samples.loaded[start : start + 20] for start in range(0, 80, 20)]
    assert all(sorted(epoch) == list(range(20)) for epoch in epochs)
    assert epochs[0] != epochs[1]


def test_learning_rate_warms_up_and_falls_to_zero() -> None:
    settings = _settings(images=1000, batch=10, lr=1.0, warmup=90)
    assert [settings.learning_rate(seen) for seen in (0, 40, 90)] == pytest.approx([0.1, 0.5, 1.0])
    assert settings.learning_rate(545) == pytest.approx(0.5)
    assert settings.learning_rate(1000) == pytest.approx(0.0)


def test_other_settings_are_named(tmp_path: Path) -> None:
    _run(_trainer(tmp_path), stop_after=2)
    with pytest.raises(NonesuchError, match=r"with lr 0.01, not 0.5"):
        _trainer(tmp_path, lr=0.5)
    with pytest.raises(NonesuchError, match="with data line, not circle"):
        _trainer(tmp_path, what={"data": "circle"})


def test_a_loss_that_is_not_finite_stops_with_the_terms_named(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path)
    _run(trainer, stop_after=2)
    saved = (tmp_path / "state.pt").read_bytes()
    with torch.no_grad():
        next(trainer.network.parameters()).fill_(float("nan"))
    with pytest.raises(NonesuchError, match=r"not finite \(squared nan.*\) at step 2"):
        trainer.run(lambda progress: None, lambda: None)
    assert (tmp_path / "state.pt").read_bytes() == saved


@pytest.mark.parametrize("damage", [b"", b"not a checkpoint"])
def test_a_damaged_state_is_refused(tmp_path: Path, damage: bytes) -> None:
    _run(_trainer(tmp_path), stop_after=2)
    (tmp_path / "state.pt").write_bytes(damage)
    with pytest.raises(NonesuchError, match="not a sound state"):
        _trainer(tmp_path)


def test_impossible_settings(tmp_path: Path) -> None:
    with pytest.raises(NonesuchError, match="fewer than one batch of 32"):
        _trainer(tmp_path, batch=32)


def test_mixed_precision_trains(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path, dtype="bfloat16", images=800)
    _run(trainer)
    losses = [line["loss_squared"] for line in _log(tmp_path)]
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])
    assert all(tensor.dtype == torch.float32 for tensor in trainer.averaged().values())


class Duel:
    """A generator that wants its judge's score, and a judge that joins after 80 images."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.generator, self.judge = nn.Linear(1, 1), nn.Linear(1, 1)
        self.trainable_in_turn: list[tuple[bool, bool]] = []

    @property
    def players(self) -> list[Player]:
        return [Player(self.generator, self.generator_losses), Player(self.judge, self.judge_losses, decays=False)]

    def generator_losses(self, batch: dict[str, Tensor], seen: int) -> dict[str, Tensor]:
        self.trainable_in_turn.append((self.generator.weight.requires_grad, self.judge.weight.requires_grad))
        made = self.generator(batch["x"])
        self.made = made.detach()
        return {"adversarial": -self.judge(made).mean()}

    def judge_losses(self, batch: dict[str, Tensor], seen: int) -> dict[str, Tensor]:
        if seen < 80:
            return {}
        self.trainable_in_turn.append((self.generator.weight.requires_grad, self.judge.weight.requires_grad))
        return {"judge": 0.5 * ((self.judge(batch["y"]) - 1).square().mean() + self.judge(self.made).square().mean())}


def test_the_judge_gets_no_gradient_from_the_generators_turn(tmp_path: Path) -> None:
    """The published code leaves the gradients of -D(g) in the discriminator, which is pulled to call fakes real."""
    task = Duel()
    trainer = claimed_trainer(task, Points(), _settings(clip=1e9), tmp_path)
    before = {name: tensor.clone() for name, tensor in task.judge.state_dict().items()}
    for _ in range(10):
        trainer._step()
    assert all(torch.equal(task.judge.state_dict()[name], tensor) for name, tensor in before.items())
    indices, epochs = Order(20, trainer.settings).at(trainer.seen)
    seeds = [derive_seed(0, *pair) for pair in zip(epochs.tolist(), indices.tolist(), strict=True)]
    batch = Points().load(indices, seeds)
    trainer._step()
    judge = nn.Linear(1, 1)
    judge.load_state_dict(before)
    loss = 0.5 * ((judge(batch["y"]) - 1).square().mean() + judge(task.made).square().mean())
    loss.backward()
    torch.testing.assert_close(task.judge.weight.grad, judge.weight.grad)
    assert task.trainable_in_turn[-2:] == [(True, False), (False, True)]


def test_the_judges_learning_rate_stays(tmp_path: Path) -> None:
    trainer = claimed_trainer(Duel(), Points(), _settings(), tmp_path)
    _run(trainer)
    rates = [optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers]
    assert rates[0] < 1e-3 < rates[1] == pytest.approx(1e-2)


def test_two_players_resume_to_the_bit(tmp_path: Path) -> None:
    trainers = []
    for name, stops in (("whole", []), ("parts", [6, 8])):
        for stop in [*stops, None]:
            trainer = claimed_trainer(Duel(), Points(), _settings(), tmp_path / name)
            _run(trainer, stop_after=stop)
        trainers.append(trainer)
    for player, other in zip(*(trainer.players for trainer in trainers), strict=True):
        for name, tensor in player.network.state_dict().items():
            assert torch.equal(other.network.state_dict()[name], tensor)


def test_float16_steps_as_float32_does(tmp_path: Path) -> None:
    """The gradient is scaled up only on its way: what is clipped and stepped is the gradient itself."""

    class Slope:
        def __init__(self) -> None:
            self.network = nn.Linear(1, 1, bias=False)
            nn.init.ones_(self.network.weight)
            self.players = [Player(self.network, lambda batch, seen: {"slope": 3.0 * self.network.weight.sum()})]

    ends = []
    for dtype in ("float32", "float16"):
        for clip in (1.0, 10.0):  # below and above the gradient's norm
            settings = _settings(images=8, optimizer="sgd", lr=0.1, warmup=0, weight_decay=0.0, clip=clip, dtype=dtype)
            trainer = claimed_trainer(Slope(), Points(), settings, tmp_path / f"{dtype}{clip}")
            _run(trainer)
            ends.append(float(trainer.network.weight.detach()))
    assert ends == pytest.approx([0.9, 0.7, 0.9, 0.7], abs=1e-6)


_RANKS = """
import sys, torch
from pathlib import Path
from nonesuch.loop import distributed
from tests.loop.claimed import claimed_trainer
from tests.loop.test_trainer import Duel, Line, Points, _settings
torch.set_num_threads(1)
distributed.start(torch.device("cpu"))
task = Duel()
trainer = claimed_trainer(task, Points(), _settings(), Path(sys.argv[1]))
trainer.run(lambda progress: None, lambda: None)
distributed.stop()
"""


def test_two_processes_equal_one(tmp_path: Path) -> None:
    script = tmp_path / "ranks.py"
    script.write_text(_RANKS)
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = os.environ | {"PYTHONPATH": f"{root}{os.pathsep}{root}/src", "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, str(script), str(tmp_path / "two")], check=True, capture_output=True, env=environment)
    _run(claimed_trainer(Duel(), Points(), _settings(), tmp_path / "one"))
    one, two = (torch.load(tmp_path / name / "state.pt", weights_only=True) for name in ("one", "two"))
    assert one["seen"] == two["seen"] == 160
    for a, b in zip(one["networks"], two["networks"], strict=True):
        for name, tensor in a.items():
            torch.testing.assert_close(b[name], tensor, atol=1e-5, rtol=1e-5)
    logs = [_log(tmp_path / name) for name in ("one", "two")]
    assert len(logs[0]) == len(logs[1]) == 20
    assert [line["loss_adversarial"] for line in logs[0]] == pytest.approx(
        [line["loss_adversarial"] for line in logs[1]], abs=1e-4
    )


def test_a_sample_that_cannot_be_read_costs_nothing_that_was_done(tmp_path: Path) -> None:
    """The failing one is in the second part of a batch: the first part must not have moved the batch norm."""

    class Once(Points):
        def load(self, indices: np.ndarray, seeds: list[int]) -> dict[str, Tensor]:
            if len(self.loaded) == 36 and not failed:
                failed.append(1)
                raise NonesuchError("15.png: not a readable image")
            return super().load(indices, seeds)

    failed: list[int] = []
    trainers = []
    for name in ("whole", "parts", "parts"):
        task = Line()
        task.network[1] = nn.BatchNorm1d(8)
        samples = Points() if trainers == [] else Once()
        trainer = claimed_trainer(task, samples, _settings(accumulate=2), tmp_path / name)
        if trainers and not failed:
            with pytest.raises(NonesuchError, match=r"15\.png: not a readable image \(saved at 32 images"):
                _run(trainer)
            continue
        _run(trainer)
        trainers.append(trainer)
    whole, parts = trainers
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(parts.network.state_dict()[name], tensor), name
