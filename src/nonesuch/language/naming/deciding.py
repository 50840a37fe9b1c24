"""From evidence on faces and names to one name for each face: priors that are found out on the way, and assignment."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nonesuch.language.naming.assignment import one_to_one
from nonesuch.language.naming.records import Record
from nonesuch.measures.naming import NOBODY

ROUNDS = 30  # at most; fewer where no assignment changes any more
_OF_TOWERS = 0.5  # weight of the towers' evidence beside that of mean faces
_SHARES = (0.01, 0.99)  # within which shares are believed


@dataclass(frozen=True)
class Prior:
    """What is believed of a record before its faces are looked at.

    Attributes:
        pictured: share of the names whose face is in the image.
        nameless: faces without a name, in the mean record.
    """

    pictured: float = 0.5
    nameless: float = 0.2

    @property
    def log_odds(self) -> float:
        """Nats for a face and a name belonging together: the name is pictured, and one nameless face fewer is."""
        return float(np.log(self.pictured / (1.0 - self.pictured)) - np.log(self.nameless))


@dataclass(frozen=True)
class Named:
    """The names of all records' faces.

    Attributes:
        found: of each record, for each face the number of its name within the caption, or `NOBODY`.
        gains: of each record, (F, N) log-odds in nats of each face being each name's, over being nobody's.
        evidence: the same without the prior: log-likelihood ratios, 0 where nothing is known.
    """

    found: list[list[int]]
    gains: list[NDArray[np.float64]]
    evidence: list[NDArray[np.float64]]

    def score(self, record: int, face: int) -> float:
        """The log-odds of a face's name; of the best one where it got none, NaN where there is no name."""
        gains = self.gains[record][face]
        name = self.found[record][face]
        return float(gains[name]) if name != NOBODY else float(gains.max(initial=-np.inf)) if len(gains) else np.nan


def with_prior(evidence: Sequence[NDArray[np.float64]], prior: Prior) -> Named:
    """Name all faces, each name at most once in a record.

    Args:
        evidence: of each record, (F, N) log-likelihood ratios in nats; 0 where nothing is known.
    """
    gains = [one + prior.log_odds for one in evidence]
    return Named([one_to_one(one) for one in gains], gains, list(evidence))


def prior_of(found: Sequence[Sequence[int]], records: Sequence[Record]) -> Prior:
    """The prior that the names given in the records that are learned from speak for."""
    learned = [(given, record) for given, record in zip(found, records, strict=True) if record.learned and record.faces]
    given = sum(name != NOBODY for names, _ in learned for name in names)
    pictured = given / max(sum(len(record.names) for _, record in learned), 1)
    nameless = (sum(len(record.faces) for _, record in learned) - given) / max(len(learned), 1)
    return Prior(float(np.clip(pictured, *_SHARES)), float(max(nameless, _SHARES[0])))


def decided(evidence: Sequence[NDArray[np.float64]], records: Sequence[Record]) -> Named:
    """Name all faces by a prior that agrees with the names given; arguments as in `with_prior`."""
    prior = Prior()
    named = with_prior(evidence, prior)
    for _ in range(ROUNDS):
        before, prior = prior, prior_of(named.found, records)
        if prior == before:
            break
        named = with_prior(evidence, prior)
    return named


def combined(by_means: Named, by_towers: Named, records: Sequence[Record]) -> Named:
    """Name all faces by two kinds of evidence on the same records, of which the second counts half.

    Mean faces know people who come back, names' characters tell something of those who do not. Both saw the same
    records, so their evidence is not independent, and all of it would count too much.
    """
    pairs = zip(by_means.evidence, by_towers.evidence, strict=True)
    return decided([means + _OF_TOWERS * towers for means, towers in pairs], records)
