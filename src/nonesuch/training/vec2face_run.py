"""How a Vec2Face is trained: its networks, its data, its weights and their card."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from nonesuch.core import weights
from nonesuch.core.devices import channels_last
from nonesuch.embedders.embedder import Embedder
from nonesuch.generators.vec2face.generator import Vec2FaceCard, Vec2FaceGenerator
from nonesuch.generators.vec2face.network import Vec2Face
from nonesuch.generators.vec2face.presets import GENERATOR_RECIPES
from nonesuch.generators.vec2face.training import GeneratorTask, PhotographSamples
from nonesuch.identities.distributions import PcaGaussian
from nonesuch.loop.trainer import Samples
from nonesuch.models import create_model, load_detector
from nonesuch.perception.detection import Detector
from nonesuch.training.generator_data import continued, fitted_statistics, generator_card
from nonesuch.training.generator_run import Given, Material, adversarial_recipe, card_before


class Vec2FaceTraining:
    """See `GeneratorTraining`."""

    needs_vectors: ClassVar[bool] = True

    def __init__(self, given: Given) -> None:
        given.refuse("first_stage", "teacher", "context_dropout")
        self.given = given
        self.recipe = adversarial_recipe(GENERATOR_RECIPES, given)

    def record(self) -> dict[str, Any]:
        """See `GeneratorTraining.record`."""
        recipe = self.recipe
        return {
            **self.given.record(recipe.losses),
            "adversarial from": recipe.adversarial_from,
            "adaptive": recipe.adaptive,
            "discriminator decays": recipe.discriminator_decays,
            "prior share": recipe.prior_share,
            "disturb": recipe.disturb,
        }

    def begin(self, judge: Embedder, place: torch.device) -> "_Begun":
        """See `GeneratorTraining.begin`."""
        return _Begun(self, judge, place)


class _Begun:
    def __init__(self, training: Vec2FaceTraining, judge: Embedder, place: torch.device) -> None:
        given, recipe = training.given, training.recipe
        self.given, self.recipe, self.judge = given, recipe, judge
        network = create_model(given.preset, feature_dim=judge.card.embedding_dim)
        assert isinstance(network, Vec2Face)
        landmarks = crop_landmarks(load_detector(str(place))) if recipe.losses.landmarks else None
        self.task = GeneratorTask(network, judge, recipe, given.perceptual(place), landmarks)
        if (tensors := given.loaded(self.task.players)) is not None:
            weights.load_into(network, tensors, str(given.init), optional=Vec2Face.belongs_to_style)
        self.before = card_before(given, Vec2FaceCard, judge)
        for player in self.task.players:
            channels_last(player.network.to(place))

    def samples(self, material: Material) -> Samples:
        """See `Begun.samples`."""
        recipe = self.recipe
        self.card = generator_card(Vec2FaceCard, self.given.preset, self.judge, material)
        if self.before is not None:
            self.card = continued(self.card, self.before)
        fitted = fitted_statistics(material, self.judge, self.card.statistics)
        draw = PcaGaussian(fitted) if recipe.losses.need_sampled_people else None
        scale, width = self.card.vector_scale, self.task.generator.style_dim
        samples = PhotographSamples(
            material.crops, material.vectors, scale, recipe.mask, width, draw, recipe.prior_share
        )
        return material.placed(samples)

    def export(self, averaged: dict[str, Tensor], material: Material, path: Path, sheet: Path) -> None:
        """See `Begun.export`."""
        prefix = "generator."
        state = {name.removeprefix(prefix): t for name, t in averaged.items() if name.startswith(prefix)}
        weights.save(path, weights.halved(state), self.card)
        network = create_model(self.card.architecture, pretrained=path, **self.card.sizes)
        assert isinstance(network, Vec2Face)
        generator = Vec2FaceGenerator(self.card, network.eval(), torch.device("cpu"))
        material.write_rendered(sheet, generator)


def crop_landmarks(detector: Detector) -> Callable[[Tensor], Tensor]:
    """The detector's landmarks of aligned crops in [-1, 1], differentiable."""
    return lambda images: detector.crop_landmarks((images + 1.0) * 127.5)
