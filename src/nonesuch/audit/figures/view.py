"""What figures are measured from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nonesuch.audit.looking import Seen
from nonesuch.measures.consistency import Consistency


@dataclass(frozen=True)
class EmbedderView:
    """A dataset as one embedder sees it.

    Attributes:
        seen: what was seen in its images.
        name: of the embedder.
        thresholds: cosines of the embedder's FMRs, by what they are called in audit.json.
        consistency: each image against the identities.
    """

    seen: Seen
    name: str
    thresholds: Mapping[str, float]
    consistency: Consistency

    @property
    def vectors(self) -> NDArray[np.float32]:
        """(N, D) raw embeddings of the images."""
        return self.seen.vectors[self.name]


@dataclass(frozen=True)
class ImageView:
    """A dataset's images, whatever the embedder.

    Attributes:
        seen: what was seen in them.
        target: by grouping, wanted share by group; see `check_target`.
        judged: columns of measures of quality whose files a user supplies.
    """

    seen: Seen
    target: Mapping[str, Mapping[str, float]]
    judged: Sequence[str] = ()
