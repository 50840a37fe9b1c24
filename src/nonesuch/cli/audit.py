"""The command that says what a dataset is worth."""

from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from nonesuch.audit.audit_datasets import audit_datasets
from nonesuch.audit.summary import worst_first
from nonesuch.cli import options
from nonesuch.cli.options import section
from nonesuch.core.errors import NonesuchError
from nonesuch.loop.progress import progress_bar

_SIGNS = {"green": ("●", "green"), "amber": ("●", "yellow"), "red": ("●", "red"), "grey": ("○", "")}


@click.command(cls=options.SectionedCommand)
@click.argument("datasets", metavar="DATASET...", nargs=-1, required=True, type=options.PATH)
@section(
    "Real photographs to compare with",
    click.option(
        "--against", type=options.PATH, multiple=True, help="Photographs the generator learned from; repeatable."
    ),
    click.option(
        "--held-out", type=options.PATH, help="People or files of --against that it did not see: the control."
    ),
    click.option("--control", type=options.PATH, multiple=True, help="More photographs of people it never saw."),
    click.option("--show-photographs", is_flag=True, help="Show thumbnails of photographs of real people too."),
)
@section(
    "What it is judged by",
    click.option(
        "--embedder",
        multiple=True,
        default=["mobilefacenet", "dlib_resnet"],
        show_default=True,
        help="A shipped embedder, or a .safetensors or .onnx file. Each gives its own figures; repeatable.",
    ),
    click.option("--require", multiple=True, help="Fail unless this holds, such as 'eer<=0.1'; repeatable."),
    click.option(
        "--target", type=options.PATH, help='JSON of wanted shares, as {"gender": {"female": 0.5, "male": 0.5}}.'
    ),
    click.option(
        "--relevance", help="Text-image model (flip_small, or a file), to say how well captions fit their images."
    ),
    click.option(
        "--align", is_flag=True, help="Detect and align 112x112 images too, which otherwise count as aligned."
    ),
)
@section(
    "A sample",
    click.option(
        "--identities",
        type=click.IntRange(1),
        help="Audit a sample of so many identities of each dataset, with all their images.  [default: all]",
    ),
    click.option(
        "--seed",
        type=click.IntRange(0, 2**63 - 1),
        default=0,
        show_default=True,
        help="Seed of the sample: the same seed draws the same identities.",
    ),
)
@section(
    "Weights that cannot ship",
    click.option(
        "--brisque", nargs=2, type=options.PATH, help="BRISQUE's files allmodel and allrange, which you supply."
    ),
    click.option("--clip-iqa", nargs=2, type=options.PATH, help="CLIP's image encoder (.onnx) and its two prompts."),
    click.option("--inception", type=options.PATH, help="Inception as .onnx, which you supply: FID to --against."),
)
@section(
    "The work",
    click.option("--out", type=options.PATH, help="Folder of the report.  [default: DATASET-audit]"),
    options.device,
    options.dtype,
)
def audit(datasets: tuple[Path, ...], **chosen: Any) -> None:
    """Say what labelled face datasets are worth: one HTML page, audit.json, and columns beside the images.

    DATASET is a dataset of nonesuch, a folder with a folder per person, or a published set (tar, WebDataset, RecordIO,
    LMDB, Parquet). Several are shown side by side. The audit asks: are identities different people, do images show
    their identity, how much do they differ, how good and how balanced are they, and is anything there twice? With
    --against it also asks how near they look to real photographs, and whether they show the people the generator
    learned from. A control tells how near strangers come by chance. It takes photographs of people the generator never
    saw: those of --held-out, those of other splits than `train` where a table beside the tar names splits, and those of
    --control.

    BRISQUE, CLIP-IQA and FID are reported only where you supply their weights, which cannot ship with the package.

    Every figure of audit.json can be required. The end of its path is enough; the requirement then holds for every
    dataset and embedder. Thumbnails of photographs are left out unless asked for.

    \b
    Examples:
      nonesuch audit faces --require 'eer<=0.1'
      nonesuch audit faces --against lfw112.tar --held-out lfw_heldout_people.txt --out report
      nonesuch audit faces lfw112.tar --embedder mobilefacenet
      nonesuch audit faces --identities 1000
    """
    with progress_bar() as bar:
        found = audit_datasets(datasets, **chosen, on_progress=bar)
    for name, figures in found.figures["datasets"].items():
        _print_verdict(name, figures)
    click.echo(f"{found.report}: written, with audit.json beside it; open it in a browser")
    if found.broken:
        raise NonesuchError("; ".join(found.broken))


def _print_verdict(name: str, figures: dict[str, Any]) -> None:
    counts = figures["counts"]
    sample = figures.get("sample")
    of = f" of a sample, of {sample['of']:,} in all" if sample else ""
    title = f"{name}: {counts['identities']:,} identities{of}, {counts['images']:,} images"
    shown = Table("", "", "by", "found", title=title)
    for light in worst_first(figures["verdict"]):
        sign = Text.assemble(_SIGNS[light["colour"]], " ", light["colour"])
        shown.add_row(sign, light["about"], light["by"], light["told"])
    options.print_table(shown)
