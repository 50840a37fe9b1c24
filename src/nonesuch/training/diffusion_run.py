"""How the U-Net of a latent diffusion is trained: its networks, its latents, its weights and their card."""

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nonesuch.core import files, weights
from nonesuch.core.devices import channels_last
from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import Pixels
from nonesuch.embedders.embedder import Embedder
from nonesuch.generators.generator import from_grey_levels
from nonesuch.generators.idiff.diffusion_training import DiffusionTask, LatentSamples, scale_to_unit
from nonesuch.generators.idiff.framing import from_crops
from nonesuch.generators.idiff.generator import IDiffCard, IDiffGenerator
from nonesuch.generators.idiff.network import LatentDiffusion
from nonesuch.generators.idiff.presets import DIFFUSION_RECIPES
from nonesuch.loop import distributed
from nonesuch.loop.run_folder import LATENTS
from nonesuch.loop.runs import recipe_named
from nonesuch.loop.trainer import Samples
from nonesuch.models import create_model, weights_path
from nonesuch.training.first_stage_run import load_first_stage
from nonesuch.training.generator_data import continued, fitted_statistics, generator_card
from nonesuch.training.generator_run import Given, Material, card_before, losses_given
from nonesuch.training.stored_encodings import stored_encodings


class DiffusionTraining:
    """See `GeneratorTraining`.

    Raises:
        NonesuchError: no first stage is named.
    """

    needs_vectors: ClassVar[bool] = True

    def __init__(self, given: Given) -> None:
        given.refuse("vgg", "adversarial_from", "adaptive", "teacher")
        if given.first_stage is None:
            raise NonesuchError(
                f"--preset {given.preset} learns on the latents of a first stage; name its weights with --first-stage "
                f"FILE (train one with --preset {given.preset}_first_stage)"
            )
        self.given, self.first_stage = given, weights_path(given.first_stage)
        recipe = recipe_named(DIFFUSION_RECIPES, given.preset)
        self.recipe = dataclasses.replace(recipe, losses=losses_given(recipe.losses, given))

    def record(self) -> dict[str, Any]:
        """See `GeneratorTraining.record`."""
        recipe = self.recipe
        return {
            **self.given.record(recipe.losses),
            "first stage": files.sha256(self.first_stage),
            "context dropout": self.given.context_dropout,
            "prediction": recipe.prediction,
            "schedule": recipe.schedule,
            "without identity": recipe.without_identity,
            "identity share": recipe.identity_share,
            "latent scale": recipe.latent_scale,
        }

    def begin(self, judge: Embedder, place: torch.device) -> "_Begun":
        """See `GeneratorTraining.begin`."""
        return _Begun(self, judge, place)


class _Begun:
    def __init__(self, training: DiffusionTraining, judge: Embedder, place: torch.device) -> None:
        given = training.given
        self.given, self.recipe, self.judge, self.place = given, training.recipe, judge, place
        self.sizes: dict[str, Any] = {"feature_dim": judge.card.embedding_dim}
        if given.context_dropout is not None:
            self.sizes["context_dropout"] = given.context_dropout
        self.network = latent_diffusion(given.preset, self.sizes)
        self.stage_card = load_first_stage(self.network.first_stage, training.first_stage)
        self.task = DiffusionTask(self.network, judge, self.recipe)
        if (tensors := given.loaded(self.task.players)) is not None:
            _load_unet(self.network, tensors, str(given.init))
        self.before = card_before(given, IDiffCard, judge)
        channels_last(self.network.to(place))

    def samples(self, material: Material) -> Samples:
        """See `Begun.samples`."""
        path = material.out / LATENTS
        shape = tuple(self.network.latent_shape)
        distributed.first_does(
            lambda: stored_encodings(path, material.photographs, shape, self._latents, "encoding", material.on_progress)
        )
        latents = np.load(path, mmap_mode="r", allow_pickle=False)
        scale = self.recipe.latent_scale or scale_to_unit(latents)
        self.task.latent_scale = scale
        common = generator_card(IDiffCard, self.given.preset, self.judge, material)
        card = dataclasses.replace(
            common,
            sizes=self.sizes,
            training_data=f"{common.training_data} First stage: {self.stage_card.training_data}",
            prediction=self.recipe.prediction,
            schedule=self.recipe.schedule,
            sampling=self.recipe.sampling,
            latent_scale=scale,
            learned_without_identity=self.recipe.without_identity > 0.0,
        )
        self.card = card if self.before is None else continued(card, self.before)
        fitted_statistics(material, self.judge, self.card.statistics)
        return material.placed(LatentSamples(latents, material.vectors, scale, self.recipe.without_identity))

    def _latents(self, pixels: Pixels) -> NDArray[np.float32]:
        """See `stored_encodings`."""
        images = from_crops(from_grey_levels(torch.from_numpy(pixels).to(self.place)), self.network.image_side)
        both = torch.stack([images, images.flip(3)], dim=1).flatten(0, 1)
        with torch.inference_mode():
            found: NDArray[np.float32] = self.network.first_stage.encode(both).float().cpu().numpy()
        return found

    def export(self, averaged: dict[str, Tensor], material: Material, path: Path, sheet: Path) -> None:
        """See `Begun.export`."""
        stage = {f"first_stage.{name}": tensor for name, tensor in self.network.first_stage.state_dict().items()}
        state = {f"unet.{name}": tensor for name, tensor in averaged.items()}
        export_diffusion({**state, **stage}, self.card, material, path, sheet)


def export_diffusion(state: dict[str, Tensor], card: IDiffCard, material: Material, path: Path, sheet: Path) -> None:
    """Write both networks' tensors in half precision with their card, and a sheet of what they draw."""
    weights.save(path, weights.halved(state), card)
    network = latent_diffusion(card.architecture, card.sizes, path)
    material.write_rendered(sheet, IDiffGenerator(card, network.eval(), torch.device("cpu")))


def latent_diffusion(preset: str, sizes: dict[str, Any], pretrained: bool | Path = False) -> LatentDiffusion:
    """`create_model` of a preset that is a latent diffusion."""
    network = create_model(preset, pretrained, **sizes)
    assert isinstance(network, LatentDiffusion)
    return network


def _load_unet(network: LatentDiffusion, tensors: dict[str, Any], source: str) -> None:
    """The U-Net's weights, from its own file or from a whole generator's, whose first stage is left out."""
    prefix = "unet."
    own = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    weights.load_into(network.unet, own or tensors, source)
