"""Naming by EM: each name has a mean face, and each face goes to the name of its caption whose mean is like it.

Source: the clustering of "Names and Faces in the News" (Berg et al., CVPR 2004), with one-to-one assignment of each
record's faces and names. Cosines to means are two normal distributions, of the name's own faces and of others'.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nonesuch.language.naming.deciding import ROUNDS, Named, Prior, prior_of, with_prior
from nonesuch.language.naming.names_text import plain_name
from nonesuch.language.naming.records import Record
from nonesuch.measures.naming import NOBODY

_FIRST_OWN, _FIRST_OTHER = (0.6, 0.15), (0.0, 0.12)  # mean and deviation of cosines before anything is known
_LEAST_DEVIATION = 0.02
_MOST_EVIDENCE = 30.0  # nats of one cosine: tails of normal distributions are no certainty
_KEPT = 0.5  # of what was believed a round ago, or two solutions may alternate for ever
_SETTLED = 1e-3  # share of faces that get another name


@dataclass(frozen=True)
class _Pairs:
    """Every face with every name of its caption, P in all.

    Attributes:
        face: (P,) row among the vectors.
        name: (P,) number among all names.
        group: (P,) number of the record and name.
        learned: (P,) whether the record is learned from.
        starts: of each record's pairs, which go face by face; one more at the end.
        names: how many names there are.
    """

    face: NDArray[np.int64]
    name: NDArray[np.int64]
    group: NDArray[np.int64]
    learned: NDArray[np.bool_]
    starts: NDArray[np.int64]
    names: int

    def by_record(self, values: NDArray[np.float64], records: Sequence[Record]) -> list[NDArray[np.float64]]:
        """(P,) values as a table (F, N) of each record."""
        return [
            values[start:end].reshape(len(record.faces), len(record.names))
            for start, end, record in zip(self.starts, self.starts[1:], records, strict=False)
        ]


def name_by_em(
    records: Sequence[Record], units: NDArray[np.float32], on_round: Callable[[int], None] = lambda done: None
) -> Named:
    """Give names to the faces of all records; means come from those that are learned from.

    A name's mean leaves out the record that is judged, or a face would be like itself. A name without other records
    has no mean, and nothing is known of it but the prior.

    Args:
        units: (M, D) vectors of length 1, which the records' faces are rows of.
        on_round: told how many rounds are done, of `ROUNDS` at most.
    """
    pairs = _all_pairs(records)
    vectors = units.astype(np.float64)
    names = np.array([len(record.names) for record in records])
    weight = 1.0 / np.repeat(np.maximum(names, 1), np.diff(pairs.starts))
    own, other, prior = _FIRST_OWN, _FIRST_OTHER, Prior()
    named = Named([], [], [])
    for done in range(ROUNDS):
        cosines = _cosines(pairs, vectors, weight)
        if done:
            known, chosen = ~np.isnan(cosines) & pairs.learned, weight > 0.5
            own, other = _normal(cosines[known & chosen], own), _normal(cosines[known & ~chosen], other)
            prior = prior_of(named.found, records)
        before, named = named, with_prior(pairs.by_record(_evidence(cosines, own, other), records), prior)
        on_round(done + 1)
        if done and _changed(before.found, named.found) <= _SETTLED:
            break
        chosen_now = np.concatenate([_chosen(given, count) for given, count in zip(named.found, names, strict=True)])
        weight = chosen_now if not done else _KEPT * weight + (1.0 - _KEPT) * chosen_now
    return named


def _all_pairs(records: Sequence[Record]) -> _Pairs:
    numbers: dict[str, int] = {}
    face: list[int] = []
    name: list[int] = []
    group: list[int] = []
    learned: list[bool] = []
    starts, groups = [0], 0
    for record in records:
        own = [numbers.setdefault(plain_name(one), len(numbers)) for one in record.names]
        for row in record.faces:
            face += [row] * len(own)
            name += own
            group += range(groups, groups + len(own))
            learned += [record.learned] * len(own)
        groups += len(own)
        starts.append(len(face))
    return _Pairs(
        np.array(face, dtype=np.int64),
        np.array(name, dtype=np.int64),
        np.array(group, dtype=np.int64),
        np.array(learned, dtype=bool),
        np.array(starts, dtype=np.int64),
        len(numbers),
    )


def _cosines(pairs: _Pairs, vectors: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """(P,) of each face to the mean of the name's faces in other records; NaN where there are none."""
    used = np.where(pairs.learned, weight, 0.0)
    groups = int(pairs.group.max(initial=-1)) + 1
    in_group, size = np.zeros((groups, vectors.shape[1])), np.zeros(groups)
    np.add.at(in_group, pairs.group, used[:, None] * vectors[pairs.face])
    np.add.at(size, pairs.group, used)
    name_of = np.zeros(groups, dtype=np.int64)
    name_of[pairs.group] = pairs.name
    whole, count = np.zeros((pairs.names, vectors.shape[1])), np.zeros(pairs.names)
    np.add.at(whole, name_of, in_group)
    np.add.at(count, name_of, size)
    rest = whole[pairs.name] - in_group[pairs.group]
    there = count[pairs.name] - size[pairs.group] > 1e-9
    length = np.where(there, np.maximum(np.linalg.norm(rest, axis=1), 1e-12), np.nan)
    return np.einsum("pd,pd->p", rest, vectors[pairs.face]) / length


def _evidence(
    cosines: NDArray[np.float64], own: tuple[float, float], other: tuple[float, float]
) -> NDArray[np.float64]:
    """(P,) log-likelihood ratios in nats; 0 for a cosine that is not known."""
    ratio = _log_normal(cosines, *own) - _log_normal(cosines, *other)
    return np.where(np.isnan(ratio), 0.0, np.clip(ratio, -_MOST_EVIDENCE, _MOST_EVIDENCE))


def _chosen(given: Sequence[int], names: int) -> NDArray[np.float64]:
    """(F * N,) 1 where a pair was taken."""
    taken = np.zeros((len(given), names))
    for face, name in enumerate(given):
        if name != NOBODY:
            taken[face, name] = 1.0
    return taken.ravel()


def _changed(before: Sequence[Sequence[int]], now: Sequence[Sequence[int]]) -> float:
    """Share of faces that got another name."""
    pairs = [(old, new) for one, other in zip(before, now, strict=True) for old, new in zip(one, other, strict=True)]
    return sum(old != new for old, new in pairs) / max(len(pairs), 1)


def _normal(values: NDArray[np.float64], before: tuple[float, float]) -> tuple[float, float]:
    """Mean and deviation; those of before where there are too few values."""
    if len(values) < 2:
        return before
    return float(values.mean()), max(float(values.std()), _LEAST_DEVIATION)


def _log_normal(values: NDArray[np.float64], mean: float, deviation: float) -> NDArray[np.float64]:
    return -0.5 * ((values - mean) / deviation) ** 2 - np.log(deviation)
