"""Turning a latent diffusion's faces further: noise that is wider in the direction that turns them.

Photographs of a training set are mostly frontal, and so is what a diffusion learns to draw. Which way a face looks it
reads from its first noise nonetheless, largely along one direction; noise that is wider there turns faces further, and
changes nothing else.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from nonesuch.core import weights
from nonesuch.core.arguments import SEED, Number, checked
from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import AnyPath, as_path, path_or_none
from nonesuch.core.seeding import Stream, derive_seed
from nonesuch.generators.generator import to_grey_levels
from nonesuch.generators.idiff.generator import IDiffCard, IDiffGenerator
from nonesuch.identities.distributions import Draw
from nonesuch.identities.source import SamplingOptions, identity_source
from nonesuch.loop.progress import OnProgress, no_progress
from nonesuch.models import load_generator, load_perceiver, read_model_card, shipped_embedder_card, weights_path
from nonesuch.perception.perceiver import Perceiver
from nonesuch.weight_files import bring_statistics, check_place

_LEAST_CORRELATION = 0.1  # below it the direction is chance: of 500 images and unrelated noise, .1 is 2.2 deviations
_HELD_OUT = 5  # one image of so many tells how well the direction of the others fits
_UNBENT = 0.5  # degrees of yaw under which a spread cannot be told from the perceiver's own noise


@dataclass(frozen=True)
class Widened:
    """What was written.

    Attributes:
        weights: the weight file.
        correlation: between the noise in the direction and yaw, of images that it was not fitted on.
        yaw_before: standard deviation of yaw of the images that it was fitted on, in degrees.
    """

    weights: Path
    correlation: float
    yaw_before: float


@checked(images=Number(500, whole=True), yaw=Number(1.0, 4.0), seed=SEED)
def widen_generator(
    generator: str,
    out: AnyPath,
    *,
    yaw: float = 2.2,
    images: int = 6000,
    statistics: AnyPath | None = None,
    seed: int = 0,
    device: str = "auto",
    on_progress: OnProgress = no_progress,
) -> Widened:
    """Write an IDiff-Face whose faces turn further, as `nonesuch widen-generator` does.

    Images of sampled people are drawn, a perceiver says which way each looks, and a ridge regression of that on the
    noise gives the direction.

    Args:
        generator: an IDiff-Face by name or file.
        out: the .safetensors file to write; identity statistics beside the generator are copied beside it.
        yaw: how many times as wide noise is in that direction, 1 to 4.
        images: drawn to find the direction.
        statistics: of the vectors of real people; None for the generator's own.
        seed: of the people and images.
        device: "auto", "cpu", "cuda", ...
        on_progress: told how many are drawn.

    Raises:
        NonesuchError: the generator is no IDiff-Face, is the file to write, is widened already, draws faces that all
            look one way, or has noise that does not tell which way.

    Example:
        nonesuch.widen_generator("idiff_small", "wide.safetensors").correlation
    """
    target = as_path(out)
    if target.suffix != ".safetensors":
        raise NonesuchError(f"{out}: name a .safetensors file")
    path = weights_path(generator)
    check_place(target, [path])
    card = read_model_card(path, IDiffCard)
    if card.sizes.get("styles"):
        raise NonesuchError(f"{generator}: is widened already; name the weights that it was made from")
    bring_statistics(path, card, target)
    drawn = load_generator(path, device)
    assert isinstance(drawn, IDiffGenerator)
    known = shipped_embedder_card(card.embedder, card.embedder_sha256)
    draw = identity_source(card, path, known, SamplingOptions(statistics_file=path_or_none(statistics))).draw
    of_people = _drawn(drawn, draw, load_perceiver(device=device), images, seed, on_progress)
    found, correlation = direction(*of_people, generator)
    rows = torch.from_numpy(found[None] * yaw).float()
    state = {name: tensor.cpu() for name, tensor in drawn.network.state_dict().items()}
    told = f"first noise {yaw:g} times as wide in the direction of yaw, by 'nonesuch widen-generator'"
    wider = replace(card, sizes={**card.sizes, "styles": 1}, source=f"{card.source}; {told}", measured={})
    weights.save(target, weights.halved({**state, "styles": rows}), wider)
    return Widened(target, correlation, float(of_people[1].std()))


def _drawn(
    generator: IDiffGenerator, draw: Draw, perceiver: Perceiver, images: int, seed: int, on_progress: OnProgress
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """First noise (N, S) of images of sampled people, one each, and the yaw (N,) that they show, in degrees."""
    noise, turned = [], []
    for start in range(0, images, generator.usual_batch):
        numbers = range(start, min(start + generator.usual_batch, images))
        seeds = np.array([derive_seed(seed, number, int(Stream.OTHER)) for number in numbers], dtype=np.uint64)
        vectors = np.stack([draw(int(one)) for one in seeds])
        turned.append(
            perceiver.perceive(to_grey_levels(generator.render(vectors, seeds, generator.usual_batch)))["yaw"]
        )
        noise.append(generator.draw(seeds).fixed["noise"].flatten(1).numpy())
        on_progress("drawing", numbers.stop, images)
    return np.concatenate(noise), np.concatenate(turned)


def direction(noise: NDArray[np.float32], values: NDArray[np.float32], name: str) -> tuple[NDArray[np.float64], float]:
    """The direction of noise that values grow in, by ridge regression.

    Args:
        noise: (N, S) standard normal.
        values: (N,).
        name: of the generator, for the error message.

    Returns:
        (S,) of length 1, and how it correlates with the values where fitted on four fifths of them.

    Raises:
        NonesuchError: the values hardly differ, or the correlation is below .1.
    """
    if not np.isfinite(values).all() or values.std() < _UNBENT:
        raise NonesuchError(f"{name}: its faces all look one way; there is nothing to widen")
    held = np.arange(len(values)) % _HELD_OUT == 0
    correlation = float(np.corrcoef(noise[held] @ _ridge(noise[~held], values[~held]), values[held])[0, 1])
    if not correlation >= _LEAST_CORRELATION:
        raise NonesuchError(
            f"{name}: its noise does not tell which way faces look (correlation {correlation:.2f}); draw more "
            "--images, or leave it as it is"
        )
    found = _ridge(noise, values)
    return found / np.linalg.norm(found), correlation


def _ridge(x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float64]:
    """Weights, with a penalty as strong as the noise of values of which a half follows from x."""
    matrix, centred = x.astype(np.float64), (y - y.mean()).astype(np.float64)
    found: NDArray[np.float64] = np.linalg.solve(
        matrix.T @ matrix + x.shape[1] * np.eye(x.shape[1]), matrix.T @ centred
    )
    return found
