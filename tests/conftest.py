"""What many tests share: the command line as users run it, and a tiny generator of random weights."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from nonesuch.cli.app import main
from nonesuch.core import weights
from nonesuch.generators.vec2face.generator import Vec2FaceCard
from nonesuch.identities import statistics
from nonesuch.models import create_model
from tests.cards import random_generator
from tests.scripted import Scripted


@dataclass(frozen=True)
class Outcome:
    """What a command left behind: exit status and what it printed."""

    status: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line that a failed command prints on standard error."""
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, f"want exactly one error line, got: {self.err!r}"
        assert "Traceback" not in self.err
        return lines[0]


Cli = Callable[..., Outcome]


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs `nonesuch ARGS...` in this process, through the entry point that the installed command calls."""

    def run(*args: object) -> Outcome:
        capfd.readouterr()
        status = _status(monkeypatch, args)
        captured = capfd.readouterr()
        return Outcome(status, captured.out, captured.err)

    return run


def succeed(*args: object) -> None:
    """The same for fixtures of a module, whose commands succeed and whose output nobody reads."""
    with pytest.MonkeyPatch.context() as patch:
        assert _status(patch, args) == 0


def _status(patch: pytest.MonkeyPatch, args: Sequence[object]) -> int:
    patch.setattr(sys, "argv", ["nonesuch", *map(str, args)])
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0)


@pytest.fixture(scope="session", autouse=True)
def _own_allocator_settings() -> None:
    # The command line would keep every block that any test ever freed.
    os.environ.setdefault("MALLOC_ARENA_MAX", "2")


@pytest.fixture(scope="session")
def tiny_generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights, card and statistics of an untrained vec2face_tiny that claims to decode mobilefacenet's vectors."""
    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    network = create_model("vec2face_tiny")
    card = random_generator(
        Vec2FaceCard,
        "tiny",
        "vec2face_tiny",
        vector_scale=0.2,
        vector_norm=70.0,
        statistics="tiny.statistics.safetensors",
    )
    weights.save(folder / "tiny.safetensors", network.state_dict(), card)
    rng = np.random.default_rng(0)
    vectors = (rng.standard_normal((400, 192)) * 5).astype(np.float32)
    fitted = statistics.fit(vectors, [str(row) for row in range(400)], card.embedder_sha256)
    statistics.save(fitted, folder / card.statistics)
    return folder / "tiny.safetensors"


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    """An OpenAI-compatible endpoint at an address of its own."""
    found = Scripted()
    yield found
    found.server.shutdown()
    found.server.server_close()
