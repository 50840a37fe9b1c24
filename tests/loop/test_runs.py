"""Options over a recipe, and who speaks of several processes."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import as_paths
from nonesuch.loop import distributed
from nonesuch.loop.runs import CountedRecipe, RunOptions, Schedule, recipe_named, sources, with_options
from nonesuch.recognition.recipes import RecogniserRecipe


@dataclass(frozen=True, kw_only=True)
class _Recipe(CountedRecipe):
    colour: str = "red"


_COUNTED = _Recipe(images=1000, batch=10, lr=0.1, warmup=50, ema_images=30)
_SHARES = RecogniserRecipe(backbone="b", epochs=4, batch=10, warmup=0.1, milestones=(0.5,), average=0.25, clip=7.0)


def test_a_recipe_that_counts_images_keeps_its_numbers() -> None:
    own = RunOptions(schedule=Schedule()).settings(_COUNTED, 40)
    assert (own.images, own.batch, own.lr, own.warmup, own.ema_images, own.clip) == (1000, 10, 0.1, 50, 30, 2.0)
    schedule = Schedule(epochs=2.5, batch=20, accumulate=4, lr=1e-3)
    asked = RunOptions(schedule=schedule, seed=5, dtype="bfloat16").settings(_COUNTED, 40)
    assert asked == replace(own, images=100, batch=20, accumulate=4, lr=1e-3, seed=5, dtype="bfloat16")


def test_a_recipe_of_shares_follows_the_length_of_the_run() -> None:
    for schedule, images in [(Schedule(), 160), (Schedule(epochs=1), 40), (Schedule(images_seen=80), 80)]:
        made = RunOptions(schedule=schedule).settings(_SHARES, 40)
        assert (made.images, made.warmup, made.ema_images) == (images, images // 10, images // 4)
        assert made.milestones == (images // 2,)
        assert (made.optimizer, made.clip) == ("sgd", 7.0)
    assert RunOptions(schedule=Schedule(epochs=1e-9)).settings(_SHARES, 40).images == 1


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(NonesuchError, match="give one of them"):
        Schedule(images_seen=1, epochs=1)
    for name, value in [("images_seen", 0), ("batch", -1), ("accumulate", 0), ("epochs", 0.0), ("lr", float("nan"))]:
        with pytest.raises(NonesuchError, match=f"--{name.replace('_', '-')} "):
            Schedule(**{name: value})
    with pytest.raises(NonesuchError, match="cannot be split into 3 equal parts"):
        RunOptions(schedule=Schedule(accumulate=3)).settings(_COUNTED, 40)
    with pytest.raises(NonesuchError, match="--preset violet: not one of blue, green"):
        recipe_named({"green": _COUNTED, "blue": _COUNTED}, "violet")
    with (
        pytest.raises(NonesuchError, match="--dtype float16: needs a GPU"),
        RunOptions(schedule=Schedule(), device="cpu", dtype="float16").processes(),
    ):
        pass


def test_none_leaves_a_recipes_own_value() -> None:
    assert with_options(_COUNTED, colour=None, lr=None) == _COUNTED
    assert with_options(_COUNTED, colour="blue", lr=0.0) == replace(_COUNTED, colour="blue", lr=0.0)


def test_one_source_or_several() -> None:
    assert as_paths("faces") == as_paths(Path("faces")) == sources(["faces"]) == [Path("faces")]
    assert as_paths(("a", Path("b"))) == [Path("a"), Path("b")]
    with pytest.raises(NonesuchError, match="--data"):
        sources([])


def test_the_first_process_is_known_before_it_has_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    assert distributed.is_first()
    for rank, first in (("0", True), ("1", False)):
        monkeypatch.setenv("RANK", rank)
        assert distributed.is_first() == first
