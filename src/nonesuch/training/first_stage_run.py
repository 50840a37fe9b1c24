"""How the first stage of a latent diffusion is trained: its networks, its data, its weights and their card."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from nonesuch.core import files, weights
from nonesuch.core.devices import channels_last
from nonesuch.core.errors import NonesuchError
from nonesuch.core.weights import Card
from nonesuch.embedders.embedder import Embedder
from nonesuch.generators.generator import from_grey_levels, to_grey_levels
from nonesuch.generators.idiff.first_stage import IDiffFirstStage
from nonesuch.generators.idiff.first_stage_training import FirstStageSamples, FirstStageTask
from nonesuch.generators.idiff.framing import from_crops, to_crops
from nonesuch.generators.idiff.generator import IDiffCard
from nonesuch.generators.idiff.kl_first_stage import KlFirstStage
from nonesuch.generators.idiff.network import FirstStage, PartCard
from nonesuch.generators.idiff.presets import FIRST_STAGE_RECIPES
from nonesuch.loop.trainer import Samples
from nonesuch.models import create_model, read_model_card, weights_path
from nonesuch.training.generator_data import told_data
from nonesuch.training.generator_run import Given, Material, adversarial_recipe


class FirstStageTraining:
    """See `GeneratorTraining`.

    Raises:
        NonesuchError: a preset that trains a decoder alone is not told of which first stage.
    """

    needs_vectors: ClassVar[bool] = False

    def __init__(self, given: Given) -> None:
        given.refuse("teacher", "context_dropout")
        self.given = given
        self.recipe = adversarial_recipe(FIRST_STAGE_RECIPES, given)
        self.before: Path | None = None
        if self.recipe.encoder_until != 0:
            given.refuse("first_stage")
        elif given.first_stage is None:
            raise NonesuchError(
                f"--preset {given.preset} trains the decoder of a first stage that is there; name it with "
                "--first-stage, such as --first-stage idiff_small"
            )
        else:
            self.before = weights_path(given.first_stage)

    def record(self) -> dict[str, Any]:
        """See `GeneratorTraining.record`."""
        recipe = self.recipe
        return {
            **self.given.record(recipe.losses),
            "adversarial from": recipe.adversarial_from,
            "adaptive": recipe.adaptive,
            "encoder until": recipe.encoder_until,
            "first stage": files.sha256(self.before) if self.before else "",
            "side": recipe.side,
        }

    def begin(self, judge: Embedder, place: torch.device) -> "_Begun":
        """See `GeneratorTraining.begin`."""
        return _Begun(self, judge, place)


class _Begun:
    def __init__(self, training: FirstStageTraining, judge: Embedder, place: torch.device) -> None:
        self.given, self.recipe = training.given, training.recipe
        network = create_model(self.given.preset)
        assert isinstance(network, IDiffFirstStage | KlFirstStage)
        self.about_before = ""
        if training.before is not None:
            self.about_before = f"{load_first_stage(network, training.before).training_data} Then: "
        self.task = FirstStageTask(network, judge, self.recipe, self.given.perceptual(place))
        if (tensors := self.given.loaded(self.task.players)) is not None:
            weights.load_into(self.task.network, tensors, str(self.given.init))
        for player in self.task.players:
            channels_last(player.network.to(place))

    def samples(self, material: Material) -> Samples:
        """See `Begun.samples`."""
        network, side = self.task.network, self.recipe.side
        latent = (network.channels, side // network.latent_factor, side // network.latent_factor)
        return material.placed(FirstStageSamples(material.crops, side, latent))

    def export(self, averaged: dict[str, Tensor], material: Material, path: Path, sheet: Path) -> None:
        """See `Begun.export`."""
        card = PartCard(
            name=self.given.preset,
            architecture=self.given.preset,
            sha256="",
            licence=material.run.licence,
            source="trained with 'nonesuch train-generator'",
            training_data=self.about_before + told_data(material.photographs, material.run.about_data),
        )
        weights.save(path, weights.halved(averaged), card)
        network = create_model(self.given.preset, pretrained=path).eval()
        pixels = np.stack([photograph.read_crop() for photograph in material.shown])
        images = from_grey_levels(torch.from_numpy(pixels))
        with torch.inference_mode():
            again = to_crops(network(from_crops(images, self.recipe.side))).clamp(-1.0, 1.0)
        material.write_samples(sheet, to_grey_levels(((again + 1.0) * 127.5).permute(0, 2, 3, 1).numpy()))


def load_first_stage(network: FirstStage, path: Path) -> Card:
    """A first stage's weights, from its own file or from a whole generator's; returns the file's card.

    Raises:
        NonesuchError: the file holds none, or one of other sizes.
    """
    card = read_model_card(path, Card)
    tensors = weights.load_checked(path, card)
    if isinstance(card, IDiffCard):
        prefix = "first_stage."
        tensors = {name.removeprefix(prefix): part for name, part in tensors.items() if name.startswith(prefix)}
    elif not isinstance(card, PartCard):
        raise NonesuchError(f"--first-stage {path}: {card.name} has no first stage; name that of an IDiff-Face")
    weights.load_into(network, tensors, str(path))
    return card
