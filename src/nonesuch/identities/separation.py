"""A growing set of vectors that no two of are too much alike, checked exactly and without a full matrix."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nonesuch.core.devices import exact
from nonesuch.measures.similarity import normalised

ROUGH = 1e-4  # float32 and rough draws change no cosine by as much

_BLOCK = 8192  # members compared at once
_CLUSTERS, _PROBED = 64, 12
_WORTH_CLUSTERS = 16_384  # members from which on clusters pay
_GROWTH = 1.25  # members are put into clusters anew when there are so many times as many


@dataclass(frozen=True)
class Screening:
    """What comparing candidates with all members showed.

    Attributes:
        rows: (S,) int64 candidates that may stay: no member is surely too much like them.
        doubtful: (P, 2) int64 candidate and member of each pair whose cosine is too near the limit to tell.
        nearest: (S,) int64 the member most like each; -1 where there are no members.
    """

    rows: NDArray[np.int64]
    doubtful: NDArray[np.int64]
    nearest: NDArray[np.int64]


class Separation:
    """Vectors of which no two have a cosine above `max_cosine`.

    Candidates are screened in float32 against the members of the clusters that are nearest to them, and then against
    all, and leave as soon as one is surely too much alike: few are compared with many. Whoever is left has been
    compared with every member. Pairs within `ROUGH` of the limit are decided in float64, so neither the order of the
    comparisons nor the device changes who stays.

    Args:
        max_cosine: the largest cosine allowed.
        device: where candidates are screened.
    """

    def __init__(self, max_cosine: float, device: torch.device | str = "cpu") -> None:
        self.max_cosine, self.device = max_cosine, torch.device(device)
        self.closest = -1.0  # cosine of any two members, among those that `admit` let in
        self.members = np.empty((0, 0), dtype=np.float32)
        self._count = self._clustered = 0
        self._unit = torch.empty(0, 0)
        self._member = torch.empty(0, dtype=torch.int64)
        self._centres = torch.empty(0, 0)
        self._starts: list[int] = []

    def __len__(self) -> int:
        return self._count

    @property
    def vectors(self) -> NDArray[np.float32]:
        """(N, D) the members, raw, in the order in which they joined."""
        return self.members[: self._count]

    def screened(self, candidates: NDArray[np.float32]) -> Screening:
        """Which of (N, D) candidates may join, as far as members go.

        The candidates may be off by as much as changes no cosine by more than half of `ROUGH`; `join` decides.
        """
        unit = torch.from_numpy(normalised(candidates)).to(self.device)
        with exact():
            return self._screened(unit)

    def _screened(self, unit: Tensor) -> Screening:
        alive = self._probed(unit)
        best = torch.full((len(unit),), -2.0, device=self.device)
        nearest = torch.full((len(unit),), -1, dtype=torch.int64, device=self.device)
        doubtful = []
        for start in range(0, self._count, _BLOCK):
            cosines = unit[alive] @ self._unit[start : min(start + _BLOCK, self._count)].T
            highest = cosines.amax(1)
            stay = highest <= self.max_cosine + ROUGH
            alive, cosines, highest = alive[stay], cosines[stay], highest[stay]
            if not len(alive):
                break
            better = highest > best[alive]
            best[alive[better]] = highest[better]
            nearest[alive[better]] = self._member[cosines[better].argmax(1) + start]
            unsure = highest > self.max_cosine - ROUGH
            row, column = (cosines[unsure] > self.max_cosine - ROUGH).nonzero(as_tuple=True)
            doubtful.append(torch.stack([alive[unsure][row], self._member[column + start]], dim=1))
        pairs = torch.cat(doubtful) if doubtful else torch.empty(0, 2, dtype=torch.int64)
        return Screening(alive.cpu().numpy(), pairs.cpu().numpy(), nearest[alive].cpu().numpy())

    def fit(self, candidates: NDArray[np.float32], found: Screening) -> NDArray[np.bool_]:
        """(S,) which of the (S, D) exact candidates that `screened` left no member is too much like."""
        fit = np.ones(len(candidates), dtype=bool)
        pairs = found.doubtful[np.isin(found.doubtful[:, 0], found.rows)]
        at = np.searchsorted(found.rows, pairs[:, 0])
        fit[at[_cosines(candidates[at], self.members[pairs[:, 1]]) > self.max_cosine]] = False
        return fit

    def admit(
        self,
        candidates: NDArray[np.float32],
        nearest: NDArray[np.int64],
        groups: NDArray[np.int64],
        room: NDArray[np.int64],
    ) -> NDArray[np.bool_]:
        """Let those of (S, D) candidates that fit all members join, in order, unless an earlier one is too much alike.

        Args:
            nearest: (S,) the member most like each, as `screened` says.
            groups: (S,) to which group each belongs.
            room: (G,) how many of each group may join; less by those who do.

        Returns:
            (S,) who joined.
        """
        unit = candidates.astype(np.float64)
        unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-300)
        cosines = unit @ unit.T
        close = cosines > self.max_cosine
        joins = np.zeros(len(unit), dtype=bool)
        for row, group in enumerate(groups):
            joins[row] = room[group] > 0 and not np.any(close[row, :row] & joins[:row])
            room[group] -= joins[row]
        old = joins & (nearest >= 0)
        among = np.tril(cosines[np.ix_(joins, joins)], -1)[np.tril_indices(int(joins.sum()), -1)]
        to_old = _cosines(candidates[old], self.members[nearest[old]])
        self.closest = max(self.closest, float(among.max(initial=-1.0)), float(to_old.max(initial=-1.0)))
        self.join(candidates[joins])
        return joins

    def join(self, vectors: NDArray[np.float32]) -> None:
        """Make (N, D) vectors members, unchecked."""
        count, width = vectors.shape
        if not count:
            return
        if self._count + count > len(self.members):
            self._make_room(max(self._count + count, 2 * len(self.members)), width)
        rows = slice(self._count, self._count + count)
        self.members[rows] = vectors
        self._unit[rows] = torch.from_numpy(normalised(vectors)).to(self.device)
        self._member[rows] = torch.arange(rows.start, rows.stop, device=self.device)
        self._count += count
        if self._count >= max(_WORTH_CLUSTERS, _GROWTH * self._clustered):
            self._cluster()

    def _make_room(self, rows: int, width: int) -> None:
        members = np.empty((rows, width), dtype=np.float32)
        members[: self._count] = self.members[: self._count].reshape(self._count, width)
        self.members = members
        unit = torch.empty(rows, width, device=self.device)
        unit[: self._count] = self._unit[: self._count].reshape(self._count, width)
        self._unit = unit
        member = torch.empty(rows, dtype=torch.int64, device=self.device)
        member[: self._count] = self._member[: self._count]
        self._member = member

    def _cluster(self) -> None:
        """Sort the members by the nearest of some of them."""
        unit, count = self._unit[: self._count], self._count
        self._centres = unit[:: -(-count // _CLUSTERS)].clone()
        cluster = torch.cat([(rows @ self._centres.T).argmax(1) for rows in unit.split(_BLOCK)])
        order = cluster.argsort(stable=True)
        self._unit[:count], self._member[:count] = unit[order], self._member[:count][order]
        sizes = torch.bincount(cluster, minlength=len(self._centres))
        self._starts = [0, *sizes.cumsum(0).tolist()]
        self._clustered = count

    def _probed(self, unit: Tensor) -> Tensor:
        """(S,) those of (N, D) candidates that no member of their nearest clusters is surely too much like."""
        alive = torch.arange(len(unit), device=self.device)
        if not self._clustered:
            return alive
        probes = (unit @ self._centres.T).topk(min(_PROBED, len(self._centres))).indices
        for probe in probes.T:
            if not len(alive):
                break
            cluster, order = probe[alive].sort(stable=True)
            alive = alive[order]
            sizes = torch.bincount(cluster, minlength=len(self._centres)).tolist()
            left = []
            for rows, start, stop in zip(alive.split(sizes), self._starts[:-1], self._starts[1:], strict=True):
                if len(rows) and stop > start:
                    rows = rows[(unit[rows] @ self._unit[start:stop].T).amax(1) <= self.max_cosine + ROUGH]
                left.append(rows)
            alive = torch.cat(left)
        return alive.sort().values


def _cosines(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N,) the cosine of each row of two (N, D) sets."""
    if not len(one):
        return np.empty(0)
    products = np.einsum("nd,nd->n", one, other, dtype=np.float64)
    lengths = np.linalg.norm(one.astype(np.float64), axis=1) * np.linalg.norm(other.astype(np.float64), axis=1)
    return products / np.maximum(lengths, 1e-300)
