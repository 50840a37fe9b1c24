"""Torch's global settings that change bits: put aside where bits count, and as before afterwards."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

import nonesuch
from nonesuch.core.devices import exact, one_core
from nonesuch.generators.generator import Generator
from nonesuch.perception.perceiver import Perceiver
from nonesuch.steering.least_age import LeastAge

BACKENDS = torch.backends
NEW = hasattr(BACKENDS.cuda.matmul, "fp32_precision")


def _settings() -> dict[str, Any]:
    cudnn = BACKENDS.cudnn
    found: dict[str, Any] = {name: getattr(cudnn, name) for name in ("enabled", "benchmark", "deterministic")}
    if NEW:
        for name in ("cuda.matmul", "cudnn.conv", "cudnn.rnn", "mkldnn.matmul", "mkldnn.conv", "mkldnn.rnn"):
            backend, kind = name.split(".")
            found[name] = getattr(getattr(BACKENDS, backend), kind).fp32_precision
    return found


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    if NEW:
        BACKENDS.fp32_precision = "none"
        BACKENDS.mkldnn.conv.fp32_precision = "none"
    BACKENDS.cudnn.benchmark = False
    BACKENDS.cudnn.allow_tf32 = True
    torch.set_float32_matmul_precision("highest")


def _new(path: str, value: str) -> Callable[[], None]:
    def change() -> None:
        *places, name = path.split(".")
        backend: Any = BACKENDS
        for place in places:
            backend = getattr(backend, place)
        setattr(backend, name, value)

    return change


CHANGES: list[Callable[[], None]] = [
    lambda: None,
    lambda: torch.set_float32_matmul_precision("medium"),
    lambda: torch.set_float32_matmul_precision("high"),
    lambda: setattr(BACKENDS.cudnn, "benchmark", True),
    *([_new("fp32_precision", "tf32"), _new("mkldnn.conv.fp32_precision", "bf16")] if NEW else []),
    *([_new("mkldnn.matmul.fp32_precision", "bf16"), _new("cudnn.conv.fp32_precision", "ieee")] if NEW else []),
]


@pytest.mark.parametrize("change", CHANGES)
def test_float32_is_float32_and_settings_come_back(change: Callable[[], None]) -> None:
    change()
    before = _settings()
    with exact(), exact():
        assert torch.get_float32_matmul_precision() == "highest"
        assert not BACKENDS.cudnn.allow_tf32
        inside = _settings()
        assert (inside.pop("enabled"), inside.pop("benchmark"), inside.pop("deterministic")) == (True, False, True)
        assert set(inside.values()) <= {"ieee"}
    assert _settings() == before


def test_settings_come_back_after_an_error() -> None:
    torch.set_float32_matmul_precision("medium")
    with pytest.raises(ValueError, match="work"), exact():
        raise ValueError("work")
    assert torch.get_float32_matmul_precision() == "medium"


def test_images_are_made_in_full_precision_and_say_so(
    tiny_generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    render = Generator.render

    def spy(*given: Any, **named: Any) -> Any:
        seen.append(torch.get_float32_matmul_precision())
        return render(*given, **named)

    monkeypatch.setattr(Generator, "render", spy)
    torch.set_float32_matmul_precision("medium")
    nonesuch.generate_dataset(
        tmp_path / "faces", generator=tiny_generator, identities=2, images=2, summary=False, device="cpu"
    )
    assert set(seen) == {"highest"}
    metadata = pq.read_schema(tmp_path / "faces" / "shards" / "000000.parquet").metadata
    (kept,) = (json.loads(value) for value in metadata.values() if b"micro_batch" in value)
    assert kept["float32_matmul_precision"] == "highest"


def test_one_core_is_one_core_and_comes_back() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with one_core(torch.device("cpu")):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3
        with one_core(torch.device("cuda")):
            assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)


def test_who_is_old_enough_does_not_depend_on_the_cores(tiny_generator: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The images behind --min-age are made and looked at on one core, and exactly."""
    seen: set[tuple[int, str]] = set()
    generator, perceiver = nonesuch.load_generator(tiny_generator, "cpu"), nonesuch.load_perceiver(device="cpu")
    for owner, name in ((Generator, "render"), (Perceiver, "perceive")):
        work = getattr(owner, name)

        def spy(*given: Any, work: Any = work, **named: Any) -> Any:
            seen.add((torch.get_num_threads(), torch.get_float32_matmul_precision()))
            return work(*given, **named)

        monkeypatch.setattr(owner, name, spy)
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    torch.set_float32_matmul_precision("medium")
    try:
        LeastAge(30.0, generator, perceiver)(np.ones((1, 192), dtype=np.float32))
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)
    assert seen == {(1, "highest")}
