"""IJB-B and IJB-C by their metadata files: templates compared 1:1, and searched 1:N (Maze et al., ICB 2018)."""

import csv
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import CROP_SIZE
from nonesuch.evaluation.benchmarks import Benchmark
from nonesuch.evaluation.figures import check_both_kinds
from nonesuch.evaluation.names import ImageNames
from nonesuch.evaluation.pairs import Comparisons
from nonesuch.evaluation.templates import Enrolled, TemplateTest, template_figures
from nonesuch.formats.photographs import Photograph
from nonesuch.perception.alignment import usable

_LANDMARKS = 10  # numbers behind a name


def template_benchmark(photographs: list[Photograph], metadata: Path) -> Benchmark:
    """The tests of an IJB metadata folder: of `*_face_tid_mid.txt`, 1:1 by `*_template_pair_label.txt`, 1:N by
    `*_1N_gallery_*.csv` and `*_1N_probe_mixed.csv`, whichever are there.

    The landmarks of `*_name_5pts_score.txt` align the images where that file is there, those of 112x112 too. Where all
    images have 112x112 pixels and landmarks lie outside them, the images are crops that were aligned by these before.
    Images that no template holds are not read.

    Raises:
        NonesuchError: a file is missing or damaged, or names images or templates that are not there.
    """
    names = ImageNames(photographs)
    listed = _one(metadata, "*_face_tid_mid.txt")
    lines = [line.split() for line in _text(listed).splitlines() if line.strip()]
    bad = next((at for at, fields in enumerate(lines) if len(fields) != 3 or not _whole(fields[1:])), None)
    if bad is not None or not lines:
        where = f"line {(bad or 0) + 1} is not 'image template medium'" if lines else "the file is empty"
        raise NonesuchError(f"{listed}: {where}")
    rows, places = np.unique([names.row(name, listed) for name, _, _ in lines], return_inverse=True)
    numbers = np.array([fields[1:] for fields in lines], dtype=np.int64)
    known, templates = np.unique(numbers[:, 0], return_inverse=True)
    test = TemplateTest(places, templates, numbers[:, 1], *_tests(metadata, known))
    points = _optional(metadata, "*_name_5pts_score.txt")
    used = [photographs[row] for row in rows]
    landmarks = None if points is None else _landmarks(points, [name for name, _, _ in lines], places)
    if landmarks is not None and _are_of_larger_images(landmarks, used):
        landmarks = None
    kinds = [f"{len(test.pairs.left):,} comparisons"] if test.pairs is not None else []
    if test.probes is not None:
        kinds.append(f"{len(test.probes.templates):,} probes in {len(test.galleries)} galleries")
    title = f"{len(known):,} templates of {len(rows):,} images: {', '.join(kinds)}"
    return Benchmark(title, used, partial(template_figures, test), landmarks)


def _tests(metadata: Path, known: NDArray[np.int64]) -> tuple[Comparisons | None, list[Enrolled], Enrolled | None]:
    pairs = _optional(metadata, "*_template_pair_label.txt")
    galleries = sorted(metadata.glob("*_1N_gallery_*.csv"))
    if pairs is None and not galleries:
        raise NonesuchError(
            f"{metadata}: neither *_template_pair_label.txt (1:1) nor *_1N_gallery_*.csv (1:N) is there; "
            "copy IJB's metadata files into it"
        )
    probes = _enrolled(_one(metadata, "*_1N_probe_mixed.csv"), known) if galleries else None
    comparisons = None if pairs is None else _pairs(pairs, known)
    return comparisons, [_enrolled(path, known) for path in galleries], probes


def _pairs(path: Path, known: NDArray[np.int64]) -> Comparisons:
    wrong = f"{path}: not lines of 'template template label' with a label of 1 or 0"
    if not _text(path, 1):
        raise NonesuchError(wrong)
    try:
        table = np.loadtxt(path, dtype=np.int64, ndmin=2, encoding="utf-8-sig")
    except (ValueError, OSError) as error:
        raise NonesuchError(f"{wrong} ({error})") from error
    if table.shape[1:] != (3,) or not np.isin(table[:, 2], (0, 1)).all():
        raise NonesuchError(wrong)
    check_both_kinds(table[:, 2] == 1)
    left, right = (_places(table[:, side], known, path) for side in (0, 1))
    return Comparisons(left, right, table[:, 2] == 1, np.ones(len(table), dtype=np.int64))


