"""How a diffusion is distilled to one step: the teacher's pairs, the networks, their weights and card."""

import dataclasses
import math
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nonesuch.core import files, weights
from nonesuch.core.devices import channels_last
from nonesuch.core.errors import NonesuchError
from nonesuch.core.weights import Card
from nonesuch.embedders.embedder import Embedder
from nonesuch.generators.idiff.distillation import DistillationTask, PairSamples, pair_seed
from nonesuch.generators.idiff.generator import IDiffCard, IDiffGenerator
from nonesuch.generators.idiff.network import FirstStage
from nonesuch.generators.idiff.presets import DISTILLATION_RECIPES
from nonesuch.identities.distributions import Draw, PcaGaussian
from nonesuch.loop import distributed
from nonesuch.loop.runs import recipe_named
from nonesuch.loop.trainer import Samples
from nonesuch.models import load_generator, load_perceiver, read_model_card, weights_path
from nonesuch.perception.perceiver import Perceiver
from nonesuch.training.diffusion_run import export_diffusion, latent_diffusion
from nonesuch.training.first_stage_run import load_first_stage
from nonesuch.training.generator_data import continued, fitted_statistics, generator_card
from nonesuch.training.generator_run import Given, Material, losses_given
from nonesuch.training.steadiness import Steadiness

_PAIRS = "pairs"  # folder of a run
_DECODES = ("decoder.", "post_quant_conv.")
_PART = 500  # pairs in a file, which an interruption costs at most
_ONE_STEP = {"sampler": "lcm", "steps": 1}


class DistillationTraining:
    """See `GeneratorTraining`.

    Raises:
        NonesuchError: no teacher is named, or it is none.
    """

    needs_vectors: ClassVar[bool] = True

    def __init__(self, given: Given) -> None:
        given.refuse("vgg", "adversarial_from", "adaptive", "context_dropout")
        if given.teacher is None:
            raise NonesuchError(
                f"--preset {given.preset} learns from a generator of many steps; name it with --teacher, such as "
                "--teacher idiff_small"
            )
        self.given, self.teacher = given, weights_path(given.teacher)
        card = read_model_card(self.teacher, IDiffCard)
        if card.prediction != "velocity":
            raise NonesuchError(
                f"--teacher {self.teacher}: predicts the {card.prediction}, from which one step learns nothing; name "
                "one that predicts the velocity, as idiff_small does"
            )
        self.teacher_card = card
        self.first_stage = weights_path(given.first_stage) if given.first_stage else None
        recipe = recipe_named(DISTILLATION_RECIPES, given.preset)
        self.recipe = dataclasses.replace(recipe, losses=losses_given(recipe.losses, given))

    def record(self) -> dict[str, Any]:
        """See `GeneratorTraining.record`."""
        recipe = self.recipe
        return {
            **self.given.record(recipe.losses),
            "teacher": self.teacher_card.sha256,
            "first stage": files.sha256(self.first_stage) if self.first_stage else "",
            "pairs": recipe.pairs,
            "sampling": recipe.teacher,
            "decoded from": recipe.decoded_from,
        }

    def begin(self, judge: Embedder, place: torch.device) -> "_Begun":
        """See `GeneratorTraining.begin`."""
        return _Begun(self, judge, place)


