"""How much of CelebA's 40 attributes a frozen FLIP holds: a linear layer is trained on it and measured."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nonesuch.core import files
from nonesuch.core.arguments import AT_LEAST_1, DTYPE, SEED, Number, checked
from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import AnyPath, as_path, path_or_none
from nonesuch.core.seeding import Stream, derive_seed, permutation
from nonesuch.flip.attribute_probe import AttributeProbe, summarised
from nonesuch.flip.model import FlipModel
from nonesuch.formats.crops import CropReader
from nonesuch.loop.progress import OnProgress, no_progress
from nonesuch.measures.figure import plain
from nonesuch.measures.labels import Rightness, rightness
from nonesuch.models import load_flip, load_perceiver
from nonesuch.perception.attributes import ATTRIBUTES
from nonesuch.perception.labels import labelled

_AT_ONCE = 64  # images
_MOMENTUM = 0.9


@dataclass(frozen=True)
class ProbedAttributes:
    """What the linear layer tells of photographs of the test part.

    Attributes:
        trained, tested: photographs of the two parts.
        probe: by attribute, by the linear layer over FLIP.
        usual: always the more frequent answer of the train part.
        perceiver: the shipped perception heads.
        means: by these three names, the mean over attributes.
    """

    trained: int
    tested: int
    probe: dict[str, Rightness]
    usual: dict[str, Rightness]
    perceiver: dict[str, Rightness]

    @property
    def means(self) -> dict[str, Rightness]:
        """By the names of the three, the mean over the attributes; a balanced one that is not known does not count."""
        parts = {"probe": self.probe, "usual": self.usual, "perceiver": self.perceiver}
        return {name: Rightness(*np.nanmean(list(part.values()), axis=0).tolist()) for name, part in parts.items()}


@checked(epochs=AT_LEAST_1, batch=AT_LEAST_1, lr=Number(0, low_open=True), seed=SEED, dtype=DTYPE)
def probe_attributes(
    source: AnyPath,
    *,
    model: str = "flip_small",
    epochs: int = 100,
    batch: int = 64,
    lr: float = 0.3,
    seed: int = 0,
    json: AnyPath | None = None,
    device: str = "auto",
    dtype: str = "float32",
    on_progress: OnProgress = no_progress,
) -> ProbedAttributes:
    """Train a linear layer for CelebA's 40 attributes on a frozen FLIP, and say how often it is right.

    Its input is a weighted sum of class token, mean and maximum of several layers of the image encoder (FLIP, arXiv
    2407.08515). The loss is binary cross-entropy, by SGD with momentum 0.9 and a rate that falls along a cosine.

    Args:
        source: tar of aligned 112x112 faces, with a table beside it: `file`, `split` (`train`, `test`), 40 attributes.
        model: the text-image model, by name or file.
        epochs, batch, lr: passes over the train part, photographs of a step, the rate at the start. The defaults are
            those published for CelebA; for LFWA they are batch 128 and a rate of 0.003.
        seed: of the order of the photographs and of the first weights.
        json: file for the figures.
        device, dtype: of the network; the linear layer is trained in float32.
        on_progress: told what is being done.

    Raises:
        NonesuchError: the source lacks a part, its table the attributes, or a place cannot be written.

    Example:
        nonesuch.probe_attributes("celeba112.tar").means
    """
    path, written = as_path(source), path_or_none(json)
    files.check_outputs([written] if written else [])
    parts = {split: labelled([path], split) for split in ("train", "test")}
    if not all(np.isfinite(part.attributes).any() for part in parts.values()):
        raise NonesuchError(f"{path}: the table beside it does not name CelebA's 40 attributes")
    flip, perceiver = load_flip(model, device, dtype), load_perceiver(device=device, dtype=dtype)
    read, seen, perceived = CropReader(), {}, []
    for split, part in parts.items():
        summaries = []
        for start in range(0, len(part.photographs), _AT_ONCE):
            crops = read(part.photographs[start : start + _AT_ONCE])
            summaries.append(summarised(flip, crops).half())
            if split == "test":
                told = perceiver.perceive(crops, _AT_ONCE)
                perceived.append(np.stack([told[name] >= 0.5 for name in ATTRIBUTES], axis=1))
            on_progress(f"looking at the {split} part", start + len(crops), len(part.photographs))
        seen[split] = torch.cat(summaries)
    truth = parts["train"].attributes
    probe = _trained(flip, seen["train"], torch.from_numpy(truth), epochs, batch, lr, seed, on_progress)
    with torch.inference_mode():
        said = torch.cat([probe(part.float()) for part in seen["test"].split(4096)]) > 0
    often = np.broadcast_to(np.nanmean(truth, axis=0) > 0.5, said.shape)
    wanted = parts["test"].attributes
    found = ProbedAttributes(
        len(truth),
        len(wanted),
        *(
            dict(zip(ATTRIBUTES, rightness(answers, wanted), strict=True))
            for answers in (said.numpy(), often, np.concatenate(perceived))
        ),
    )
    if written is not None:
        files.write_json(written, _figures(found, flip, path))
    return found


def _trained(
    flip: FlipModel,
    summaries: Tensor,
    truth: Tensor,
    epochs: int,
    batch: int,
    lr: float,
    seed: int,
    on_progress: OnProgress,
) -> AttributeProbe:
    torch.manual_seed(seed)
    count, layers, _, width = summaries.shape
    probe = AttributeProbe(layers, width, len(ATTRIBUTES))
    optimiser = torch.optim.SGD(probe.parameters(), lr=lr, momentum=_MOMENTUM)
    steps = -(-count // batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * steps)
    known = truth.isfinite()
    wanted = truth.nan_to_num()
    for epoch in range(epochs):
        order = torch.from_numpy(permutation(derive_seed(seed, epoch), Stream.SPLIT, count))
        for rows in order.split(batch):
            each = F.binary_cross_entropy_with_logits(probe(summaries[rows].float()), wanted[rows], reduction="none")
            loss = (each * known[rows]).sum() / known[rows].sum().clamp(min=1)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        on_progress(f"training the linear layer over {flip.card.name}", epoch + 1, epochs)
    return probe.eval()


def _figures(found: ProbedAttributes, flip: FlipModel, source: Path) -> dict[str, object]:
    parts = {"probe": found.probe, "usual": found.usual, "perceiver": found.perceiver, "means": found.means}
    told = {name: {key: value._asdict() for key, value in part.items()} for name, part in parts.items()}
    return {"source": str(source), "model": flip.card.sha256, **plain(asdict(found) | told)}
