"""The command that tests embedders on real faces."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import click
from rich.table import Table

from nonesuch.cli import options
from nonesuch.cli.options import console
from nonesuch.core import files
from nonesuch.core.errors import NonesuchError
from nonesuch.core.version import VERSION
from nonesuch.evaluation.benchmarks import PACKED, Benchmark, packed_benchmark, pair_benchmark, people_benchmark
from nonesuch.evaluation.ijb import template_benchmark
from nonesuch.evaluation.probes import embed_images
from nonesuch.evaluation.summary import DISCARD_COLUMNS, GROUP_COLUMNS, Found, discard_rows, figure_rows, group_rows
from nonesuch.evaluation.time_limit import pipeline_milliseconds, time_limit_figures
from nonesuch.evaluation.tinyface import is_tinyface, tinyface_benchmark
from nonesuch.formats.photographs import find
from nonesuch.loop.progress import progress_bar
from nonesuch.models import load_detector, load_embedder


@click.command()
@click.option("--embedder", "embedders", multiple=True, help="A shipped embedder or a .safetensors or .onnx file.")
@click.option("--images", type=options.PATH, help="Folder or tar of the test images, or a packed set (.bin, .xz).")
@click.option("--pairs", type=options.PATH, help="pairs.txt, a CSV (left, right, mated), or CFP's protocol folder.")
@click.option("--templates", type=options.PATH, help="Folder of IJB's metadata files: templates, 1:1 and 1:N.")
@click.option("--folds", help="Only these folds of the pairs, such as 8-10 or 1,2,5.")
@click.option("--people", type=options.PATH, help="Without --pairs: only the people of this list.")
@click.option("--groups", type=options.PATH, help="CSV with identity, group: error rates of each group as well.")
@click.option("--flip/--no-flip", default=True, show_default=True, help="Sum the embeddings of crop and mirror image.")
@click.option("--align", is_flag=True, help="Detect and align 112x112 images too, which else count as aligned.")
@click.option("--time-limit", is_flag=True, help="Time each image on one core; what 100, 500, 1000 ms leave (FRUITS).")
@click.option("--json", "out", type=options.PATH, help="Write every figure to this file.")
@click.option("--report", type=options.PATH, help="Write figures and curves as one HTML page (needs nonesuch[report]).")
@options.device
@options.dtype
def evaluate(
    embedders: tuple[str, ...],
    images: Path | None,
    pairs: Path | None,
    templates: Path | None,
    folds: str | None,
    people: Path | None,
    groups: Path | None,
    flip: bool,
    align: bool,
    time_limit: bool,
    out: Path | None,
    report: Path | None,
    device: str,
    dtype: str,
) -> None:
    """Test how well embedders verify people on labelled images.

    With --pairs or a packed set: accuracy by folds (each at the threshold that is best on the others), EER, and the
    true match rate (TAR) at false match rates. With --templates: IJB's templates, EER and TAR of its comparisons, rank
    and true identification rate (TPIR) of its searches. Images in TinyFace's folders: rank and mean average precision.
    With none of these: all comparisons of at most 10 images of each person, EER and TAR with 95% intervals over people,
    clusters, and identification: rank in a gallery of everyone's first image, and TPIR where half of the people are
    strangers. An image without a face counts as refused, in the last kind it is left out. Several --embedder stand side
    by side.

    \b
    Examples:
      nonesuch evaluate --embedder mobilefacenet --images lfw112.tar --pairs pairs.txt --folds 8-10
      nonesuch evaluate --embedder mobilefacenet --embedder mine.safetensors --images agedb_30.bin --json figures.json
      nonesuch evaluate --embedder mine.safetensors --images lfw112.tar --people lfw_heldout_people.txt --report r.html
      nonesuch evaluate --embedder mine.safetensors --images IJBC/loose_crop --templates IJBC/meta
    """
    if images is None:
        raise NonesuchError("--images: name the folder, tar or packed set of the test images")
    write_report = None if report is None else _reporter()
    for path in (path for path in (out, report) if path is not None and not path.parent.is_dir()):
        raise NonesuchError(f"{path}: there is no folder {path.parent}; make it first")
    for path in (path for path in (out, report) if path is not None and path.is_dir()):
        raise NonesuchError(f"{path}: is a folder; name a file")
    names = list(dict.fromkeys(embedders or ("mobilefacenet",)))
    models = [load_embedder(name, device, dtype) for name in names]
    test = _benchmark(images, pairs, templates, folds, people, groups, align)
    total = len(test.photographs)
    with progress_bar() as bar:
        found, problems = embed_images(
            test.photographs,
            models,
            load_detector(device),
            flip,
            align,
            test.landmarks,
            lambda done: bar("embedding", done, total),
        )
        figures = {}
        for name, part, model in zip(names, found, models, strict=True):
            common = {"flip": flip, "failed_to_acquire": len(problems), "sha256": model.card.sha256}
            figures[name] = {**test.figures(part), **common}
            if time_limit:
                bar(f"timing {name}", 0, 0)
                alone = load_embedder(name, "cpu", "float32" if dtype == "float16" else dtype, threads=1)
                times = pipeline_milliseconds(
                    test.photographs, alone, load_detector("cpu"), flip, align, test.landmarks
                )
                figures[name]["time_limit"] = time_limit_figures(test, part, times)
    options.show_problems(problems)
    _print(test.title, ("", *names), [(title, *cells) for title, cells in figure_rows(figures)])
    if discards := discard_rows(figures):
        _print("FNMR with the images of the smallest embedding norms left out", DISCARD_COLUMNS, discards)
    if groups is not None:
        _print("groups, at one threshold for all", GROUP_COLUMNS, group_rows(figures))
    sources = {"images": images, "pairs": pairs, "templates": templates, "people": people, "groups": groups}
    about = {"title": test.title, **{key: str(path) for key, path in sources.items() if path is not None}}
    about |= {} if folds is None else {"folds": folds}
    if out is not None:
        first = {"test": about, "nonesuch": VERSION, **figures[names[0]]}
        files.write_json(out, {**first, "embedders": figures} if len(figures) > 1 else first)
        click.echo(f"{out}: written")
    if report is not None and write_report is not None:
        write_report(report, about, figures)
        click.echo(f"{report}: written; open it in a browser")


def _reporter() -> Callable[[Path, Mapping[str, str], Found], None]:
    """What writes the report, before any work is done in vain."""
    try:
        from nonesuch.evaluation.report import write_report
    except ImportError as error:
        raise NonesuchError('--report needs matplotlib and jinja2: pip install "nonesuch[report]"') from error
    return write_report


def _print(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    shown = Table(*columns, title=title)
    for row in rows:
        shown.add_row(*row, end_section=not row[-1])
    console.print(shown)


def _benchmark(
    images: Path,
    pairs: Path | None,
    templates: Path | None,
    folds: str | None,
    people: Path | None,
    groups: Path | None,
    align: bool,
) -> Benchmark:
    """The test that the options ask for."""
    packed = images.suffix in PACKED
    lists = {"--pairs": pairs, "--templates": templates, "--people": people}
    given = [name for name, path in lists.items() if path is not None]
    if packed and (given or align):
        raise NonesuchError(f"{images}: a packed set holds aligned images and its pairs; leave out other options")
    if len(given) > 1:
        raise NonesuchError(f"{' and '.join(given)}: give one of them")
    if groups is not None and pairs is None:
        raise NonesuchError("--groups goes with --pairs, whose images carry their people's names")
    if folds is not None and pairs is None and not packed:
        raise NonesuchError("--folds goes with --pairs or a packed set")
    if packed:
        return packed_benchmark(images, folds)
    photographs = find(images)
    if pairs is not None:
        return pair_benchmark(photographs, pairs, folds, groups)
    if templates is not None:
        return template_benchmark(photographs, templates)
    if people is None and is_tinyface(photographs):
        return tinyface_benchmark(photographs)
    return people_benchmark(photographs, people)
