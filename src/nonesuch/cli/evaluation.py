"""The command that tests embedders on real faces."""

from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from nonesuch.cli import options
from nonesuch.cli.identities import show_problems
from nonesuch.cli.options import console
from nonesuch.core import files, tables
from nonesuch.core.errors import NonesuchError
from nonesuch.core.photographs import Photograph, find, read_names
from nonesuch.core.progress import ProgressBar, progress_bar
from nonesuch.evaluation.figures import comparison_scores, group_figures, pair_figures, people_figures
from nonesuch.evaluation.pairs import Comparisons, read_packed, read_pairs
from nonesuch.evaluation.probes import Probes, probe_embeddings, read_probes
from nonesuch.models import load_detector, load_embedder

_PACKED = (".bin", ".xz")
_MOST_PER_PERSON = 10


@click.command()
@click.option("--embedder", "embedders", multiple=True, help="A shipped embedder or a .safetensors or .onnx file.")
@click.option("--images", type=options.PATH, help="Folder or tar of the test images, or a packed set (.bin, .xz).")
@click.option("--pairs", type=options.PATH, help="pairs.txt, a CSV (left, right, mated), or CFP's protocol folder.")
@click.option("--folds", help="Only these folds of the pairs, such as 8-10 or 1,2,5.")
@click.option("--people", type=options.PATH, help="Without --pairs: only the people of this list.")
@click.option("--groups", type=options.PATH, help="CSV with identity, group: error rates of each group as well.")
@click.option("--flip/--no-flip", default=True, show_default=True, help="Sum the embeddings of crop and mirror image.")
@click.option("--align", is_flag=True, help="Detect and align 112x112 images too, which else count as aligned.")
@click.option("--json", "out", type=options.PATH, help="Write every figure to this file.")
@options.device
@options.dtype
def evaluate(
    embedders: tuple[str, ...],
    images: Path | None,
    pairs: Path | None,
    folds: str | None,
    people: Path | None,
    groups: Path | None,
    flip: bool,
    align: bool,
    out: Path | None,
    device: str,
    dtype: str,
) -> None:
    """Test how well embedders verify people on labelled images.

    With --pairs or a packed set: accuracy by folds (each at the threshold that is best on the others), EER, and the
    true match rate (TAR) at false match rates. Without: all comparisons of at most 10 images of each person, EER and
    TAR with 95% intervals over people, and identification: rank 1 and 5 in a gallery of everyone's first image, and the
    true identification rate (TPIR) where half of the people are strangers. With --pairs an
    image without a face counts as refused, else it is left out. Several --embedder stand side by side.

    \b
    Examples:
      nonesuch evaluate --embedder mobilefacenet --images lfw112.tar --pairs pairs.txt --folds 8-10
      nonesuch evaluate --embedder mobilefacenet --embedder mine.safetensors --images agedb_30.bin --json figures.json
      nonesuch evaluate --embedder mine.safetensors --images lfw112.tar --people lfw_heldout_people.txt
    """
    if images is None:
        raise NonesuchError("--images: name the folder, tar or packed set of the test images")
    names = embedders or ("mobilefacenet",)
    with progress_bar() as bar:
        probes, comparisons, names_of = _test_set(images, pairs, folds, people, align, device, bar)
        labels = np.unique(names_of, return_inverse=True)[1]
        group_of = None if groups is None else _groups(groups, comparisons, names_of)
        found: dict[str, dict[str, Any]] = {}
        for name in names:
            embedder = load_embedder(name, device, dtype)
            unit = probe_embeddings(probes, embedder, flip, partial(_embedding, bar, str(name), len(probes.crops)))
            if comparisons is not None:
                scores = comparison_scores(unit, comparisons, probes.acquired)
                figures = pair_figures(scores, comparisons)
                if group_of is not None:
                    figures["groups"] = group_figures(scores, comparisons, group_of)
            else:
                figures = people_figures(unit[probes.acquired], labels[probes.acquired])
            found[str(name)] = {**figures, "flip": flip, "failed_to_acquire": int((~probes.acquired).sum())}
    show_problems(probes.problems)
    console.print(_by_folds(found) if comparisons is not None else _by_people(found))
    if groups is not None:
        console.print(_by_groups(found))
    if out is not None:
        first = found[str(names[0])]
        files.write_json(out, {**first, "embedders": found} if len(found) > 1 else first)
        click.echo(f"{out}: written")


def _embedding(bar: ProgressBar, name: str, total: int, done: int) -> None:
    bar(f"embedding by {name}", done, total)


