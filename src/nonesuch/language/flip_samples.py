"""What FLIP learns from, as batches: feature maps or pixels of images, and texts about them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from nonesuch.captions.facts import bits
from nonesuch.core.images import Pixels
from nonesuch.core.seeding import Stream, uniform
from nonesuch.embedders.embedder import Embedder
from nonesuch.flip.maps import CHANNELS, SIDE, embedder_maps
from nonesuch.flip.pixels import DRAWS, disturbed, prepared
from nonesuch.flip.word_pieces import WordPieces
from nonesuch.language.captioned_images import CaptionedImages
from nonesuch.language.wording import Wording
from nonesuch.loop.progress import OnProgress
from nonesuch.loop.trainer import Batch
from nonesuch.training.stored_encodings import stored_encodings

MAPS = "maps.npy"  # in a run's folder: of each image and of its mirror image
_LEFT, _RIGHT = bits(["turned_left"]), bits(["turned_right"])
_SIDES = _LEFT | _RIGHT


@dataclass(frozen=True)
class FlipSamples:
    """Captioned images as batches of `nonesuch.flip.pretraining`.

    Attributes:
        captioned: the images and what is known of them.
        maps: (2N, 896, 7, 7) float16, of each image and its mirror image; None where the model sees pixels.
        wording, pieces: how they are spoken of, and how texts become tokens.
        side: of the images that the model sees, in pixels or places.
        fixed_length: whether all texts are padded to the longest that is allowed, as several processes need it.
    """

    captioned: CaptionedImages
    maps: NDArray[np.float16] | None
    wording: Wording
    pieces: WordPieces
    side: int
    fixed_length: bool = False

    def __len__(self) -> int:
        return len(self.captioned.photographs)

    def load(self, indices: NDArray[np.int64], seeds: list[int]) -> Batch:
        """images (B, channels, side, side); tokens (B, L) int64; said (B, 4) int64, see `Said`; draws (B, 2)."""
        draws = np.stack([uniform(seed, Stream.AUGMENTATION, 3 + DRAWS) for seed in seeds])
        mirrored = draws[:, 2] < 0.5
        texts, said = [], []
        for place, (index, seed) in enumerate(zip(indices, seeds, strict=True)):
            facts = int(self.captioned.facts[index])
            if facts & _SIDES:
                # A caption that stays as it is would say the wrong side of a mirrored face.
                mirrored[place] &= bool(self.wording.grammars)
                facts = _other_side(facts) if mirrored[place] else facts
            text, stated = self.wording.text(self.captioned.captions[index], facts, seed)
            texts.append(text)
            said.append((number_of(text), stated, facts, number_of(self.captioned.photographs[index].identity)))
        tokens = self.pieces.encode(texts)
        if self.fixed_length:
            tokens = torch.nn.functional.pad(tokens, (0, self.pieces.longest - tokens.shape[1]))
        return {
            "images": self._images(indices, mirrored, draws[:, 3:]),
            "tokens": tokens,
            "said": torch.tensor(said, dtype=torch.int64),
            "draws": torch.from_numpy(draws[:, :2]),
        }

    def _images(
        self, indices: NDArray[np.int64], mirrored: NDArray[np.bool_], draws: NDArray[np.float64]
    ) -> torch.Tensor:
        if self.maps is not None:
            return torch.from_numpy(self.maps[2 * indices + mirrored].astype(np.float32))
        crops = np.stack([self.captioned.photographs[index].read_crop() for index in indices])
        pixels = torch.from_numpy(crops).permute(0, 3, 1, 2).float()
        pixels = torch.where(torch.from_numpy(mirrored)[:, None, None, None], pixels.flip(3), pixels)
        return prepared(disturbed(pixels, torch.from_numpy(draws).float()), self.side)


def number_of(text: str) -> int:
    """A number of 63 bits that equal texts share."""
    return int.from_bytes(hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "little") >> 1


def store_maps(path: Path, captioned: CaptionedImages, embedder: Embedder, on_progress: OnProgress) -> None:
    """`stored_encodings` of all images: (2N, 896, 7, 7) feature maps of a frozen embedder, see `nonesuch.flip.maps`."""

    def maps(crops: Pixels) -> NDArray[np.float16]:
        both = np.stack([crops, crops[:, :, ::-1]], axis=1).reshape(-1, *crops.shape[1:])
        pixels = torch.from_numpy(both).to(embedder.device).permute(0, 3, 1, 2).float()
        with torch.inference_mode():
            found: NDArray[np.float16] = embedder_maps(embedder, pixels).half().cpu().numpy()
        return found

    stored_encodings(path, captioned.photographs, (CHANNELS, SIDE, SIDE), maps, "looking", on_progress)


def _other_side(facts: int) -> int:
    """The facts of the mirror image of a face that is turned."""
    return facts ^ _SIDES
