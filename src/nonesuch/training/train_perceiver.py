"""Training the perception heads on labelled photographs."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from nonesuch.core import files, weights
from nonesuch.core.arguments import Choice, Number, checked
from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import as_path, as_paths
from nonesuch.core.images import CROP_SIZE
from nonesuch.core.seeding import Stream, permutation, uniform
from nonesuch.embedders.embedder import Embedder
from nonesuch.formats.photograph_lists import exclude as without
from nonesuch.formats.photograph_lists import excluded_names, listed
from nonesuch.formats.tar import table_beside
from nonesuch.loop.progress import OnProgress, no_progress
from nonesuch.loop.run_images import images_of_run, recorded_images
from nonesuch.loop.runs import LIMITS, Paths, RunOptions, Schedule, Trained, recipe_named, sources
from nonesuch.loop.trainer import Trainer
from nonesuch.models import create_model, load_embedder
from nonesuch.perception.attributes import AttributeHeads
from nonesuch.perception.labels import LabelledPhotographs, labelled
from nonesuch.perception.perceiver import PerceiverCard
from nonesuch.perception.presets import PERCEIVER_RECIPES
from nonesuch.perception.training import LabelledSamples, PerceiverRecipe, PerceiverTask
from nonesuch.training.crop_check import check_every_crop

_PERCENTILES = np.arange(101)
_MOST_NORMS = 4_000  # photographs whose embedding norms make the scale of quality


@checked(preset=Choice(tuple(sorted(PERCEIVER_RECIPES))), data_share=Number(0, 1, low_open=True), **LIMITS)
def train_perceiver(
    out: str | Path,
    data: Paths,
    *,
    exclude: Paths = (),
    allow_unknown: bool = False,
    data_share: float = 1.0,
    preset: str = "perceiver",
    images_seen: int | None = None,
    epochs: float | None = None,
    batch: int | None = None,
    accumulate: int = 1,
    lr: float | None = None,
    licence: str = "not stated",
    about_data: str = "",
    seed: int = 0,
    device: str = "auto",
    dtype: str = "float32",
    on_progress: OnProgress = no_progress,
) -> Trained:
    """Train the perception heads, as `nonesuch train-perceiver` does; a repeated call resumes.

    Args:
        out: the run's folder; OUT/PRESET.safetensors are the heads.
        data: tars of aligned 112x112 faces with a table beside each, see `nonesuch.perception.labels.labelled`.
        exclude, allow_unknown: text files of people or files to leave out; whether they may name what is not there.
        data_share: of the photographs, drawn by the seed, to train on; in (0, 1].
        preset: network and recipe, of `PERCEIVER_RECIPES`; None below means what the recipe says.
        images_seen, epochs: how long; at most one of them is given.
        batch, accumulate, lr: images per step, parts that a batch is split into, peak learning rate.
        licence, about_data: of the weights and of the data's licence and consent, for the card.
        seed: of everything random.
        device, dtype: "auto", "cpu", "cuda", ...; "float32", "bfloat16", "float16" (GPU only).
        on_progress: told how far the training is.

    Returns:
        The weight file and the images seen.

    Raises:
        NonesuchError: options conflict, data cannot be used, `out` holds another run, or the training diverges.

    Example:
        nonesuch.train_perceiver("run", ["celeba112.tar", "utkface112.tar"]).weights
    """
    recipe = recipe_named(PERCEIVER_RECIPES, preset)
    if not 0.0 < data_share <= 1.0:
        raise NonesuchError(f"--data-share {data_share:g}: a share is above 0 and at most 1")
    schedule = Schedule(images_seen=images_seen, epochs=epochs, batch=batch, accumulate=accumulate, lr=lr)
    run = RunOptions(schedule=schedule, seed=seed, device=device, dtype=dtype, licence=licence, about_data=about_data)
    path = as_path(out) / f"{preset}.safetensors"
    photographs = partial(_kept, sources(data), as_paths(exclude), allow_unknown)
    return _train(path, sources(data), photographs, data_share, recipe, run, on_progress)


def _train(
    path: Path,
    tars: Sequence[Path],
    photographs: Callable[[], LabelledPhotographs],
    data_share: float,
    recipe: PerceiverRecipe,
    run: RunOptions,
    on_progress: OnProgress,
) -> Trained:
    preset = path.stem
    with run.processes() as place:
        below = load_embedder("mobilefacenet", str(place))  # the only shipped one whose feature maps can be read
        known = photographs()
        if data_share < 1.0:
            known = _share(known, data_share, run.seed, path.parent)
        images = images_of_run(path.parent, partial(listed, known.photographs))
        settings = run.settings(recipe, len(images))
        what = {
            "preset": preset,
            "embedder": below.card.sha256,
            "share": data_share,
            "data": images.signature,
            "labels": [files.sha256(table) for tar in tars if (table := table_beside(tar)) is not None],
        }
        torch.manual_seed(run.seed)
        heads = create_model(preset)
        assert isinstance(heads, AttributeHeads)
        task = PerceiverTask(heads.to(place), below)
        samples = images.placed(LabelledSamples(known))
        with run.claimed(path.parent, settings, what, images):
            check_every_crop(known.photographs, path.parent, on_progress)
            card = _card(preset, below, known, tars, run)
            trainer = Trainer(task, samples, settings, path.parent, place, what)

            def export() -> None:
                weights.save(path, weights.halved(trainer.averaged()), card)

            trainer.run(lambda progress: progress.tell(on_progress), export)
    return Trained(path, trainer.seen)


def _kept(tars: Sequence[Path], excluded: Sequence[Path], allow_unknown: bool) -> LabelledPhotographs:
    """All photographs except those that the lists name."""
    known = labelled(list(tars), split="train")
    if not excluded:
        return known
    names = excluded_names(excluded, known.photographs, allow_unknown)
    return known.chosen(np.array([row for row, item in enumerate(known.photographs) if without([item], names)]))


def _share(known: LabelledPhotographs, share: float, seed: int, run: Path) -> LabelledPhotographs:
    """The photographs that a run's seed draws; once it has begun, those that it drew then."""
    before = recorded_images(run)
    if before is None:
        return known.chosen(np.flatnonzero(uniform(seed, Stream.SPLIT, len(known.photographs)) < share))
    names = {name for batch in before() for name in batch.column("file").to_pylist()}
    return known.chosen(np.array([row for row, item in enumerate(known.photographs) if item.name in names]))


