"""Auditing labelled datasets, from their images to figures, verdict, report and columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nonesuch.audit.auditing import audit, write_image_columns
from nonesuch.audit.looking import Eyes, Seen, look
from nonesuch.audit.options import check_reference, dataset_names, load_eyes, read_target
from nonesuch.audit.reference import Reference, see_reference
from nonesuch.audit.requirements import judge, parse_requirement
from nonesuch.audit.sample import find_samples
from nonesuch.core import files
from nonesuch.core.arguments import AT_LEAST_1, DTYPE, SEED, checked
from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import AnyPath, as_path, as_paths, as_texts, path_or_none
from nonesuch.core.version import VERSION
from nonesuch.formats import manifest as manifests
from nonesuch.formats.photographs import Photograph, read_names
from nonesuch.formats.source import Source
from nonesuch.loop.progress import OnProgress, no_progress
from nonesuch.pages.writers import MISSING, writer


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes:
        report: the HTML page.
        json: the file of all figures.
        figures: all figures, as `json` holds them.
        broken: requirements that do not hold, in words.
    """

    report: Path
    json: Path
    figures: dict[str, Any]
    broken: tuple[str, ...]


@checked(identities=AT_LEAST_1, seed=SEED, dtype=DTYPE)
def audit_datasets(
    datasets: AnyPath | Sequence[AnyPath],
    *,
    against: AnyPath | Sequence[AnyPath] = (),
    held_out: AnyPath | None = None,
    control: AnyPath | Sequence[AnyPath] = (),
    embedder: str | Sequence[str] = ("mobilefacenet", "dlib_resnet"),
    out: AnyPath | None = None,
    require: str | Sequence[str] = (),
    target: AnyPath | None = None,
    identities: int | None = None,
    seed: int = 0,
    brisque: tuple[AnyPath, AnyPath] | None = None,
    clip_iqa: tuple[AnyPath, AnyPath] | None = None,
    inception: AnyPath | None = None,
    relevance: str | Path | None = None,
    align: bool = False,
    show_photographs: bool = False,
    device: str = "auto",
    dtype: str = "float32",
    on_progress: OnProgress = no_progress,
) -> Audit:
    """Judge what labelled face datasets are worth, side by side.

    Args:
        datasets: of ours, folders with a folder per person, or published sets, see `nonesuch.formats.readers`.
        against: photographs that the generator learned from.
        held_out: a list of people or files of `against` that it did not see: the control.
        control: more photographs of people it never saw.
        embedder: each gives its own figures.
        out: folder of the report; None for DATASET-audit.
        require: what must hold, as "eer<=0.1".
        target: JSON of wanted shares, as {"gender": {"female": 0.5, "male": 0.5}}.
        identities: audit a sample of so many identities of each dataset, with all their images; None for all. The
            figures are of the sample: `sample` in audit.json says so.
        seed: of the sample.
        brisque, clip_iqa, inception: weights that cannot ship: BRISQUE's allmodel and allrange; CLIP's image encoder
            and its two prompts; Inception, for FID against `against`; both networks as `.onnx`.
        relevance: a text-image model, by name ("flip_small") or file, which says how well captions of datasets fit
            their images; needs nonesuch[flip].
        align: detect and align 112x112 images too, which otherwise count as aligned.
        show_photographs: show thumbnails of photographs of real people too.
        device, dtype: of the networks.
        on_progress: told what is being done.

    Raises:
        NonesuchError: options that contradict one another, images that cannot be used, or a full disk.

    Example:
        nonesuch.audit_datasets("faces", against="photographs", held_out="control.txt").report
    """
    wishes = [parse_requirement(text) for text in as_texts(require)]
    names, training, others = dataset_names(as_paths(datasets)), as_paths(against), as_paths(control)
    check_reference(training, others, path_or_none(held_out), path_or_none(inception))
    if identities is not None and relevance is not None:
        raise NonesuchError("--relevance: is of captions of the whole dataset; leave --identities out")
    wanted = read_target(path_or_none(target))
    if (write_report := writer("nonesuch.audit.report")) is None:
        raise NonesuchError(f"the report {MISSING}")
    folder = as_path(out) if out is not None else Path(f"{next(iter(names))}-audit")
    samples = find_samples(names, folder / "columns", identities, seed)
    eyes = load_eyes(as_texts(embedder), brisque, clip_iqa, path_or_none(inception), relevance, align, device, dtype)
    with files.made_folder(folder):
        reference = _reference(training, others, path_or_none(held_out), eyes, folder / "columns", on_progress)
        found: dict[str, Any] = {"nonesuch": VERSION, "datasets": {}}
        found["made_by"] = {name: model.card.sha256 for name, model in eyes.embedders.items()}
        if reference is not None:
            found["against"] = _about(reference, training, others, held_out)
        shown: dict[str, list[Photograph]] = {}
        for name, (source, sample) in samples.items():
            seen, figures = _audited(name, source, eyes, reference, wanted, folder, on_progress)
            found["datasets"][name] = figures if sample is None else {"sample": sample, **figures}
            if show_photographs or source.shows_real_people is False:
                shown[name] = seen.photographs
        on_progress("writing the report", 0, 0)
        broken = judge(wishes, found)
        files.write_json(folder / "audit.json", found)
        write_report(folder / "report.html", found, shown, reference if show_photographs else None)
    return Audit(folder / "report.html", folder / "audit.json", found, tuple(broken))


def _audited(
    name: str,
    source: Source,
    eyes: Eyes,
    reference: Reference | None,
    target: Mapping[str, Mapping[str, float]],
    out: Path,
    on_progress: OnProgress,
) -> tuple[Seen, dict[str, Any]]:
    total = len(source.photographs)
    seen = look(source, eyes, lambda done: on_progress(f"looking at {name}", done, total))

    def on_step(what: str, done: int, total: int, note: str = "") -> None:
        on_progress(f"{name}: {what}", done, total, note)

    figures, images = audit(source, seen, eyes, reference, target, on_step)
    written = write_image_columns(source, seen, images, eyes, reference, out / f"{name}.audit.parquet")
    about: dict[str, Any] = {"source": str(source.path), "columns_written_to": str(written)}
    if source.is_whole_dataset:  # so that a release can tell whose verdict this is
        about["images_sha256"] = manifests.images_sha256(manifests.read(source.path))
    return seen, about | figures


def _reference(
    against: Sequence[Path],
    control: Sequence[Path],
    held_out: Path | None,
    eyes: Eyes,
    columns: Path,
    on_progress: OnProgress,
) -> Reference | None:
    if not against:
        return None
    people = read_names(held_out) if held_out is not None else set()
    training = [Source.at(path, columns_in=columns) for path in against]
    others = [Source.at(path, columns_in=columns) for path in control]
    return see_reference(training, others, people, eyes.for_reference(), on_progress)


def _about(
    reference: Reference, against: Sequence[Path], control: Sequence[Path], held_out: AnyPath | None
) -> dict[str, Any]:
    training, others = reference.training, reference.control
    return {
        "sources": [str(path) for path in against],
        "controls": [str(path) for path in control],
        "held_out": None if held_out is None else str(held_out),
        "training": {"images": len(training.photographs), "people": len(training.people)},
        "control": None if others is None else {"images": len(others.photographs), "people": len(others.people)},
    }