def _enrolled(path: Path, known: NDArray[np.int64]) -> Enrolled:
    """A gallery or probe list: a line per image, from which the template and its subject are read."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            lines = list(csv.reader(handle))
    except (OSError, ValueError, csv.Error) as error:
        raise NonesuchError(f"{path}: not a readable CSV ({error})") from error
    header = [name.strip().upper() for name in lines[0]] if lines else []
    if not {"TEMPLATE_ID", "SUBJECT_ID"} <= set(header):
        raise NonesuchError(f"{path}: lacks the columns TEMPLATE_ID and SUBJECT_ID of IJB's lists")
    columns = [header.index(name) for name in ("TEMPLATE_ID", "SUBJECT_ID")]
    found: dict[int, int] = {}
    for number, line in enumerate(lines[1:], start=2):
        fields = [line[column] for column in columns] if len(line) > max(columns) else []
        if not _whole(fields) or not fields:
            raise NonesuchError(f"{path}: line {number} has no template and subject numbers")
        template, person = int(fields[0]), int(fields[1])
        if found.setdefault(template, person) != person:
            raise NonesuchError(f"{path}: line {number}: template {template} is of two subjects")
    if not found:
        raise NonesuchError(f"{path}: lists no templates")
    templates = _places(np.array(list(found), dtype=np.int64), known, path)
    return Enrolled(templates, np.array(list(found.values()), dtype=np.int64))


def _places(templates: NDArray[np.int64], known: NDArray[np.int64], path: Path) -> NDArray[np.int64]:
    """Places of templates among the known ones, which are ascending."""
    places = np.searchsorted(known, templates).clip(max=len(known) - 1)
    absent = known[places] != templates
    if absent.any():
        raise NonesuchError(f"{path}: template {templates[absent][0]} has no images in *_face_tid_mid.txt")
    return places.astype(np.int64)


def _landmarks(path: Path, names: list[str], places: NDArray[np.int64]) -> NDArray[np.float64]:
    """(N, 5, 2) landmarks of the images that the template list names; `places` says which image each name means."""
    found = np.full((int(places.max()) + 1, 5, 2), np.nan)
    place = dict(zip(names, places.tolist(), strict=True))
    for number, line in enumerate(_text(path).splitlines(), start=1):
        name, *fields = line.split() or [""]
        if name not in place:
            continue
        try:
            found[place[name]] = np.array(fields[:_LANDMARKS], dtype=np.float64).reshape(5, 2)
        except ValueError as error:
            raise NonesuchError(f"{path}: line {number} is not a name with five points") from error
    bad = ~usable(found)
    if bad.any():
        raise NonesuchError(f"{path}: {int(bad.sum())} of {len(found)} images have no landmarks in it")
    return found


def _are_of_larger_images(landmarks: NDArray[np.float64], photographs: Sequence[Photograph]) -> bool:
    """Whether the images are aligned crops of those that the landmarks are about; reads up to the first larger one."""
    if landmarks.min() >= 0 and landmarks.max() <= CROP_SIZE:
        return False
    for photograph in photographs:
        try:
            if photograph.read().shape[:2] != (CROP_SIZE, CROP_SIZE):
                return False
        except NonesuchError:  # counted as a failure to acquire, later
            continue
    return True


def _one(metadata: Path, pattern: str) -> Path:
    """The one file of a pattern."""
    path = _optional(metadata, pattern)
    if path is None:
        raise NonesuchError(f"{metadata}: no {pattern} there; --templates is the folder of IJB's metadata files")
    return path


def _optional(metadata: Path, pattern: str) -> Path | None:
    found: Sequence[Path] = sorted(metadata.glob(pattern))
    if len(found) > 1:
        raise NonesuchError(f"{metadata}: {found[0].name} and {found[1].name} are both there; keep one set in a folder")
    return found[0] if found else None


def _text(path: Path, characters: int = -1) -> str:
    try:
        with path.open(encoding="utf-8-sig") as handle:
            return handle.read(characters)
    except (OSError, UnicodeDecodeError) as error:
        raise NonesuchError(f"{path}: not readable ({error})") from error


def _whole(fields: Sequence[str]) -> bool:
    return all(field.strip().isdecimal() for field in fields)
