"""The command that says what a dataset is worth."""

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from nonesuch.audit.auditing import audit as audited
from nonesuch.audit.auditing import write_image_columns
from nonesuch.audit.figures.images import check_target
from nonesuch.audit.judges.brought_files import brisque_judge, clip_iqa_judge
from nonesuch.audit.judges.inception import load_inception
from nonesuch.audit.looking import INCEPTION, Eyes, Seen, look
from nonesuch.audit.reference import Reference, see_reference
from nonesuch.audit.requirements import Requirement, figures_at, parse_requirement
from nonesuch.cli import options
from nonesuch.cli.options import console
from nonesuch.core import files
from nonesuch.core.errors import NonesuchError
from nonesuch.core.version import VERSION
from nonesuch.core.weights import read_card
from nonesuch.dataset import manifest as manifests
from nonesuch.embedders.embedder import Embedder
from nonesuch.formats.photographs import Photograph, find, read_names
from nonesuch.loop.progress import ProgressBar, progress_bar
from nonesuch.measures.figure import plain
from nonesuch.models import card_type, load_detector, load_embedder, load_perceiver, shipped_weights

_DEFAULT = ("mobilefacenet", "dlib_resnet")
_SIGNS = {"green": "[green]●[/] green", "amber": "[yellow]●[/] amber", "red": "[red]●[/] red", "grey": "○ grey"}


@click.command()
@click.argument("sources", metavar="DATASET...", nargs=-1, required=True, type=options.PATH)
@click.option("--against", type=options.PATH, multiple=True, help="Photographs the generator learned from; repeatable.")
@click.option("--held-out", type=options.PATH, help="People or files of --against that it did not see: the control.")
@click.option(
    "--control", "controls", type=options.PATH, multiple=True, help="More photographs of people it never saw."
)
@click.option("--embedder", "embedders", multiple=True, help="Repeatable.  [default: mobilefacenet and dlib_resnet]")
@click.option("--out", type=options.PATH, help="Folder of the report.  [default: DATASET-audit]")
@click.option("--require", "requirements", multiple=True, help="Fail unless it holds, as 'eer<=0.1'; repeatable.")
@click.option("--target", type=options.PATH, help='JSON of wanted shares, as {"gender": {"female": .5, "male": .5}}.')
@click.option("--brisque", nargs=2, type=options.PATH, help="BRISQUE's allmodel and allrange, which you bring.")
@click.option("--clip-iqa", nargs=2, type=options.PATH, help="CLIP's image encoder (.onnx) and its two prompts.")
@click.option("--inception", type=options.PATH, help="Inception as .onnx, which you bring: FID against --against.")
@click.option("--align", is_flag=True, help="Detect and align 112x112 images too, which else count as aligned.")
@click.option("--show-photographs", is_flag=True, help="Thumbnails of photographs of real people too.")
@options.device
@options.dtype
def audit(
    sources: tuple[Path, ...],
    against: tuple[Path, ...],
    held_out: Path | None,
    controls: tuple[Path, ...],
    embedders: tuple[str, ...],
    out: Path | None,
    requirements: tuple[str, ...],
    target: Path | None,
    brisque: tuple[Path, Path] | None,
    clip_iqa: tuple[Path, Path] | None,
    inception: Path | None,
    align: bool,
    show_photographs: bool,
    device: str,
    dtype: str,
) -> None:
    """Say what labelled face datasets are worth: one HTML page, audit.json, and columns beside the images.

    DATASET is a dataset of ours, or a folder or uncompressed tar with a folder per person; several stand side by side.
    Measured are: are identities different people, do images show their identity, how much do they differ, how good and
    how balanced are they, is anything there twice. With --against also: how near to real photographs do they look, and
    do they show the people the generator learned from. How near is near by chance is judged by a control of equally
    many photographs of people it never saw: those of --held-out, those of other splits than `train` where a table
    beside the tar names splits, and those of --control.

    Left out are figures whose weights cannot ship: BRISQUE, CLIP-IQA and FID are told where you bring theirs.

    Every figure of audit.json can be required; a path may name the end of it only, and then holds for every dataset and
    embedder. Pictures of photographs are left out unless asked for.

    \b
    Examples:
      nonesuch audit faces --require 'eer<=0.1'
      nonesuch audit faces --against lfw112.tar --held-out lfw_heldout_people.txt --out report
      nonesuch audit faces lfw112.tar --embedder mobilefacenet
    """
    wishes = [parse_requirement(text) for text in requirements]
    if (held_out or controls or inception) and not against:
        raise NonesuchError("--held-out, --control and --inception go with --against, photographs to compare with")
    if shared := {path.resolve() for path in controls} & {path.resolve() for path in against}:
        raise NonesuchError(f"{shared.pop()}: the control must show other people than --against; name another source")
    write_report = _reporter()
    out = out or Path(f"{sources[0].resolve().name.removesuffix('.tar')}-audit")
    wanted = _target(target)
    names = _names(sources)
    photographs = {name: find(source) for name, source in names.items()}
    eyes = Eyes(
        _embedders(embedders or _DEFAULT, device, dtype),
        load_detector(device),
        read_card(shipped_weights("mtcnn"), card_type("mtcnn")).sha256,
        load_perceiver(device=device, dtype=dtype),
        align,
        (
            *([] if brisque is None else [brisque_judge(*brisque)]),
            *([] if clip_iqa is None else [clip_iqa_judge(*clip_iqa, device)]),
        ),
        None if inception is None else load_inception(inception, device),
    )
    files.make_folder(out)
    found: dict[str, Any] = {"nonesuch": VERSION, "datasets": {}}
    found["made_by"] = {name: embedder.card.sha256 for name, embedder in eyes.embedders.items()}
    shown: dict[str, list[Photograph]] = {}
    with progress_bar() as bar:
        reference = _reference(against, controls, held_out, eyes, out, bar)
        if reference is not None:
            found["against"] = _about(reference, against, controls, held_out)
        for name, source in names.items():
            seen, figures = _audited(name, source, photographs[name], eyes, reference, wanted, out, bar)
            found["datasets"][name] = figures
            if show_photographs or _shows_no_one(source):
                shown[name] = seen.photographs
        bar("writing the report", 0, 0)
        broken = _judge(wishes, found)
        files.write_json(out / "audit.json", found)
        write_report(out / "report.html", found, shown, reference if show_photographs else None)
    for name, figures in found["datasets"].items():
        _print_verdict(name, figures)
    click.echo(f"{out / 'report.html'}: written, with audit.json beside it; open it in a browser")
    if broken:
        raise NonesuchError("; ".join(broken))