def _card(
    preset: str, embedder: Embedder, known: LabelledPhotographs, tars: Sequence[Path], run: RunOptions
) -> PerceiverCard:
    counts = {
        "pose": np.isfinite(known.pose).all(1).sum(),
        "age, gender and ethnicity": np.isfinite(known.face).all(1).sum(),
        "40 attributes": np.isfinite(known.attributes).all(1).sum(),
    }
    labels = "; ".join(f"{name}: {count:,}" for name, count in counts.items())
    names = ", ".join(sorted({path.name for path in tars}))
    return PerceiverCard(
        name=preset,
        architecture=preset,
        sha256="",
        licence=run.licence,
        source="trained with 'nonesuch train-perceiver'",
        training_data=f"{len(known.photographs):,} photographs from {names} ({labels}). {run.about_data}".strip(),
        embedder=embedder.name,
        embedder_sha256=embedder.card.sha256,
        quality_norms=_quality_norms(known, embedder),
    )


def _quality_norms(known: LabelledPhotographs, embedder: Embedder) -> list[float]:
    """Percentiles 0..100 of the embedding norm, over photographs whose whole crop is real."""
    whole = np.flatnonzero((known.valid == np.array([0, 0, CROP_SIZE, CROP_SIZE])).all(1))
    whole = whole[permutation(0, Stream.SPLIT, len(whole))[:_MOST_NORMS]]
    norms = [
        np.linalg.norm(
            embedder.embed(np.stack([known.photographs[row].read_crop() for row in whole[start : start + 64]])), axis=1
        )
        for start in range(0, len(whole), 64)
    ]
    if not norms:
        raise NonesuchError("--data: no photograph is real over its whole crop, so quality has no scale")
    found: NDArray[np.float64] = np.percentile(np.concatenate(norms), _PERCENTILES)
    # Strictly ascending, for the sake of interpolation: few photographs may share a percentile.
    return [round(float(norm), 4) + 1e-4 * place for place, norm in enumerate(found)]
