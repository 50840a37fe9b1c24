"""The interface of a generator of any family, and what every family needs.

A family has a folder of its own beside this file. It has a network with the attribute `feature_dim`, a card, and a
subclass of `Generator` that says what an image draws from its seed and how vectors and draws become pixels.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Protocol

import numpy as np
import torch
from msgspec import Meta
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from nonesuch.core.arguments import AT_LEAST_1, Number, checked
from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import CROP_SIZE, Pixels
from nonesuch.core.weights import Card, Cosine, Positive, Width

_NUMBER = r"(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?"
OTHERS = "others"  # among an image's fixed parts: the vector of an identity that it is driven away from
_PART = rf"{_NUMBER}(:{_NUMBER})?"  # of a mix: sigma:share


@dataclass(frozen=True, kw_only=True)
class GeneratorCard(Card):
    """The card of a generator; a family whose weights need more has a subclass.

    Attributes:
        feature_dim: width of the identity vectors.
        embedder: name of the embedder whose vectors are decoded.
        embedder_sha256: hash of its weights, or "" where they are not at hand.
        vector_scale: raw embedding * scale = what the network takes; sigma is in scaled units.
        vector_norm: usual norm of a raw vector.
        sigma_mix: how vectors are perturbed by default, as sigma:share,...; the default is the published mix.
        max_similarity: cosine between two identities above which the second is rejected, where the embedder's own
            thresholds are not at hand.
        statistics: file name of the identity statistics beside the weights, or "".
    """

    kind: ClassVar[str] = "generator"

    feature_dim: Width
    embedder: str
    embedder_sha256: str
    vector_scale: Positive = 1.0
    vector_norm: Positive = 22.6
    sigma_mix: Annotated[str, Meta(pattern=rf"^{_PART}(,{_PART})*$")] = "0.3:40,0.5:40,0.7:20"
    max_similarity: Cosine = 0.4
    statistics: Annotated[str, Meta(pattern=r"^(?!\.\.?$)[^/\\\0]*$")] = ""


@dataclass(frozen=True)
class Latent:
    """What N images draw from their own seeds, besides their identity vectors.

    Attributes:
        style: (N, S) float32 style codes, standard normal times a spread: what steering may move by gradients. S is 0
            where a family has none.
        fixed: parts that nothing moves, by name, with the images as first axis: masks, the noise of a diffusion.
    """

    style: Tensor
    fixed: Mapping[str, Tensor]

    def each(self, change: Callable[[Tensor], Tensor]) -> "Latent":
        """The same with every part changed, such as moved to a device or cut to some of its images."""
        return Latent(change(self.style), {name: change(part) for name, part in self.fixed.items()})


class Generator(Protocol):
    """Identity vectors -> faces, each image from its own seed. A family subclasses it.

    Attributes:
        card: name, hash, embedder, vector scale.
        device: where the network runs; `forward` takes and gives tensors there.
        dtype: precision of the network.
    """

    card: GeneratorCard
    device: torch.device
    dtype: torch.dtype

    @property
    def name(self) -> str:
        """The name of the weights."""
        return self.card.name

    @property
    def has_style(self) -> bool:
        """Whether images draw a style code."""
        return self.draw(np.zeros(0, dtype=np.uint64)).style.shape[1] > 0

    @property
    def sampler(self) -> str:
        """How images are sampled, as `with_sampler` takes it; "" for a generator that makes them in one pass."""
        return ""

    def with_sampler(self, text: str) -> "Generator":
        """The same generator with another sampler or other settings of it, such as "ddim,steps=50".

        Raises:
            NonesuchError: there is no such sampler or setting, or nothing to choose.
        """
        raise NonesuchError(f"--sampler {text}: {self.name} makes an image in one pass; leave it out")

    @property
    def passes(self) -> int:
        """How often an image passes through the network, all of which steering's gradients must hold."""
        return 1

    @property
    def needs_others(self) -> bool:
        """Whether each image is driven away from another identity of the same dataset, which `render` then needs."""
        return False

    @property
    def usual_batch(self) -> int:
        """Images per pass where nobody asks for another number.

        16 keeps the activations of one worker in a CPU's cache; a GPU wants more work per call.
        """
        return 16 if self.device.type == "cpu" else 256

    @property
    def shows_identity(self) -> bool:
        """Whether images depend on the vectors; False for one that was learned without."""
        return True

    def unconditional(self) -> "Generator":
        """The same generator drawing images of nobody in particular: vectors have no effect on them.

        Raises:
            NonesuchError: it can draw none.
        """
        raise NonesuchError(
            f"{self.name} draws no image without an identity; name an IDiff-Face that learned to, such as idiff_small"
        )

    @abstractmethod
    def draw(self, seeds: NDArray[np.uint64], style_spread: float = 1.0) -> Latent:
        """What images draw, each from its own seed alone and on the CPU, with `nonesuch.core.seeding`.

        Args:
            seeds: (N,) image seeds; N may be 0.
            style_spread: standard deviation of the style codes, 0 for the mean style; 1 is what training saw.
        """
        ...

    @abstractmethod
    def forward(self, vectors: Tensor, latent: Latent) -> Tensor:
        """(B, D) raw vectors and what B images drew -> (B, 3, 112, 112) RGB in 0..255.

        It is differentiable with respect to the vectors and the style codes. No image depends on another of the batch.
        """
        ...

    @checked(micro_batch=AT_LEAST_1, style_spread=Number(0))
    def render(
        self,
        vectors: NDArray[np.float32],
        seeds: NDArray[np.uint64],
        micro_batch: int,
        style_spread: float = 1.0,
        others: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Render images in micro-batches of one fixed size, the last one padded.

        Args:
            vectors: (N, D) raw identity vectors.
            seeds: (N,) image seeds.
            micro_batch: images per forward pass.
            style_spread: as in `draw`.
            others: (N, D) raw vectors of other identities, for a generator that needs them.

        Returns:
            (N, 112, 112, 3) float32 RGB in 0..255, not rounded.

        Raises:
            NonesuchError: the vectors have another width or are not finite, the seeds are not as many or no whole
                numbers of at least 0, `micro_batch` or `style_spread` is out of range, or `others` are missing.
        """
        seeds, vectors, *given = checked_rows(self.card, seeds, vectors, *([] if others is None else [others]))
        if self.needs_others and not given:
            raise NonesuchError(f"{self.name} with {self.sampler}: give vectors of other identities as `others`")
        every, latent = torch.from_numpy(vectors.copy()), self.draw(seeds, style_spread)
        if self.needs_others:
            latent = Latent(latent.style, {**latent.fixed, OTHERS: torch.from_numpy(given[0].copy())})
        images = [np.empty((0, CROP_SIZE, CROP_SIZE, 3), dtype=np.float32)]
        for start in range(0, len(vectors), micro_batch):

            def part(column: Tensor, start: int = start) -> Tensor:
                return _padded(column[start : start + micro_batch], micro_batch).to(self.device)

            with torch.inference_mode():
                images.append(self.forward(part(every), latent.each(part)).permute(0, 2, 3, 1).cpu().numpy())
        return np.concatenate(images)[: len(vectors)]


def _padded(rows: Tensor, size: int) -> Tensor:
    """Rows with the last one repeated until there are `size`."""
    return torch.cat([rows, rows[-1:].expand(size - len(rows), *rows.shape[1:])])


def check_identity_vectors(vectors: NDArray[np.float32], card: GeneratorCard) -> None:
    """Raises NonesuchError unless the vectors are (N, feature_dim) as the card says, finite and not zero."""
    if vectors.ndim != 2 or vectors.shape[1] != card.feature_dim:
        raise NonesuchError(
            f"{card.name} takes vectors of width {card.feature_dim}, (N, {card.feature_dim}), not {vectors.shape}"
        )
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1) | ~np.any(vectors, axis=1))
    if len(bad):
        raise NonesuchError(f"vector {bad[0]} is zero or holds NaN or infinity ({len(bad)} such); remove these rows")


def checked_rows(card: GeneratorCard, seeds: ArrayLike, *vectors: ArrayLike) -> tuple[NDArray[Any], ...]:
    """Seeds (N,) as uint64, then each of the vectors (N, D) as float32, from whatever holds such numbers.

    Raises:
        NonesuchError: see `check_identity_vectors`, or the seeds are not as many or no whole numbers of at least 0.
    """
    try:
        drawn, rows = np.asarray(seeds), [np.asarray(part, dtype=np.float32) for part in vectors]
    except (TypeError, ValueError) as error:
        raise NonesuchError(f"{card.name} takes arrays of numbers as vectors and seeds ({error})") from error
    for part in rows:
        check_identity_vectors(part, card)
    if drawn.size == 0:
        drawn = drawn.astype(np.uint64)
    if drawn.dtype.kind not in "iu" or np.any(drawn < 0):
        raise NonesuchError("seeds are whole numbers of at least 0; give np.arange(N, dtype=np.uint64), for example")
    for part in rows:
        if drawn.shape != (len(part),):
            raise NonesuchError(f"{len(part)} vectors do not go with seeds of shape {drawn.shape}; give one for each")
    return drawn.astype(np.uint64), *rows


def from_grey_levels(pixels: Tensor) -> Tensor:
    """(N, H, W, 3) RGB in 0..255 -> (N, 3, H, W) float32 in [-1, 1], as networks that learn images take them."""
    return pixels.permute(0, 3, 1, 2).float() / 127.5 - 1.0


def to_grey_levels(images: NDArray[np.float32]) -> Pixels:
    """0..255 floating point -> uint8, rounded to the nearest level.

    Raises:
        NonesuchError: a pixel is not finite.
    """
    if not np.isfinite(images).all():
        raise NonesuchError("the generator gave pixels that are not finite; use --dtype float32")
    return np.rint(images).astype(np.uint8)
