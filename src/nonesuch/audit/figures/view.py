"""What figures are measured from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nonesuch.audit.looking import Seen
from nonesuch.audit.reference import Reference
from nonesuch.captions.analysis.relevance import RelevanceJudge
from nonesuch.core.errors import NonesuchError
from nonesuch.embedders.embedder import Embedder
from nonesuch.formats.source import Source
from nonesuch.loop.progress import OnProgress, no_progress
from nonesuch.measures.consistency import Consistency
from nonesuch.measures.leakage import Search

NO_PHOTOGRAPHS = "no photographs to compare with; give those that the generator learned from as --against"
NO_CONTROL = "no control; give people whom the generator never saw as --held-out or --control"
NO_INCEPTION = "Inception was not given (--inception)"


@dataclass(frozen=True)
class EmbedderView:
    """A dataset as one embedder sees it.

    Attributes:
        seen: what was seen in its images.
        name: of the embedder.
        thresholds: cosines of the embedder's FMRs, by what they are called in audit.json.
        consistency: each image against the identities.
        reference: real photographs, None where there are none.
        nearest: each image among the training photographs, None where there are none.
    """

    seen: Seen
    name: str
    thresholds: Mapping[str, float]
    consistency: Consistency
    reference: Reference | None = None
    nearest: Search | None = None

    @property
    def vectors(self) -> NDArray[np.float32]:
        """(N, D) raw embeddings of the images."""
        return self.seen.vectors[self.name]


@dataclass(frozen=True)
class ImageView:
    """A dataset's images, whatever the embedder.

    Attributes:
        source: where they were found.
        seen: what was seen in them.
        target: by grouping, wanted share by group; see `check_target`.
        judged: columns of measures of quality whose files a user supplies.
        reference: real photographs, None where there are none.
        inception: the network of the FID, None where it was not given.
        text_image: what tells how well captions fit, None where it was not given.
        on_step: told what is being done.
    """

    source: Source
    seen: Seen
    target: Mapping[str, Mapping[str, float]]
    judged: Sequence[str] = ()
    reference: Reference | None = None
    inception: Embedder | None = None
    text_image: RelevanceJudge | None = None
    on_step: OnProgress = no_progress


def photographs_of(view: EmbedderView | ImageView) -> Reference:
    """The real photographs.

    Raises:
        NonesuchError: there are none, with how to give them.
    """
    if view.reference is None:
        raise NonesuchError(NO_PHOTOGRAPHS)
    return view.reference


def control_of(view: EmbedderView | ImageView) -> Seen:
    """The photographs of people whom the generator never saw; errors likewise."""
    if (control := photographs_of(view).control) is None:
        raise NonesuchError(NO_CONTROL)
    return control
