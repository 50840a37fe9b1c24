"""How much signal is left at each time of a diffusion, and the times that a sampler visits.

Source: DDPM (arXiv 2006.11239) for the linear schedule, improved DDPM (arXiv 2102.09672) for the cosine one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

TIMES = 1000
Schedule = Literal["linear", "cosine", "scaled_linear"]
Prediction = Literal["noise", "velocity"]  # what a U-Net gives (velocity: arXiv 2202.00512)
_COSINE_OFFSET = 0.008
_MOST_BETA = 0.999


def linear(first: float = 1e-4, last: float = 0.02) -> NDArray[np.float64]:
    """(1000,) shares of signal variance, alpha-bar; beta grows linearly, as published for DDPM and IDiff-Face."""
    return np.cumprod(1.0 - np.linspace(first, last, TIMES), dtype=np.float64)


def scaled_linear(first: float = 0.00085, last: float = 0.012) -> NDArray[np.float64]:
    """(1000,) shares of signal variance; the square root of beta grows linearly, as in Stable Diffusion 1."""
    return np.cumprod(1.0 - np.linspace(first**0.5, last**0.5, TIMES) ** 2, dtype=np.float64)


def cosine() -> NDArray[np.float64]:
    """(1000,) shares of signal variance; a squared cosine, beta at most 0.999."""
    angles = (np.arange(TIMES + 1) / TIMES + _COSINE_OFFSET) / (1.0 + _COSINE_OFFSET) * np.pi / 2.0
    shares = np.cos(angles) ** 2
    return np.cumprod(1.0 - np.minimum(1.0 - shares[1:] / shares[:-1], _MOST_BETA))


SCHEDULES: dict[Schedule, Callable[[], NDArray[np.float64]]] = {
    "linear": linear,
    "cosine": cosine,
    "scaled_linear": scaled_linear,
}


@dataclass(frozen=True)
class Visits:
    """The times that a sampler visits, noisiest first, and where each step leads.

    Attributes:
        times: (S,) what the network is told.
        signal: (S + 1,) alpha-bar at each of them, and after the last step: 1, no noise.
    """

    times: NDArray[np.float64]
    signal: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.times)


def visits(signal: NDArray[np.float64], steps: int) -> Visits:
    """Evenly spaced times from the noisiest to the cleanest.

    Args:
        signal: (T,) alpha-bar of every time.
        steps: 1 to T; T visits every time.
    """
    return visits_of(signal, np.linspace(len(signal) - 1, 0, steps))


def visits_short_of_clean(signal: NDArray[np.float64], steps: int) -> Visits:
    """Evenly spaced times from the noisiest on, of which time 0 would be the next one.

    A sampler of second order needs them: on the way to time 0, where nearly no noise is left, it would extrapolate a
    long way from two times that lie close together.
    """
    return visits_of(signal, np.linspace(len(signal) - 1, 0, steps + 1)[:-1])


def visits_of(signal: NDArray[np.float64], times: NDArray[np.float64]) -> Visits:
    """The visits of given times, noisiest first, with a last step that leads to no noise.

    Times are rounded to whole ones; those that are then equal are visited once.
    """
    whole = np.unique(times.round().astype(np.int64))[::-1]
    return Visits(whole.astype(np.float64), np.append(signal[whole], 1.0))
