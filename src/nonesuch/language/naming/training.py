"""SECLA's training on records: one stage, or SECLA-B's two, the easy records first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nonesuch.language.naming.losses import alignment_losses
from nonesuch.language.naming.network import NamingTowers
from nonesuch.loop.runs import Recipe
from nonesuch.loop.trainer import Batch, Player


@dataclass(frozen=True, kw_only=True)
class NamingRecipe(Recipe):
    """How the towers are trained.

    Attributes:
        epochs: passes over the records.
    """

    batch: int = 64
    lr: float = 1e-3
    epochs: float

    def images_over(self, size: int) -> int:
        """So many passes."""
        return max(round(self.epochs * size), 1)

    def settings_for(self, images: int) -> dict[str, Any]:
        """The published weight decay."""
        return {"weight_decay": 0.1}


@dataclass(frozen=True)
class Learned:
    """One record as it is learned from.

    Attributes:
        faces: rows of its faces.
        names: rows of its names.
    """

    faces: tuple[int, ...]
    names: tuple[int, ...]

    @property
    def certain(self) -> bool:
        """Whether it is easy: one face and one name."""
        return len(self.faces) == len(self.names) == 1


@dataclass(frozen=True)
class Vectors:
    """What the towers read, as they read it.

    Attributes:
        faces: (M, D) float32, of a mean square of 1.
        names: (N + 1, T) float32; the last row is the null name's.
    """

    faces: NDArray[np.float32]
    names: NDArray[np.float32]

    @property
    def null_name(self) -> int:
        """Row of the null name."""
        return len(self.names) - 1


class NamingSamples:
    """Records as padded batches.

    Args:
        known: for SECLA-B's second stage: of names, their face (D,) as certain records show it.
    """

    def __init__(
        self, records: Sequence[Learned], vectors: Vectors, known: dict[int, NDArray[np.float32]] | None = None
    ) -> None:
        self.records, self.vectors, self.known = list(records), vectors, known

    def __len__(self) -> int:
        return len(self.records)

    def load(self, indices: NDArray[np.int64], seeds: list[int]) -> Batch:
        """faces (B, F, D) with face_there (B, F); names (B, N, T) with name_there, the null name first; where faces of
        names are known also known (B, K, D) with known_there, in which K may be 0. Nothing is drawn.
        """
        part = [self.records[index] for index in indices]
        faces, face_there = padded([self.vectors.faces[list(record.faces)] for record in part])
        rows = [[self.vectors.null_name, *record.names] for record in part]
        names, name_there = padded([self.vectors.names[row] for row in rows])
        batch = {"faces": faces, "face_there": face_there, "names": names, "name_there": name_there}
        if self.known is not None:
            width = self.vectors.faces.shape[1]
            of_names = [[self.known[name] for name in record.names if name in self.known] for record in part]
            stacked = [np.stack(one) if one else np.zeros((0, width), dtype=np.float32) for one in of_names]
            batch["known"], batch["known_there"] = padded(stacked)
        return batch


def padded(parts: Sequence[NDArray[np.float32]]) -> tuple[Tensor, Tensor]:
    """(K, D) arrays of different K as (B, most, D) with zeros behind, and (B, most) bool of what is there."""
    most = max(len(part) for part in parts)
    whole = np.zeros((len(parts), most, parts[0].shape[1]), dtype=np.float32)
    there = np.zeros((len(parts), most), dtype=bool)
    for row, part in enumerate(parts):
        whole[row, : len(part)], there[row, : len(part)] = part, True
    return torch.from_numpy(whole), torch.from_numpy(there)


class NamingTask:
    """The towers and SECLA's losses; SECLA-B's where batches hold faces that are known."""

    def __init__(self, towers: NamingTowers) -> None:
        self.towers = towers

    @property
    def players(self) -> list[Player]:
        """The towers alone."""
        return [Player(self.towers, self.losses)]

    def losses(self, batch: Batch, seen: int) -> dict[str, Tensor]:
        """Loss terms of one batch of `NamingSamples`.

        In SECLA-B's second stage each image also has the null face, for the names whose face is elsewhere, and each
        image's faces are held against the known faces of its caption's names, with the null face for the other names.
        """
        there = batch["face_there"]
        faces = _through(self.towers.of_faces, batch["faces"], there)
        names = _through(self.towers.of_names, batch["names"], batch["name_there"])
        if "known" not in batch:
            return _in_float32(faces, names, there, batch["name_there"])
        null = self.towers.of_faces(self.towers.null_face[None]).expand(len(faces), 1, -1)
        always = there.new_ones(len(faces), 1)
        with_null = torch.cat([null, faces], 1), torch.cat([always, there], 1)
        known = torch.cat([null, _through(self.towers.of_faces, batch["known"], batch["known_there"])], 1)
        known_there = torch.cat([always, batch["known_there"]], 1)
        against_known = _in_float32(faces, known, there, known_there)
        return {
            **_in_float32(with_null[0], names, with_null[1], batch["name_there"]),
            **{f"known_{name}": value for name, value in against_known.items()},
        }


def known_faces(records: Sequence[Learned], faces: NDArray[np.float32]) -> dict[int, NDArray[np.float32]]:
    """Of each name in a certain record its mean face, at the length of the other faces.

    Args:
        faces: (M, D), of a mean square of 1.
    """
    shown: dict[int, list[int]] = {}
    for record in records:
        if record.certain:
            shown.setdefault(record.names[0], []).append(record.faces[0])
    means = {name: faces[rows].mean(0) for name, rows in shown.items()}
    return {name: mean / max(float(np.sqrt(np.square(mean).mean())), 1e-12) for name, mean in means.items()}


def _through(tower: Callable[[Tensor], Tensor], vectors: Tensor, there: Tensor) -> Tensor:
    """(B, K, D) through a tower, with zeros for padding, which is two thirds of all names and would cost as much."""
    found = tower(vectors[there])
    whole = found.new_zeros(*there.shape, found.shape[-1])
    whole[there] = found
    return whole


def _in_float32(faces: Tensor, names: Tensor, face_there: Tensor, name_there: Tensor) -> dict[str, Tensor]:
    """The losses without mixed precision: differences of scores are what they are made of."""
    with torch.autocast(faces.device.type, enabled=False):
        return alignment_losses(faces.float(), names.float(), face_there, name_there)
