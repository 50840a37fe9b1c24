"""The main job: a plan, its images, and the manifest that vouches for both."""

import dataclasses
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nonesuch.core import files
from nonesuch.core.errors import NonesuchError
from nonesuch.core.locks import LOCK
from nonesuch.core.notices import notice
from nonesuch.dataset.planning import write_plan
from nonesuch.dataset.rendering import RenderSettings, render_missing
from nonesuch.dataset.vector_sources import VectorSource
from nonesuch.formats import manifest as manifests
from nonesuch.formats.manifest import MANIFEST, Manifest, ShardRecord
from nonesuch.formats.plan import IDENTITIES, PLAN, Plan
from nonesuch.formats.shards import TAR_HASH, read_index, shard_files
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
) -> tuple[Manifest, int, float]:
    """Plan and render a dataset, or resume one that was interrupted.

    Args:
        folder: new, empty, or holding the same dataset.
        request: what it should hold.
        generator: makes the images.
        settings: of the rendering.
        workers: threads.
        on_progress: told what is being done, how much of it is done, and how much there is (0 if unknown).
        steerer: steers each image to what its seed draws from the wishes; the dataset gets the columns `steering`.

    Returns:
        The manifest of the complete dataset, the number of images that this call rendered, and the seconds it took
        to render and write them.

    Raises:
        NonesuchError: bad counts or vectors, a folder that holds something else or the same with other options,
            another process at work there, or a full disk. Complete shards stay as they are.
    """
    if workers < 1:
        raise NonesuchError("--workers must be at least 1")
    with _at_work(folder, request, settings):
        manifest = _planned(folder, request, generator, settings, on_progress, steerer)
        plan = Plan(folder)
        made_from = f"{manifest.plan_sha256} {manifest.identities_sha256} {generator.card.sha256}"
        made_from += f" {json.dumps(steerer.record())}" if steerer else ""
        files.make_folder(folder / "shards")
        started = time.monotonic()
        rendered = render_missing(
            folder,
            plan,
            made_from,
            generator,
            settings,
            workers,
            lambda done: on_progress("rendering" if steerer is None else "steering", done, plan.images),
            steerer,
        )
        seconds = time.monotonic() - started
        shards = [_shard_record(folder, number) for number in range(plan.shards)]
        manifest = dataclasses.replace(manifest, shards=shards, complete=True)
        manifests.write(folder, manifest)
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
    with _at_work(folder, request, settings):
        return _planned(folder, request, generator, settings, on_progress, steerer)


@contextmanager
def _at_work(folder: Path, request: DatasetRequest, settings: RenderSettings) -> Iterator[None]:
    """Inside the block the folder is there and this process's alone; one that was made goes again with bad input."""
    with files.made_folder(folder, LOCK):
        _check_request(folder, request, settings)
        with manifests.locked(folder):
            yield


def _check_request(folder: Path, request: DatasetRequest, settings: RenderSettings) -> None:
    if request.images_per_identity < 1:
        raise NonesuchError(f"--images {request.images_per_identity}: give a number of at least 1")
    if request.images_per_shard < 1 or settings.micro_batch < 1:
        raise NonesuchError("--shard-images and --micro-batch must be at least 1")
    ours = (LOCK, PLAN, IDENTITIES, *(() if _holds_shards(folder) else ("shards",)))
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
        new = dataclasses.replace(old, **record, complete=False, shards=[])
        if old.complete or _holds_shards(folder):
            manifests.check_same(folder, old, new)
        if manifests.have_one_plan(old, new):
            manifests.check_plan(folder, old)
            if new != old:  # it is not complete until every shard is known to be there
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


def _shard_record(folder: Path, number: int) -> ShardRecord:
    place = shard_files(folder, number)
    index = read_index(place.index)
    return {
        "tar": f"shards/{place.tar.name}",
        "images": len(index),
        "identities": len(index["label"].unique()),
        "sha256": index.schema.metadata[TAR_HASH].decode(),
    }
