"""How many cores a process may keep busy."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from nonesuch.core import devices
from nonesuch.dataset.rendering import default_workers
from nonesuch.embedders.onnx import OnnxNetwork
from tests.onnx_networks import pooling_network


def _write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")


@pytest.mark.parametrize(
    ("groups", "files", "cores"),
    [
        ("0::/a/b", {"a/b/cpu.max": "250000 100000"}, 2.5),
        ("0::/a/b", {"a/b/cpu.max": "max 100000", "a/cpu.max": "100000 50000"}, 2.0),  # the outer group's holds too
        ("0::/", {"cpu.max": "max 100000"}, math.inf),
        ("0::/", {}, math.inf),
        ("3:cpu,cpuacct:/j", {"cpu/j/cpu.cfs_quota_us": "300000", "cpu/j/cpu.cfs_period_us": "100000"}, 3.0),
        ("3:cpu,cpuacct:/j", {"cpu/j/cpu.cfs_quota_us": "-1", "cpu/j/cpu.cfs_period_us": "100000"}, math.inf),
        ("4:memory:/j", {"cpu/j/cpu.cfs_quota_us": "300000", "cpu/j/cpu.cfs_period_us": "100000"}, math.inf),
    ],
)
def test_the_quota_of_control_groups(tmp_path: Path, groups: str, files: dict[str, str], cores: float) -> None:
    _write(tmp_path, {"groups": groups, **{f"root/{name}": text for name, text in files.items()}})
    assert devices._quota(tmp_path / "groups", tmp_path / "root") == cores


@pytest.mark.parametrize(("quota", "wanted"), [(math.inf, 8), (2.5, 2), (0.5, 1), (16.0, 8)])
def test_workers_heed_affinity_and_quota(monkeypatch: pytest.MonkeyPatch, quota: float, wanted: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    monkeypatch.setattr(devices, "_quota", lambda: quota)
    assert devices.available_cores() == default_workers(torch.device("cpu")) == wanted


@pytest.mark.parametrize(("torch_has", "given", "wanted"), [(1, 0, 1), (3, 0, 3), (99, 0, 8), (3, 5, 5)])
def test_onnx_has_as_many_threads_as_torch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, torch_has: int, given: int, wanted: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    monkeypatch.setattr(torch, "get_num_threads", lambda: torch_has)
    path = pooling_network(tmp_path / "pool.onnx", 112, np.ones((3, 2)), 112)
    assert OnnxNetwork(path, given).session.get_session_options().intra_op_num_threads == wanted


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ({"architecture": "x86_64", "avx512_bf16": False, "amx_bf16": False}, True),
        ({"architecture": "x86_64", "avx512_bf16": True, "amx_bf16": False}, False),
        ({"architecture": "aarch64"}, False),
        ({}, False),
    ],
)
def test_slow_bfloat16_is_told_once(
    monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder, known: dict[str, object], told: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    devices._tell_slow_bfloat16.cache_clear()
    for _ in range(2):
        assert devices.pick_dtype("bfloat16", torch.device("cpu")) == torch.bfloat16
    assert ["float32 is several times as fast" in str(warning.message) for warning in recwarn.list] == [True] * told
    devices._tell_slow_bfloat16.cache_clear()
