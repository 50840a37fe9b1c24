"""CLIP-IQA (Wang, Chan, Loy, AAAI 2023, arXiv 2207.12396), for users who have CLIP's weights. Higher is better.

It needs two files. One is CLIP's image encoder as ONNX, from (B, 3, 224, 224) RGB, standardised by CLIP's mean and
deviation, to (B, D) embeddings. The other is a .safetensors file with the text encoder's embeddings of "Good photo."
and "Bad photo." as tensors `good` and `bad`, (D,). The paper used the ResNet-50 without its positional embedding on
pictures of any size. Here crops are enlarged from 112 to 224 first, and any of CLIP's encoders will do. Scores compare
only between runs with the same two files.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from nonesuch.audit.judges.networks import load_judge
from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import Pixels
from nonesuch.core.weights import load_checkpoint
from nonesuch.embedders.embedder import Embedder
from nonesuch.measures.similarity import normalised

SIZE = 224
_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # of CLIP, for 0..1
_SCALE = 100.0  # CLIP's temperature after training


@dataclass(frozen=True)
class ClipIqa:
    """An image encoder and (2, D) float32 unit embeddings of the good and the bad prompt."""

    encoder: Embedder
    prompts: NDArray[np.float32]

    def scores(self, crops: Pixels) -> NDArray[np.float32]:
        """(N, 112, 112, 3) uint8 RGB -> (N,) in 0..1: softmax(100 cos) of the good prompt against the bad one."""
        good, bad = (normalised(self.encoder.embed(crops)) @ self.prompts.T).T
        return (0.5 + 0.5 * np.tanh(_SCALE / 2 * (good - bad).astype(np.float64))).astype(np.float32)  # the same


def load_clip_iqa(encoder: Path, prompts: Path, device: str = "auto", threads: int = 0) -> ClipIqa:
    """Read both files.

    Raises:
        NonesuchError: see `load_judge`; or the prompts are missing, not vectors of one width, zero or not finite.
    """
    found = load_checkpoint(prompts)
    good, bad = (found.get(name) for name in ("good", "bad"))
    if not isinstance(good, torch.Tensor) or not isinstance(bad, torch.Tensor) or good.numel() != bad.numel():
        raise NonesuchError(f"{prompts}: should hold two tensors of one width, good and bad")
    both = torch.stack([good.flatten(), bad.flatten()]).float().numpy()
    if not (np.isfinite(both).all() and both.any(1).all()):
        raise NonesuchError(f"{prompts}: a prompt's embedding is zero or holds NaN or infinity")
    mean, std = ([255.0 * value for value in values] for values in (_MEAN, _STD))
    return ClipIqa(load_judge(encoder, SIZE, mean, std, both.shape[1], device, threads), normalised(both))
