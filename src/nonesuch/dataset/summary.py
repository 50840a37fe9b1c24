"""A short look at a finished dataset: are identities consistent, and are they kept apart?"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nonesuch.embedders.embedder import Embedder
from nonesuch.formats.dataset import IdentityImages
from nonesuch.measures.grouping import group_means
from nonesuch.measures.metrics import equal_error_rate
from nonesuch.measures.similarity import nearest, normalised


@dataclass(frozen=True)
class Summary:
    """Figures of a sample of identities, as one embedder sees them.

    Attributes:
        embedder: its name.
        consistency: mean cosine between an identity's vector and its images, None where the vectors are another's.
        mated, non_mated: mean cosine between images of one identity, and between images of two.
        eer: equal error rate of the two.
        kept_apart: share of identities whose mean embedding has a cosine of at most the threshold to every other's;
            None where the embedder's threshold is not known.
    """

    embedder: str
    consistency: float | None
    mated: float
    non_mated: float
    eer: float
    kept_apart: float | None


def summarise(
    identities: list[IdentityImages],
    embedder: Embedder,
    made_the_vectors: bool,
    fmr: float,
    on_image: Callable[[int], None] = lambda done: None,
) -> Summary:
    """Embed the sample and compare every image with every other.

    Args:
        identities: at least two, of at least two images each.
        made_the_vectors: whether the identities' vectors are this embedder's.
        fmr: false match rate of the threshold.
        on_image: told how many images are embedded.
    """
    places = np.repeat(np.arange(len(identities)), [len(identity.images) for identity in identities])
    parts = []
    for identity in identities:
        parts.append(embedder.embed(identity.images))
        on_image(sum(map(len, parts)))
    raw = np.concatenate(parts)
    unit = normalised(raw)
    cosines = unit @ unit.T
    upper = np.triu_indices(len(unit), 1)
    same = places[upper[0]] == places[upper[1]]
    mated, non_mated = cosines[upper][same], cosines[upper][~same]
    means = group_means(raw, places, np.float32)
    closest, _ = nearest(means, means, same=True)
    threshold = embedder.card.known_threshold(fmr)
    consistency = None
    if made_the_vectors:
        bases = normalised(np.stack([identity.vector for identity in identities]))
        consistency = float((unit * bases[places]).sum(1).mean())
    return Summary(
        embedder.name,
        consistency,
        float(mated.mean()),
        float(non_mated.mean()),
        equal_error_rate(mated, non_mated),
        None if threshold is None else float((closest <= threshold).mean()),
    )