class _Begun:
    def __init__(self, training: DistillationTraining, judge: Embedder, place: torch.device) -> None:
        given, card = training.given, training.teacher_card
        self.given, self.recipe, self.judge, self.teacher_card = given, training.recipe, judge, card
        if card.embedder_sha256 != judge.card.sha256:
            raise NonesuchError(f"--teacher {training.teacher}: shows vectors of {card.embedder}, not of {judge.name}")
        teacher = load_generator(training.teacher, str(place)).with_sampler(training.recipe.teacher)
        assert isinstance(teacher, IDiffGenerator)
        self.teacher = teacher
        network = latent_diffusion(given.preset, card.sizes)
        weights.load_into(network, teacher.network.state_dict(), str(training.teacher))
        self.stage_card = None
        if training.first_stage is not None:
            self.stage_card = _load_decoder(network.first_stage, training.first_stage)
        self.task = DistillationTask(network, judge, self.recipe, card.latent_scale)
        if (tensors := given.loaded(self.task.players)) is not None:
            weights.load_into(network, tensors, str(given.init))
        for player in self.task.players:
            channels_last(player.network.to(place))

    def samples(self, material: Material) -> Samples:
        """See `Begun.samples`."""
        common = generator_card(IDiffCard, self.given.preset, self.judge, material)
        teacher = self.teacher_card
        card = dataclasses.replace(
            common,
            sizes=teacher.sizes,
            prediction=teacher.prediction,
            schedule=teacher.schedule,
            latent_scale=teacher.latent_scale,
            sampling=_ONE_STEP,
            distilled=True,
        )
        self.card = continued(card, teacher)
        if self.stage_card is not None:
            data = f"{self.card.training_data} First stage: {self.stage_card.training_data}"
            self.card = dataclasses.replace(self.card, training_data=data)
        draw = PcaGaussian(fitted_statistics(material, self.judge, card.statistics))
        folder, seed = material.out / _PAIRS, material.run.seed
        distributed.first_does(lambda: self._draw_pairs(folder, draw, material))
        if self.recipe.losses.steady:
            perceiver, told = self._perceiver(material.place), partial(material.on_progress, "perceiving")
            self.task.shortfall = Steadiness(perceiver, material.crops, told).shortfall
        latents, styles = [_read(path) for path in self._parts(folder)], self.teacher.network.style_units()
        del self.teacher  # it has drawn all that it is asked for
        return material.placed(PairSamples(material.crops, latents, draw, styles, seed))

    def _perceiver(self, place: torch.device) -> Perceiver:
        perceiver = load_perceiver(device=str(place))
        if perceiver.card.embedder_sha256 != self.judge.card.sha256:
            raise NonesuchError(
                f"--embedder {self.judge.name}: {perceiver.card.name} reads the feature maps of "
                f"{perceiver.card.embedder} alone; leave its term out with --loss steady=0"
            )
        return perceiver

    def _parts(self, folder: Path) -> list[Path]:
        return [folder / f"{number:05d}.npy" for number in range(math.ceil(self.recipe.pairs / _PART))]

    def _draw_pairs(self, folder: Path, draw: Draw, material: Material) -> None:
        """The teacher's latents into files of the run's folder; those that are there already are kept."""
        files.make_folder(folder)
        for number, path in enumerate(self._parts(folder)):
            first, last = number * _PART, min((number + 1) * _PART, self.recipe.pairs)
            if not path.exists():
                seeds = [pair_seed(pair, material.run.seed) for pair in range(first, last)]
                latents = self._latents(seeds, draw).astype(np.float16)
                with files.replacing(path) as temporary, temporary.open("wb") as file:
                    np.save(file, latents)
            material.on_progress("drawing pairs", last, self.recipe.pairs)

    def _latents(self, seeds: list[int], draw: Draw) -> NDArray[np.float32]:
        teacher, found = self.teacher, []
        for start in range(0, len(seeds), teacher.usual_batch):
            part = seeds[start : start + teacher.usual_batch]
            drawn = teacher.draw(np.array(part, dtype=np.uint64)).each(lambda rows: rows.to(teacher.device))
            vectors = torch.from_numpy(np.stack([draw(seed) for seed in part])).to(teacher.device)
            with torch.inference_mode():
                found.append(teacher.latents(vectors, drawn).float().cpu().numpy())
        return np.concatenate(found)

    def export(self, averaged: dict[str, Tensor], material: Material, path: Path, sheet: Path) -> None:
        """See `Begun.export`."""
        export_diffusion(averaged, self.card, material, path, sheet)


def _read(path: Path) -> NDArray[np.float16]:
    latents: NDArray[np.float16] = np.load(path, mmap_mode="r", allow_pickle=False)
    return latents


def _load_decoder(stage: FirstStage, path: Path) -> Card:
    """Another first stage in the place of the teacher's, with the same encoder: latents must mean the same."""
    before = {name: tensor.clone() for name, tensor in stage.state_dict().items()}
    card = load_first_stage(stage, path)
    for name, tensor in stage.state_dict().items():
        if not name.startswith(_DECODES) and not torch.equal(tensor, before[name]):
            raise NonesuchError(
                f"--first-stage {path}: its encoder is another than the teacher's, whose latents it would not decode; "
                "train the teacher's own decoder on, with --preset idiff_small_decoder"
            )
    return card
