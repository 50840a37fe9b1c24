"""Training a generator on photographs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from nonesuch.core.arguments import ABOVE_0, Choice, Number, checked
from nonesuch.core.files import as_path, as_paths, path_or_none
from nonesuch.core.notices import notice
from nonesuch.formats.photograph_lists import listed
from nonesuch.formats.photographs import Photograph
from nonesuch.generators.idiff.presets import DIFFUSION_RECIPES, DISTILLATION_RECIPES, FIRST_STAGE_RECIPES
from nonesuch.generators.vec2face.presets import GENERATOR_RECIPES
from nonesuch.loop import distributed
from nonesuch.loop.progress import OnProgress, no_progress
from nonesuch.loop.run_images import images_of_run, stand_ins
from nonesuch.loop.runs import LIMITS, Paths, RunOptions, Schedule, Trained, sources
from nonesuch.loop.time_budget import TimeBudget
from nonesuch.loop.trainer import Trainer
from nonesuch.models import load_embedder
from nonesuch.training.crop_check import check_every_crop
from nonesuch.training.diffusion_run import DiffusionTraining
from nonesuch.training.distillation_run import DistillationTraining
from nonesuch.training.first_stage_run import FirstStageTraining
from nonesuch.training.generator_data import embed_once, read_vectors, training_photographs
from nonesuch.training.generator_run import GeneratorTraining, Given, Material
from nonesuch.training.vec2face_run import Vec2FaceTraining

# How each preset is trained, by its name.
TRAININGS: dict[str, Callable[[Given], GeneratorTraining]] = {
    **dict.fromkeys(GENERATOR_RECIPES, Vec2FaceTraining),
    **dict.fromkeys(DIFFUSION_RECIPES, DiffusionTraining),
    **dict.fromkeys(DISTILLATION_RECIPES, DistillationTraining),
    **dict.fromkeys(FIRST_STAGE_RECIPES, FirstStageTraining),
}


@dataclass(frozen=True)
class TrainedGenerator(Trained):
    """The results of training a generator.

    Attributes:
        samples: a sheet of photographs and what the generator makes of their vectors, PNG.
    """

    samples: Path


@checked(
    preset=Choice(tuple(sorted(TRAININGS))),
    adversarial_from=Number(0, whole=True),
    minutes=ABOVE_0,
    context_dropout=Number(0, 0.9),
    **LIMITS,
)
def train_generator(
    out: str | Path,
    data: Paths,
    *,
    exclude: Paths = (),
    allow_unknown: bool = False,
    preset: str = "vec2face_small",
    init: str | Path | None = None,
    images_seen: int | None = None,
    epochs: float | None = None,
    minutes: float | None = None,
    batch: int | None = None,
    accumulate: int = 1,
    lr: float | None = None,
    loss: Mapping[str, float] | None = None,
    adversarial_from: int | None = None,
    adaptive: bool | None = None,
    vgg: str | Path | None = None,
    lpips: str | Path | None = None,
    first_stage: str | Path | None = None,
    teacher: str | Path | None = None,
    context_dropout: float | None = None,
    licence: str = "not stated",
    about_data: str = "",
    seed: int = 0,
    embedder: str | Path = "mobilefacenet",
    device: str = "auto",
    dtype: str = "float32",
    on_skipped: Callable[[list[str]], None] = lambda problems: None,
    on_progress: OnProgress = no_progress,
) -> TrainedGenerator:
    """Train a generator on aligned photographs, as `nonesuch train-generator` does; a repeated call resumes.

    Args:
        out: the run's folder; OUT/PRESET.safetensors is the generator.
        data, exclude: folders or published sets of aligned 112x112 faces; text files of people or files to leave out.
        allow_unknown: whether these may name what is not there.
        preset: network and recipe, one of `TRAININGS`; None below means what the recipe says.
        init: a weight file, or another run's folder, to start from.
        images_seen, epochs: how long; at most one of them is given.
        minutes: the call is over after so many, with weights exported: after a tenth of them, or a minute, the speed
            fixes how many images the run sees, at most as many as without this.
        batch, accumulate: images per step, and parts that a batch is split into.
        lr: peak learning rate; the recipe's is in proportion to the batch.
        loss: weights of loss terms by name, see the presets' recipes.
        adversarial_from: images before the discriminator joins.
        adaptive: weigh the adversarial term by gradients.
        vgg, lpips: weight files of VGG16 and LPIPS, both or neither: LPIPS instead of the embedder's feature maps.
        first_stage: weights that hold one: whose latents are learned on, whose decoder is trained on or taken over.
        teacher: an IDiff-Face of many steps, by name or file, which a one-step preset learns from.
        context_dropout: share of the context's elements that an IDiff-Face leaves out in training, 0 to 0.9: more
            makes the images of an identity differ more.
        licence, about_data: of the weights and of the data's licence and consent, for the card.
        seed: of everything random.
        embedder: the embedder whose vectors are decoded.
        device, dtype: "auto", "cpu", "cuda", ...; "float32", "bfloat16", "float16" (GPU only).
        on_skipped: called with the photographs that cannot be used, each in a line.
        on_progress: told how far the training is.

    Returns:
        The weight file, the images seen, and the sheet of samples.

    Raises:
        NonesuchError: options conflict, data cannot be used, `out` holds another run, or the training diverges.

    Example:
        nonesuch.train_generator("run", "faces.tar", images_seen=40_000).weights
    """
    budget = None if minutes is None else TimeBudget(minutes)
    init, vgg, lpips, first_stage, teacher = map(path_or_none, (init, vgg, lpips, first_stage, teacher))
    paths = init, vgg, lpips, first_stage, teacher
    given = Given(preset, *paths, loss or {}, adversarial_from, adaptive, context_dropout)
    training = TRAININGS[preset](given)
    recipe = training.recipe
    lr = recipe.lr * (batch or recipe.batch) / recipe.batch if lr is None else lr
    schedule = Schedule(images_seen=images_seen, epochs=epochs, batch=batch, accumulate=accumulate, lr=lr)
    run = RunOptions(schedule=schedule, seed=seed, device=device, dtype=dtype, licence=licence, about_data=about_data)
    photographs = partial(training_photographs, sources(data), as_paths(exclude), allow_unknown)
    path = as_path(out) / f"{preset}.safetensors"
    return _train(path, photographs, training, embedder, run, budget, on_skipped, on_progress)


def _train(
    path: Path,
    find_photographs: Callable[[], Sequence[Photograph]],
    training: GeneratorTraining,
    embedder: str | Path,
    run: RunOptions,
    budget: TimeBudget | None,
    on_skipped: Callable[[list[str]], None],
    on_progress: OnProgress,
) -> TrainedGenerator:
    out, sheet = path.parent, path.parent / "samples.png"
    with run.processes() as place:
        judge = load_embedder(embedder, str(place))
        photographs = find_photographs()
        images = images_of_run(out, partial(listed, photographs))
        settings = run.settings(training.recipe, len(images))
        if budget is not None:
            settings = budget.kept(out, settings)
        what = {"embedder": judge.card.sha256, "data": images.signature, **training.record()}
        torch.manual_seed(run.seed)
        with run.claimed(out, settings, what, images):
            begun = training.begin(judge, place)
            if training.needs_vectors:
                distributed.first_does(lambda: embed_once(out, photographs, judge, on_skipped, on_progress))
                photographs, vectors, stands = read_vectors(out, photographs, images)
            else:
                check_every_crop(photographs, out, on_progress)
                vectors, stands = np.empty((0, judge.card.embedding_dim), dtype=np.float32), stand_ins(images.rows)
            material = Material(out, photographs, vectors, stands, run, place, on_progress)
            trainer = Trainer(begun.task, begun.samples(material), settings, out, place, what)

            def export() -> None:
                begun.export(trainer.averaged(), material, path, sheet)

            trainer.run(lambda progress: progress.tell(on_progress), export, budget=budget)
            if trainer.seen < trainer.settings.images and distributed.rank() == 0:
                total = trainer.settings.images
                notice(f"the time was over at {trainer.seen:,} of {total:,} images; the same command goes on")
    return TrainedGenerator(path, trainer.seen, sheet)
