"""The main job as one function: who is shown, their images, a first look at these."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nonesuch.core.arguments import AT_LEAST_1, COSINE, DTYPE, FMR, SEED, Choice, Number, checked
from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import AnyPath, as_path, as_texts, path_or_none
from nonesuch.core.images import CODECS
from nonesuch.core.notices import notice
from nonesuch.dataset.create import DatasetRequest, create_dataset, plan_dataset
from nonesuch.dataset.people import People
from nonesuch.dataset.rendering import RenderSettings, default_workers
from nonesuch.dataset.summary import Summary, summarise
from nonesuch.dataset.workers.options import WorkerOptions
from nonesuch.formats import manifest as manifests
from nonesuch.formats.dataset import read_identities
from nonesuch.formats.manifest import Manifest
from nonesuch.generators.generator import Generator
from nonesuch.identities.source import DEFAULT_FMR, SAMPLING, SamplingOptions
from nonesuch.identities.variation import parse_sigma_mix
from nonesuch.loop.progress import OnProgress, no_progress
from nonesuch.models import load_embedder, load_generator
from nonesuch.pages.contact_sheet import write_contact_sheet
from nonesuch.steering.options import SteeringOptions
from nonesuch.steering.outcome import SteeringOutcome, steering_outcome
from nonesuch.steering.steerer import Steerer

_JUDGES = ("mobilefacenet", "dlib_resnet")
# Enough for a first look; the audit looks at all of a dataset.
_SUMMARY_IDENTITIES, _SUMMARY_IMAGES = 100, 10
_SHEET_ROWS = 12
_IDENTITIES = 100
_SIGMA_OF_REFERENCES = "0.2"  # published for vectors of photographs


@dataclass(frozen=True)
class GeneratedDataset:
    """A dataset, or its plan alone.

    Attributes:
        folder: where it is.
        manifest: what it holds and what made it; not `complete` if parts are left to other processes.
        rendered: images that this call made.
        seconds: how long it took to make and write them.
        contact_sheet: picture of its first identities, a row each; None of a plan.
        sheet_identities: how many these are.
        steering: what became of the wishes; None where there were none.
        summaries: a first look at a sample, by each embedder.
        sample: how many identities, and how many images of each, that look took.
        problems: in words, of each reference photograph that gave no vector.
    """

    folder: Path
    manifest: Manifest
    rendered: int = 0
    seconds: float = 0.0
    contact_sheet: Path | None = None
    sheet_identities: int = 0
    steering: SteeringOutcome | None = None
    summaries: tuple[Summary, ...] = ()
    sample: tuple[int, int] = (0, 0)
    problems: tuple[str, ...] = ()


@checked(
    identities=AT_LEAST_1,
    images=AT_LEAST_1,
    seed=SEED,
    sampling=SAMPLING,
    fmr=FMR,
    max_similarity=COSINE,
    min_age=Number(0, 90),
    style=Number(0, 2),
    steer_steps=Number(0, whole=True),
    steer_identity=COSINE,
    codec=Choice(tuple(CODECS)),
    quality=Number(1, 100, whole=True),
    shard_images=AT_LEAST_1,
    micro_batch=AT_LEAST_1,
    workers=AT_LEAST_1,
    processes=AT_LEAST_1,
    dtype=DTYPE,
)
def generate_dataset(
    out: AnyPath,
    *,
    identities: int | None = None,
    reference: AnyPath | None = None,
    embedder: str | None = None,
    vectors: AnyPath | None = None,
    sampling: str | None = None,
    statistics: AnyPath | None = None,
    max_similarity: float | None = None,
    fmr: float | None = None,
    min_age: float | None = None,
    images: int = 10,
    seed: int = 0,
    generator: str = "idiff_fast",
    sigma: str | None = None,
    style: float | None = None,
    sampler: str | None = None,
    steer: str | Sequence[str] = (),
    steer_steps: int | None = None,
    steer_identity: float | None = None,
    codec: str = "jpeg",
    quality: int = 95,
    synthetic_mark: bool = True,
    shard_images: int | None = None,
    micro_batch: int | None = None,
    workers: int | None = None,
    processes: int | None = None,
    ray: str | None = None,
    shards: str | None = None,
    plan_only: bool = False,
    summary: bool = True,
    device: str = "auto",
    dtype: str = "float32",
    on_progress: OnProgress = no_progress,
) -> GeneratedDataset:
    """Make a labelled dataset of faces, or resume one that was interrupted.

    Args:
        out: folder: new, empty, or of the same dataset.
        identities: how many to sample; None for 100. All arguments down to `min_age` are about who is shown.
        reference, embedder: photographs of REAL PEOPLE, and what embeds them; None for the generator's embedder.
        vectors: a table of `sample_identities` or `embed_photographs` to start from, or IDiff-Face's identity contexts.
        sampling, statistics, max_similarity, fmr: see `nonesuch.identities.source.SamplingOptions`.
        min_age: leave out sampled people who look younger, and steer images that do; from 25 years on.
        images, seed: images of each identity; seed of everything random.
        generator, sigma: shipped, or a file with its card; perturbation as "sigma:share,...", None for the usual one.
        style: spread of the style codes (pose, light, background), for a generator that has them; None for 1.
        sampler: of a diffusion, see `nonesuch.generators.diffusion.sampling.Sampling`; None for what its card says.
        steer: what images should show, such as "yaw=20"; see `nonesuch.steering.wishes.parse_wish`.
        steer_steps, steer_identity: most steps (None for 40) and least cosine to the identity (None for 0.7).
        codec, quality, synthetic_mark: "jpeg" or "png"; of JPEG, 1 to 100; each file says that its image is synthetic.
        shard_images, micro_batch, workers: images per shard and per pass, threads; None for the device's usual.
        processes, ray, shards: who renders; see `nonesuch.dataset.workers.options.WorkerOptions`.
        plan_only, summary: write the plan and make no image, to be continued without it; embed a sample at the end.
        device, dtype, on_progress: of the networks; told what is being done.

    Raises:
        NonesuchError: options that contradict one another, a folder that holds something else, or a full disk.

    Example:
        nonesuch.generate_dataset("faces", identities=1000, images=20, steer="yaw=-30:30").manifest.images
    """
    folder = as_path(out)
    kept_apart = SamplingOptions(sampling, path_or_none(statistics), max_similarity, fmr)
    people = People(identities, path_or_none(reference), embedder, path_or_none(vectors), kept_apart, min_age)
    by = WorkerOptions.read(processes, ray, shards)
    asked = SteeringOptions.read(as_texts(steer), steer_steps, steer_identity, min_age)
    model = _generator(generator, sampler, style, device, dtype)
    steerer, least_age = asked.load(model, device, dtype)
    source = people.source(model, generator, seed, least_age, on_progress)
    mix = parse_sigma_mix(sigma or (_SIGMA_OF_REFERENCES if source.shows_real_people else model.card.sigma_mix))
    request = DatasetRequest(images, mix, seed, shard_images or _shard_images(model, steerer), source)
    settings = _settings(model, dtype, micro_batch, codec, quality, style, _marks(folder, synthetic_mark))
    if plan_only:
        return GeneratedDataset(folder, plan_dataset(folder, request, model, settings, on_progress, steerer))
    threads, crew = workers or default_workers(model.device), by.crew(folder, generator, model.device, workers)
    done = create_dataset(folder, request, model, settings, threads, on_progress, steerer, by.part, crew)
    made = _steered(GeneratedDataset(folder, *done, problems=tuple(source.problems)), steerer, min_age)
    return _looked_at(made, model, fmr or DEFAULT_FMR, on_progress if summary else None)


def _generator(name: str, sampler: str | None, style: float | None, device: str, dtype: str) -> Generator:
    """The generator with its sampler; raises NonesuchError where it has no such thing or shows no identity."""
    model = load_generator(name, device, dtype)
    if not model.shows_identity:
        raise NonesuchError(
            f"{model.name} shows nobody in particular; make identities with it, 'nonesuch identities "
            "--from-unconditional', and their images with another generator"
        )
    if style is not None and not model.has_style:
        raise NonesuchError(f"--style: {model.name} has no style code; leave it out")
    return model if sampler is None else model.with_sampler(sampler)


def _settings(
    model: Generator, dtype: str, micro_batch: int | None, codec: str, quality: int, style: float | None, mark: bool
) -> RenderSettings:
    batch, spread = micro_batch or model.usual_batch, 1.0 if style is None else style
    return RenderSettings(model.device.type, dtype, batch, codec, quality, spread, model.sampler, mark)


def _marks(folder: Path, wanted: bool) -> bool:
    """Whether images get the mark: a dataset that was begun without, as older versions did, goes on without."""
    old = manifests.read(folder) if wanted and manifests.is_dataset(folder) else None
    if old is None or old.made_from or old.render.get("synthetic_mark"):
        return wanted
    notice(f"{folder}: begun with --no-synthetic-mark or by an older version, and goes on without the mark")
    return False


def _steered(made: GeneratedDataset, steerer: Steerer | None, min_age: float | None) -> GeneratedDataset:
    """Add what became of the wishes, if there were any, once all is there."""
    if steerer is None or not made.manifest.complete:
        return made
    return replace(made, steering=steering_outcome(made.folder, steerer.wishes, min_age))


def _looked_at(
    made: GeneratedDataset, model: Generator, fmr: float, on_progress: OnProgress | None
) -> GeneratedDataset:
    """Add a contact sheet, and how a sample looks to the vectors' embedder and to another one, once all is there."""
    if not made.manifest.complete:
        return made
    sample = read_identities(made.folder, _SUMMARY_IDENTITIES, _SUMMARY_IMAGES)
    shown = [list(identity.images) for identity in sample[:_SHEET_ROWS]]
    write_contact_sheet(shown, made.folder / "contact_sheet.png")
    made = replace(made, contact_sheet=made.folder / "contact_sheet.png", sheet_identities=len(shown))
    if on_progress is None or len(sample) < 2 or len(sample[0].images) < 2:
        return made
    size = sum(len(identity.images) for identity in sample)
    summaries = []
    for number, name in enumerate(_JUDGES):
        judge = load_embedder(name, str(model.device))
        own = judge.card.sha256 == model.card.embedder_sha256
        tell = functools.partial(_tell, on_progress, number * size, len(_JUDGES) * size)
        summaries.append(summarise(sample, judge, own, fmr, tell))
    return replace(made, summaries=tuple(summaries), sample=(len(sample), len(sample[0].images)))


def _tell(on_progress: OnProgress, before: int, total: int, done: int) -> None:
    on_progress("summary", before + done, total)


def _shard_images(model: Generator, steerer: Steerer | None) -> int:
    """A few minutes of work: what an interruption costs at most."""
    images = 1_000 * model.usual_batch // 16 if model.device.type == "cpu" else 10_000 * model.usual_batch // 256
    return images if steerer is None else max(images // 5, 1)
