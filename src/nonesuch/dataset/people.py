"""Who a dataset shows: sampled people, a table of vectors, or photographs of real people."""

from dataclasses import dataclass
from pathlib import Path

from nonesuch.core.errors import NonesuchError
from nonesuch.dataset.vector_sources import VectorSource, from_photographs, from_table, sampled
from nonesuch.generators.generator import Generator
from nonesuch.identities.source import SamplingOptions, identity_source
from nonesuch.loop.progress import OnProgress
from nonesuch.models import load_detector, load_embedder_of, shipped_embedder_card, weights_path
from nonesuch.steering.least_age import LeastAge

_IDENTITIES = 100


@dataclass(frozen=True)
class People:
    """What a user may say about who is shown; see `generate_dataset`.

    Raises:
        NonesuchError: points that contradict one another.
    """

    identities: int | None
    reference: Path | None
    embedder: str | None
    vectors: Path | None
    sampling: SamplingOptions
    min_age: float | None

    def __post_init__(self) -> None:
        if self.embedder is not None and self.reference is None:
            raise NonesuchError("--embedder goes with --reference only")
        if self.reference is not None and self.vectors is not None:
            raise NonesuchError("--reference and --vectors: give only one of them")
        if self.reference is None and self.vectors is None:
            return
        of_sampled = {
            "--min-age": self.min_age,
            "--identities": self.identities,
            "--sampling": self.sampling.sampling,
            "--statistics": self.sampling.statistics_file,
            "--max-similarity": self.sampling.max_similarity,
            "--fmr": self.sampling.fmr,
        }
        for name, value in of_sampled.items():
            if value is not None:
                raise NonesuchError(f"{name} is about sampled identities; leave it out with --reference or --vectors")

    def source(
        self,
        model: Generator,
        generator: str,
        seed: int,
        least_age: LeastAge | None,
        on_progress: OnProgress,
    ) -> VectorSource:
        """The source of their vectors, not yet fetched.

        Args:
            model, generator: the generator that decodes the vectors, and the name that it was given by.
            seed: of sampled identities.
            least_age: filter of sampled identities.
            on_progress: told how many photographs have been read for their hash.
        """
        if self.reference is not None:
            device = str(model.device)
            return from_photographs(
                self.reference,
                load_embedder_of(model.card, self.embedder, device),
                load_detector(device),
                lambda done, total: on_progress("reading photographs", done, total),
            )
        if self.vectors is not None:
            return from_table(self.vectors, model.card)
        known = shipped_embedder_card(model.card.embedder, model.card.embedder_sha256)
        drawn = identity_source(model.card, weights_path(generator), known, self.sampling)
        return sampled(drawn, _IDENTITIES if self.identities is None else self.identities, seed, least_age)
