"""A training that is told how long it may take."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from nonesuch.loop.run_folder import fixed_length
from nonesuch.loop.time_budget import TimeBudget
from tests.conftest import Cli
from tests.loop.claimed import claimed_trainer
from tests.loop.test_trainer import Line, Points, _settings
from tests.people import planted_person


class SlowPoints(Points):
    """Each batch takes ten milliseconds."""

    def load(self, indices: np.ndarray, seeds: list[int]) -> dict[str, Tensor]:
        time.sleep(0.01)
        return super().load(indices, seeds)


def test_the_length_follows_from_the_speed(tmp_path: Path) -> None:
    """Three seconds at ten milliseconds a step: the rate falls to 0 at the end, and the end is in time."""
    trainer = claimed_trainer(Line(), SlowPoints(), _settings(images=10**6), tmp_path / "run")
    start, rates = time.monotonic(), []
    with pytest.warns(match="images a second: the time is enough for"):
        trainer.run(
            lambda progress: rates.append(trainer.settings.learning_rate(trainer.seen)),
            lambda: None,
            budget=TimeBudget(3 / 60),
        )
    taken = time.monotonic() - start
    assert taken < 3.2
    assert 300 < trainer.seen <= 8 * 300  # of batches of 8; a loaded machine makes fewer
    assert trainer.settings.images == fixed_length(tmp_path / "run") < 8 * 320
    assert max(rates) == pytest.approx(1e-2, rel=0.05)
    assert rates[-1] < 2e-3


def test_a_run_that_is_shorter_than_the_time_is_not_made_longer(tmp_path: Path) -> None:
    trainer = claimed_trainer(Line(), SlowPoints(), _settings(images=400), tmp_path / "run")
    with pytest.warns(match="enough for 400 images"):
        trainer.run(lambda progress: None, lambda: None, budget=TimeBudget(3 / 60))
    assert trainer.seen == trainer.settings.images == 400


def test_time_that_is_over_at_once_leaves_weights_and_a_state(tmp_path: Path) -> None:
    saved: list[int] = []
    trainer = claimed_trainer(Line(), Points(), _settings(images=10**6), tmp_path / "run")
    trainer.run(lambda progress: None, lambda: saved.append(trainer.seen), budget=TimeBudget(1e-6))
    assert saved == [8]
    assert (tmp_path / "run" / "state.pt").exists()


def test_through_the_command(cli: Cli, tmp_path: Path) -> None:
    for person in range(4):
        planted_person(tmp_path / "people", person, range(4))
    run, command = tmp_path / "run", ["train-generator", tmp_path / "run", "--data", tmp_path / "people"]
    options = ["--preset", "vec2face_tiny", "--batch", 4, "--minutes", 0.1]
    outcome = cli(*command, *options)
    assert outcome.status == 0, outcome.err
    assert "the time is enough for" in outcome.err
    kept = json.loads((run / "settings.json").read_text())
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert 4 <= lines[-1]["images"] <= kept["settings"]["images"] < 5000
    assert (run / "vec2face_tiny.safetensors").exists()
    # The same command goes on to the length that was fixed, and then has nothing to do.
    assert cli(*command, *options).status == 0
    assert json.loads((run / "settings.json").read_text()) == kept
    assert "holds a run with images" in cli(*command, *options[:-2]).error
    assert "minutes" in cli(*command, *options[:-1], 0).error
