"""What renders a dataset, loaded as its manifest says."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nonesuch.core import files
from nonesuch.core.errors import NonesuchError
from nonesuch.dataset.rendering import RenderSettings
from nonesuch.formats import manifest as manifests
from nonesuch.formats.manifest import Manifest
from nonesuch.generators.generator import Generator
from nonesuch.models import load_generator, shipped_names
from nonesuch.steering.options import SteeringOptions
from nonesuch.steering.steerer import Steerer, SteerSettings
from nonesuch.steering.wishes import parse_wish

_SHOWN = 12  # letters of a hash


@dataclass(frozen=True)
class Makers:
    """What renders a dataset.

    Attributes:
        generator: makes the images.
        settings: of the rendering.
        steerer: steers the images; None where the dataset is not steered.
    """

    generator: Generator
    settings: RenderSettings
    steerer: Steerer | None


def load_makers(folder: Path, manifest: Manifest, generator: str | None, device: str) -> Makers:
    """Load the weights that made a dataset, or that are to make it.

    Args:
        folder, manifest: the dataset.
        generator: name or file of its weights; None for the shipped ones of the manifest's name.
        device: where to render; one of another type than the manifest's gives other bits.

    Raises:
        NonesuchError: the weights are not at hand or are others, or the manifest is damaged.
    """
    origin = manifests.origin(folder, manifest)
    asked = f"{origin['name']} (sha256 {origin['sha256'][:_SHOWN]}...)"
    if generator is None and origin["name"] not in shipped_names():
        raise NonesuchError(f"{folder}: was made by {asked}, which does not ship; give its weights as --generator FILE")
    model = load_generator(generator or origin["name"], device, manifest.render["dtype"])
    if model.card.sha256 != origin["sha256"]:
        raise NonesuchError(
            f"{folder}: was made by {asked}, not by {model.name} (sha256 {model.card.sha256[:_SHOWN]}...); "
            "give its weights as --generator FILE"
        )
    settings = files.typed(manifest.render, RenderSettings, f"{folder}: its render settings")
    if settings.sampler:
        model = model.with_sampler(settings.sampler)
    settings = replace(settings, device=model.device.type)
    record = manifest.options.get("steering")
    return Makers(model, settings, None if record is None else _steerer(folder, record, model, device, settings.dtype))


def _steerer(folder: Path, record: Any, model: Generator, device: str, dtype: str) -> Steerer:
    if not isinstance(record, Mapping):
        raise NonesuchError(f"{folder}: damaged: its steering is no record")
    try:
        settings = SteerSettings(**{name: record[name] for name in SteerSettings.__dataclass_fields__})
        wishes = [parse_wish(text) for text in record["wishes"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise NonesuchError(f"{folder}: damaged: its steering lacks {error}") from error
    steerer, _ = SteeringOptions(wishes, settings, None).load(model, device, dtype)
    if steerer is None or steerer.record() != record:
        raise NonesuchError(f"{folder}: was steered by another perceiver than this version's; install the one it names")
    return steerer
