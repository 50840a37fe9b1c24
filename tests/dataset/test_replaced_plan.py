"""A plan that nothing came of may be replaced: advice after a failure can be followed in the same folder."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from nonesuch.core.errors import NonesuchError
from nonesuch.generators.vec2face.generator import Vec2FaceGenerator
from tests.conftest import Cli, Outcome
from tests.loop.test_trainer import Line, _run, _trainer


def _generate(cli: Cli, out: Path, generator: Path, *more: object) -> Outcome:
    options = ["--identities", 3, "--images", 2, "--shard-images", 2, "--no-summary", *more]
    return cli("generate", out, "--generator", generator, *options)


def _only_batches_of_4(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    render = Vec2FaceGenerator.render

    def heavy(self: Vec2FaceGenerator, vectors: Any, seeds: Any, micro_batch: int, *more: Any) -> Any:
        if micro_batch > 4:
            raise error
        return render(self, vectors, seeds, micro_batch, *more)

    monkeypatch.setattr(Vec2FaceGenerator, "render", heavy)


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory")],
)
def test_a_lower_micro_batch_is_taken_after_an_out_of_memory(
    cli: Cli, tiny_generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    _only_batches_of_4(monkeypatch, error)
    failed = _generate(cli, tmp_path, tiny_generator)
    assert failed.status == 1
    assert "out of memory; lower --workers or --micro-batch 16" in failed.error
    plan = (tmp_path / "plan.parquet").stat().st_mtime_ns
    assert _generate(cli, tmp_path, tiny_generator, "--micro-batch", 4).status == 0
    assert (tmp_path / "plan.parquet").stat().st_mtime_ns == plan, "the plan is the same"
    assert json.loads((tmp_path / "dataset.json").read_text())["render"]["micro_batch"] == 4
    assert "sound" in cli("verify", tmp_path).out


def test_a_plan_without_images_is_replaced_and_one_with_images_is_not(
    cli: Cli, tiny_generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        _only_batches_of_4(patch, torch.OutOfMemoryError())
        assert _generate(cli, tmp_path, tiny_generator).status == 1
    (tmp_path / "dataset.json").unlink()  # as a kill between a plan and its manifest leaves it
    replaced = _generate(cli, tmp_path, tiny_generator, "--plan-only")
    assert replaced.status == 0, replaced.err
    replaced = _generate(cli, tmp_path, tiny_generator, "--identities", 4)
    assert "note:" in replaced.err
    assert "its plan, of which no image was made, is replaced" in replaced.err
    assert "4 identities, 8 images" in replaced.out
    assert "sound" in cli("verify", tmp_path).out
    for wrong, says in [("--seed", "seed 0, not 9"), ("--micro-batch", "micro batch 16, not 9")]:
        assert f"made with {says}" in _generate(cli, tmp_path, tiny_generator, "--identities", 4, wrong, 9).error


@pytest.mark.parametrize("seen", [0, 16])
def test_a_training_without_memory_goes_on_in_smaller_parts(tmp_path: Path, seen: int) -> None:
    class Heavy(Line):
        def losses(self, batch: dict[str, torch.Tensor], images: int) -> dict[str, torch.Tensor]:
            if images >= seen and len(batch["x"]) > 4:
                torch.empty(1 << 52)
            return super().losses(batch, images)

    if seen:
        _run(_trainer(tmp_path, Heavy()), stop_after=2)
    with pytest.raises(NonesuchError, match="out of memory; run the same command with a larger --accumulate than 1"):
        _run(_trainer(tmp_path, Heavy()))
    resumed = _trainer(tmp_path, Heavy(), accumulate=2)
    assert resumed.seen == seen
    _run(resumed)
