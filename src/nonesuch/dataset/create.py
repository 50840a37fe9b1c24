"""The main job: a plan, its images, and the manifest that vouches for both."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nonesuch.core import files, locks
from nonesuch.core.errors import NonesuchError
from nonesuch.core.locks import CLAIMS, LOCK
from nonesuch.core.notices import notice
from nonesuch.dataset.part import ALL, Part
from nonesuch.dataset.planning import write_plan
from nonesuch.dataset.rendering import RenderSettings, render_missing
from nonesuch.dataset.shards import Shards, finish
from nonesuch.dataset.vector_sources import VectorSource
from nonesuch.dataset.workers.crew import Crew, RenderTask, render_by
from nonesuch.formats import manifest as manifests
from nonesuch.formats.manifest import MANIFEST, Manifest
from nonesuch.formats.plan import IDENTITIES, PLAN
from nonesuch.generators.generator import Generator, check_identity_vectors
from nonesuch.steering.steerer import Steerer


@dataclass(frozen=True)
class DatasetRequest:
    """What a dataset should hold.

    Attributes:
        images_per_identity: at least 1.
        sigma_mix: share of an identity's images by sigma.
        seed: of all images.
        images_per_shard: a shard holds as many whole identities as fit.
        vectors: where the identities' vectors come from.
    """

    images_per_identity: int
    sigma_mix: Mapping[float, float]
    seed: int
    images_per_shard: int
    vectors: VectorSource

    def options(self) -> dict[str, Any]:
        """What determines the plan, as the manifest keeps it."""
        return {
            **self.vectors.record,
            "images_per_identity": self.images_per_identity,
            "sigma_mix": {str(sigma): round(share, 9) for sigma, share in self.sigma_mix.items()},
            "seed": self.seed,
            "images_per_shard": self.images_per_shard,
        }


def create_dataset(
    folder: Path,
    request: DatasetRequest,
    generator: Generator,
    settings: RenderSettings,
    workers: int,
    on_progress: Callable[[str, int, int], None] = lambda what, done, total: None,
    steerer: Steerer | None = None,
    part: Part = ALL,
    crew: tuple[Crew, RenderTask] | None = None,
) -> tuple[Manifest, int, float]:
    """Plan and render a dataset, or resume one that was interrupted, or help other processes that do.

    Args:
        folder: new, empty, or holding the same dataset.
        request: what it should hold.
        generator: makes the images.
        settings: of the rendering.
        workers: threads.
        on_progress: told what is being done, how much of it is done, and how much there is (0 if unknown).
        steerer: steers each image to what its seed draws from the wishes; the dataset gets the columns `steering`.
        part: the shards that are this call's business.
        crew: worker processes that render in place of this one, and their task.

    Returns:
        The manifest, complete if all shards are there; the number of images that this call rendered, and the seconds it
        took to render and write them.

    Raises:
        NonesuchError: bad counts or vectors, a folder that holds something else or the same with other options,
            another command at work there, or a full disk. Complete shards stay as they are.
    """
    if workers < 1:
        raise NonesuchError("--workers must be at least 1")
    with _planned_together(folder, request, generator, settings, on_progress, steerer, part) as (manifest, has_locks):
        shards = Shards(folder, manifest, generator, steerer)
        if manifest.complete and shards.missing(range(shards.plan.shards)):
            with manifests.locked_briefly(folder):
                manifests.write(folder, dataclasses.replace(manifest, complete=False, shards=[], environments=[]))
        total = shards.images(part.shards(shards.plan.shards))

        def on_image(done: int) -> None:
            on_progress("rendering" if steerer is None else "steering", done, total)

        started = time.monotonic()
        if crew is None:
            rendered = render_missing(shards, generator, settings, workers, on_image, steerer, part)
        else:
            rendered = render_by(*crew, shards, has_locks, on_image)
        seconds = time.monotonic() - started
        manifest = finish(shards)
    return manifest, rendered, seconds


def plan_dataset(
    folder: Path,
    request: DatasetRequest,
    generator: Generator,
    settings: RenderSettings,
    on_progress: Callable[[str, int, int], None] = lambda what, done, total: None,
    steerer: Steerer | None = None,
) -> Manifest:
    """Plan a dataset and render nothing; `create_dataset` continues from there. Arguments and errors as there."""
    with _planned_together(folder, request, generator, settings, on_progress, steerer, ALL) as (manifest, _):
        return manifest


@contextmanager
def _planned_together(
    folder: Path,
    request: DatasetRequest,
    generator: Generator,
    settings: RenderSettings,
    on_progress: Callable[[str, int, int], None],
    steerer: Steerer | None,
    part: Part,
) -> Iterator[tuple[Manifest, bool]]:
    """Inside the block the dataset is planned and its plan stays; a folder that was made goes again with bad input.

    Yields the manifest, and whether the file system has locks.
    """
    with files.made_folder(folder, LOCK), contextlib.ExitStack() as held:
        _check_request(folder, request, settings)
        with manifests.locked_briefly(folder) as has_locks:
            if part != ALL and not has_locks and not manifests.is_dataset(folder):
                raise NonesuchError(f"{folder}: a file system without locks; write the plan first, with --plan-only")
            manifest = _planned(folder, request, generator, settings, on_progress, steerer)
            if has_locks:
                held.enter_context(locks.present(folder))
        manifests.check_plan(folder, manifest)
        yield manifest, has_locks


def _check_request(folder: Path, request: DatasetRequest, settings: RenderSettings) -> None:
    if request.images_per_identity < 1:
        raise NonesuchError(f"--images {request.images_per_identity}: give a number of at least 1")
    if request.images_per_shard < 1 or settings.micro_batch < 1:
        raise NonesuchError("--shard-images and --micro-batch must be at least 1")
    ours = (LOCK, CLAIMS, PLAN, IDENTITIES, *(() if _holds_shards(folder) else ("shards",)))
    if not manifests.is_dataset(folder) and any(
        path.name not in ours and not files.is_half_written(path) for path in folder.iterdir()
    ):
        raise NonesuchError(f"{folder}: holds other files and no dataset; name a new or empty folder")


def _planned(
    folder: Path,
    request: DatasetRequest,
    generator: Generator,
    settings: RenderSettings,
    on_progress: Callable[[str, int, int], None],
    steerer: Steerer | None,
) -> Manifest:
    """The manifest in the folder, or a new one behind a new plan."""
    card = generator.card
    record: dict[str, Any] = {
        "description": manifests.REAL_PEOPLE if request.vectors.shows_real_people else manifests.NO_ONE,
        "shows_real_people": request.vectors.shows_real_people,
        "options": request.options() | ({"steering": steerer.record()} if steerer else {}),
        "generator": {
            "name": card.name,
            "sha256": card.sha256,
            "embedder": card.embedder,
            "embedder_sha256": card.embedder_sha256,
            "licence": card.licence,
        },
        "render": settings.as_record(),
        "licence": card.licence,
    }
    if manifests.is_dataset(folder):
        old = manifests.read(folder)
        if old.made_from:
            made_by = old.options.get("made_by")
            raise NonesuchError(f"{folder}: holds a dataset that 'nonesuch {made_by}' made; name another folder")
        new = dataclasses.replace(old, **record)
        if old.complete or _holds_shards(folder) or locks.claimed(folder):
            manifests.check_same(folder, old, new)
        if manifests.have_one_plan(old, new):
            if new != old:
                manifests.write(folder, new)
            return new
        notice(f"{folder}: its plan, of which no image was made, is replaced")
        (folder / MANIFEST).unlink()  # first, so that it never stands beside another plan
    names, vectors = request.vectors.fetch(lambda done, total: on_progress("identities", done, total))
    check_identity_vectors(vectors, card)
    write_plan(
        folder,
        vectors,
        names,
        request.images_per_identity,
        request.sigma_mix,
        request.seed,
        request.images_per_shard,
        lambda done: on_progress("planning", done, len(vectors)),
    )
    manifest = Manifest(
        **record,
        identities=len(vectors),
        images=len(vectors) * request.images_per_identity,
        plan_sha256=files.sha256(folder / PLAN),
        identities_sha256=files.sha256(folder / IDENTITIES),
    )
    manifests.write(folder, manifest)
    return manifest


def _holds_shards(folder: Path) -> bool:
    return any((folder / "shards").glob("[!.]*"))