def _audited(
    name: str,
    source: Path,
    photographs: list[Photograph],
    eyes: Eyes,
    reference: Reference | None,
    target: Mapping[str, Mapping[str, float]],
    out: Path,
    bar: ProgressBar,
) -> tuple[Seen, dict[str, Any]]:
    total = len(photographs)
    seen = look(source, photographs, eyes, _columns(out, source), lambda done: bar(f"looking at {name}", done, total))
    figures, images = audited(
        source, seen, photographs, eyes, reference, target, lambda what: bar(f"{name}: {what}", 0, 0)
    )
    written = write_image_columns(source, photographs, seen, images, eyes, reference, out / f"{name}.audit.parquet")
    return seen, {"source": str(source), "columns_written_to": str(written), **figures}


def _embedders(names: tuple[str, ...], device: str, dtype: str) -> dict[str, Embedder]:
    """By what their columns and figures are called: a file goes by its name, which must do as a folder's too."""
    found: dict[str, Embedder] = {}
    for name in dict.fromkeys(names):
        called = re.sub(r"[^\w.-]", "_", Path(name).stem if Path(name).suffix in (".safetensors", ".onnx") else name)
        if called in found or called == INCEPTION:
            raise NonesuchError(f"--embedder {name}: another is called {called} too; rename the file")
        found[called] = load_embedder(name, device, dtype)
    return found


def _reporter() -> Callable[..., None]:
    """What writes the report, before any work is done in vain."""
    try:
        from nonesuch.audit.report import write_report
    except ImportError as error:
        raise NonesuchError('the report needs matplotlib and jinja2: pip install "nonesuch[report]"') from error
    return write_report


def _names(sources: tuple[Path, ...]) -> dict[str, Path]:
    """What each dataset is called: by its file's or folder's name, with the folder above where two are called so."""
    found: dict[str, Path] = {}
    for source in sources:
        name = source.resolve().name.removesuffix(".tar")
        if name in found:
            name = f"{source.resolve().parent.name}-{name}"
        if name in found:
            raise NonesuchError(f"{source}: given twice, or called as another one; rename one")
        found[name] = source
    return found


def _columns(out: Path, source: Path) -> Path:
    place = source.resolve()
    return out / "columns" / f"{place.name}-{hashlib.sha256(str(place).encode()).hexdigest()[:8]}"


def _reference(
    against: tuple[Path, ...],
    controls: tuple[Path, ...],
    held_out: Path | None,
    eyes: Eyes,
    out: Path,
    bar: ProgressBar,
) -> Reference | None:
    if not against:
        return None
    people = read_names(held_out) if held_out is not None else set()
    return see_reference(against, controls, people, eyes.for_reference(), lambda source: _columns(out, source), bar)


def _about(
    reference: Reference, against: tuple[Path, ...], controls: tuple[Path, ...], held_out: Path | None
) -> dict[str, Any]:
    training, control = reference.training, reference.control
    return {
        "sources": [str(path) for path in against],
        "controls": [str(path) for path in controls],
        "held_out": None if held_out is None else str(held_out),
        "training": {"images": len(training.photographs), "people": len(training.people)},
        "control": None if control is None else {"images": len(control.photographs), "people": len(control.people)},
    }


def _shows_no_one(source: Path) -> bool:
    return (source / manifests.MANIFEST).is_file() and not manifests.read(source).shows_real_people


def _target(path: Path | None) -> Mapping[str, Mapping[str, float]]:
    if path is None:
        return {}
    target = files.read_json(path)
    for grouping, wanted in target.items():
        if not isinstance(wanted, dict) or not all(type(share) in (int, float) for share in wanted.values()):
            raise NonesuchError(f"{path}: {grouping} must be an object of shares by group")
    check_target(target)
    return target


def _judge(wishes: list[Requirement], found: dict[str, Any]) -> list[str]:
    """What is required and does not hold, or cannot be read, in words; all are added to the figures."""
    judged: list[dict[str, Any]] = []
    broken = []
    for wish in wishes:
        try:
            values = figures_at({"datasets": found["datasets"]}, wish.path)
        except NonesuchError as error:
            broken.append(str(error))
            judged.append({"required": str(wish), "figure": str(error), "value": None, "holds": False})
            continue
        for path, value in values.items():
            judged.append({"required": str(wish), "figure": path, "value": plain(value), "holds": wish.holds(value)})
            if not wish.holds(value):
                broken.append(f"--require {wish} does not hold: {path} is {value:.4g}")
    if judged:
        found["requirements"] = judged
    return broken


def _print_verdict(name: str, figures: dict[str, Any]) -> None:
    counts = figures["counts"]
    shown = Table("", "", "by", "found", title=f"{name}: {counts['identities']} identities, {counts['images']} images")
    for light in figures["verdict"]:
        shown.add_row(_SIGNS[light["colour"]], light["about"], light["by"], light["told"])
    console.print(shown)