def _test_set(
    images: Path,
    pairs: Path | None,
    folds: str | None,
    people: Path | None,
    align: bool,
    device: str,
    bar: ProgressBar,
) -> tuple[Probes, Comparisons | None, NDArray[np.str_]]:
    """Images, the comparisons of a list of pairs (None for all of them), and whom each image shows ("": unknown)."""
    if images.suffix in _PACKED:
        if pairs is not None or people is not None or align:
            raise NonesuchError(f"{images}: a packed set holds aligned images and its pairs; leave out other options")
        crops, packed = read_packed(images)
        rows, used = (packed if folds is None else packed.of_folds(_numbers(folds))).used()
        return Probes(crops[rows], np.ones(len(rows), dtype=bool), []), used, np.full(len(rows), "")
    photographs = find(images)
    comparisons = None
    if pairs is not None:
        if people is not None:
            raise NonesuchError("--people and --pairs: give one of them")
        listed = read_pairs(pairs, photographs)
        rows, comparisons = (listed if folds is None else listed.of_folds(_numbers(folds))).used()
        photographs = [photographs[row] for row in rows]
    elif folds is not None:
        raise NonesuchError("--folds goes with --pairs or a packed set")
    else:
        photographs = _capped(photographs, None if people is None else read_names(people), images)
    probes = read_probes(photographs, load_detector(device), align, lambda done: bar("reading", done, len(photographs)))
    return probes, comparisons, np.array([photograph.identity for photograph in photographs])


def _groups(path: Path, comparisons: Comparisons | None, names_of: NDArray[np.str_]) -> NDArray[np.str_]:
    """The group of each image, "" for none."""
    if comparisons is None or not names_of[0]:
        raise NonesuchError("--groups goes with --pairs, whose images carry their people's names")
    table = tables.read_columns(path, ["identity", "group"])
    known = {str(name): str(group) for name, group in zip(table["identity"], table["group"], strict=True)}
    found = np.array([known.get(str(name), "") for name in names_of])
    if not (found != "").any():
        raise NonesuchError(f"{path}: names none of the test's people, such as {names_of[0]}")
    return found


def _capped(photographs: list[Photograph], people: set[str] | None, images: Path) -> list[Photograph]:
    """The first images of each person in name order: else one person would make most mated comparisons."""
    counts: dict[str, int] = {}
    kept = []
    for photograph in photographs:
        if people is not None and photograph.identity not in people:
            continue
        counts[photograph.identity] = counts.get(photograph.identity, 0) + 1
        if counts[photograph.identity] <= _MOST_PER_PERSON:
            kept.append(photograph)
    if len(counts) < 2 or max(counts.values()) < 2:
        raise NonesuchError(f"{images}: {len(counts)} people; comparing takes two, and one of them twice")
    return kept


def _numbers(text: str) -> set[int]:
    found: set[int] = set()
    try:
        for part in text.split(","):
            low, _, high = part.partition("-")
            found |= set(range(int(low), int(high or low) + 1))
    except ValueError as error:
        raise NonesuchError(f"--folds {text}: write it as 8-10 or 1,2,5") from error
    return found


def _by_folds(found: dict[str, dict[str, Any]]) -> Table:
    rows = list(found.values())
    shown = Table("", *found, title=f"{rows[0]['mated']} mated and {rows[0]['non_mated']} non-mated comparisons")
    shown.add_row("accuracy (sd of folds)", *(f"{row['accuracy']:.2%} ({row['accuracy_sd']:.2%})" for row in rows))
    shown.add_row("by insightface's grid", *(f"{row['accuracy_grid']:.2%}" for row in rows))
    shown.add_row("EER", *(f"{row['eer']:.2%}" for row in rows))
    for fmr in rows[0]["tar"]:
        shown.add_row(f"TAR at FMR {fmr}", *(f"{row['tar'][fmr]:.2%}" for row in rows))
    shown.add_row("images without a face", *(str(row["failed_to_acquire"]) for row in rows))
    return shown


def _by_people(found: dict[str, dict[str, Any]]) -> Table:
    rows = list(found.values())
    shown = Table("", *found, title="all comparisons, with 95% intervals over people")
    for key in (key for key, value in rows[0].items() if isinstance(value, dict) and "low" in value):
        title = "EER" if key == "eer" else key.replace("tar@", "TAR at FMR ")
        shown.add_row(title, *(f"{r[key]['value']:.2%} ({r[key]['low']:.2%}-{r[key]['high']:.2%})" for r in rows))
    for rank in ("1", "5"):
        shown.add_row(f"rank {rank}", *(f"{row['rank'][rank]:.2%}" for row in rows))
    for fpir in rows[0]["tpir"]:
        shown.add_row(f"TPIR at FPIR {fpir}", *(f"{row['tpir'][fpir]:.2%}" for row in rows))
    shown.add_row("images without a face", *(str(row["failed_to_acquire"]) for row in rows))
    return shown


def _by_groups(found: dict[str, dict[str, Any]]) -> Table:
    shown = Table(
        "embedder", "group", "mated", "non-mated", "FNMR", "FMR", "accuracy", title="at one threshold for all"
    )
    for name, row in found.items():
        fair = row["groups"]
        for group, rates in fair["groups"].items():
            shares = ("-" if rates[key] is None else f"{rates[key]:.2%}" for key in ("fnmr", "fmr", "accuracy"))
            shown.add_row(name, group, str(rates["mated"]), str(rates["non_mated"]), *shares)
        ratio = fair["skewed_error_ratio"]
        spread = f"mean {fair['mean']:.2%}, sd {fair['deviation']:.2%}, mean - sd {fair['trade_off']:.2%}"
        shown.add_row(
            name,
            f"{spread}, error ratio {'infinite' if ratio is None else f'{ratio:.2f}'}",
            *[""] * 5,
            end_section=True,
        )
    return shown
