"""Images made from a dataset's plan when they are asked for, and not stored."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from nonesuch.core import files, images
from nonesuch.core.devices import exact
from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import CODECS, CROP_SIZE, Pixels
from nonesuch.dataset.others import Others
from nonesuch.dataset.rendering import RenderSettings, default_workers, render_rows
from nonesuch.formats import manifest as manifests
from nonesuch.formats.photographs import Photograph
from nonesuch.formats.plan import PLAN, Plan, PlanRows
from nonesuch.formats.shards import image_key
from nonesuch.generators.generator import Generator


class PlannedImages:
    """The images of a plan, as they are or would be in the dataset's shards, after its codec.

    Args:
        folder: a dataset, complete or not, such as `nonesuch generate --plan-only` writes.
        generator: the one that the dataset was planned for.

    Attributes:
        container: the plan's file, which its photographs name.
        photographs: one for each image, named and labelled as in the shards; only `read` can read them.

    Raises:
        NonesuchError: no dataset or a damaged one, another generator, or images that were steered.
    """

    def __init__(self, folder: Path, generator: Generator) -> None:
        manifest = manifests.read(folder)
        if manifest.generator is None:
            raise NonesuchError(f"{folder}: holds images that existed before, not a plan; leave out --from-generator")
        manifests.check_plan(folder, manifest)
        if manifest.generator["sha256"] != generator.card.sha256:
            raise NonesuchError(f"{folder}: was planned for {manifest.generator['name']}, not for {generator.name}")
        if "steering" in manifest.options:
            raise NonesuchError(
                f"{folder}: its images are steered; make them with 'nonesuch generate' and train on these"
            )
        self.settings = files.typed(manifest.render, RenderSettings, f"{folder}: its render settings")
        if self.settings.device != generator.device.type:
            raise NonesuchError(f"{folder}: was planned for --device {self.settings.device}, which decides its pixels")
        self.generator = generator.with_sampler(self.settings.sampler) if self.settings.sampler else generator
        plan = Plan(folder)
        self._others = Others(plan) if self.generator.needs_others else None
        self.signature = f"{manifest.plan_sha256} {manifest.identities_sha256} {generator.card.sha256}"
        self._rows = _all_rows(plan)
        self.container = folder / PLAN
        suffix = CODECS[self.settings.codec]
        keys = [
            image_key(int(identity), int(image))
            for identity, image in zip(self._rows.identity, self._rows.image, strict=True)
        ]
        self.photographs = [
            Photograph(f"{key}{suffix}", key.split("/")[0], self.container, offset=row) for row, key in enumerate(keys)
        ]
        on_cpu = generator.device.type == "cpu"
        threads = 1 if on_cpu else torch.get_num_threads()  # as in generation, which it must equal
        self._pool = ThreadPoolExecutor(
            default_workers(generator.device) if on_cpu else 1, initializer=torch.set_num_threads, initargs=(threads,)
        )

    def read(self, photographs: Sequence[Photograph]) -> Pixels:
        """Make images: (N, 112, 112, 3) uint8."""
        rows = np.array([photograph.offset for photograph in photographs])
        size = self.settings.micro_batch
        parts = [rows[start : start + size] for start in range(0, len(rows), size)]
        with exact():
            return np.concatenate(list(self._pool.map(self._render, parts)))

    def _render(self, rows: NDArray[np.int64]) -> Pixels:
        encoded = render_rows(self._rows.part(rows), self.generator, self.settings, self._others)
        return np.stack([images.decode(data, PLAN) for data in encoded])


def _all_rows(plan: Plan) -> PlanRows:
    parts = [plan.read(shard) for shard in range(plan.shards)]
    before = np.cumsum([0, *(len(part.vectors) for part in parts)])
    return PlanRows(
        identity=np.concatenate([part.identity for part in parts]),
        image=np.concatenate([part.image for part in parts]),
        seed=np.concatenate([part.seed for part in parts]),
        sigma=np.concatenate([part.sigma for part in parts]),
        vectors=np.concatenate([part.vectors for part in parts]),
        vector_row=np.concatenate([part.vector_row + first for part, first in zip(parts, before, strict=False)]),
    )


def read_planned(plans: Sequence[PlannedImages], photographs: Sequence[Photograph]) -> Pixels:
    """Make images of several plans: (N, 112, 112, 3) uint8, in the order of `photographs`."""
    made = np.empty((len(photographs), CROP_SIZE, CROP_SIZE, 3), dtype=np.uint8)
    containers = np.array([str(photograph.container) for photograph in photographs])
    for plan in plans:
        rows = np.flatnonzero(containers == str(plan.container)).tolist()
        if rows:
            made[rows] = plan.read([photographs[row] for row in rows])
    return made
