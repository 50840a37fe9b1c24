"""Testing embedders on labelled images, from the files of a test to its figures and report."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nonesuch.core import files
from nonesuch.core.arguments import DTYPE, checked
from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import AnyPath, as_path, as_texts, path_or_none
from nonesuch.core.version import VERSION
from nonesuch.evaluation.benchmarks import Benchmark, packed_benchmark, pair_benchmark, people_benchmark
from nonesuch.evaluation.ijb import template_benchmark
from nonesuch.evaluation.probes import Embedded, embed_images
from nonesuch.evaluation.time_limit import pipeline_milliseconds, time_limit_figures
from nonesuch.evaluation.tinyface import is_tinyface, tinyface_benchmark
from nonesuch.formats.labels import FIRST
from nonesuch.formats.packed_pairs import SUFFIXES
from nonesuch.formats.readers import find
from nonesuch.loop.progress import OnProgress, no_progress
from nonesuch.models import load_detector, load_embedder
from nonesuch.pages.writers import MISSING, writer


@dataclass(frozen=True)
class Protocol:
    """The files that make a test; see `evaluate_embedders`.

    Raises:
        NonesuchError: they contradict one another.
    """

    data: Path
    folds: str | None = None
    pairs: Path | None = None
    templates: Path | None = None
    people: Path | None = None
    groups: Path | None = None
    allow_unknown: bool = False

    def __post_init__(self) -> None:
        lists = {"--pairs": self.pairs, "--templates": self.templates, "--people": self.people}
        given = [name for name, path in lists.items() if path is not None]
        if self.is_packed and given:
            raise NonesuchError(f"{self.data}: a packed set has its own pairs; leave out {' and '.join(given)}")
        if len(given) > 1:
            raise NonesuchError(f"{' and '.join(given)}: give one of them")
        if self.groups is not None and self.pairs is None:
            raise NonesuchError("--groups goes with --pairs, whose images have their people's names")
        if self.folds is not None and self.pairs is None and not self.is_packed:
            raise NonesuchError("--folds goes with --pairs or a packed set")

    @property
    def is_packed(self) -> bool:
        """Whether the images are a packed set: aligned, with their pairs."""
        return self.data.suffix.lower() in SUFFIXES

    def about(self) -> dict[str, str]:
        """Its files and their kinds, in words."""
        named = {"images": self.data, **{key: getattr(self, key) for key in ("pairs", "templates", "people", "groups")}}
        told = {key: str(path) for key, path in named.items() if path is not None}
        return told if self.folds is None else {**told, "folds": self.folds}

    def benchmark(self) -> Benchmark:
        """Read them."""
        if self.is_packed:
            return packed_benchmark(self.data, self.folds)
        named = (self.pairs or self.templates) and self.groups is None  # by file: labels play no part
        photographs = list(find(self.data, label=FIRST if named else None))
        if self.pairs is not None:
            return pair_benchmark(photographs, self.pairs, self.folds, self.groups)
        if self.templates is not None:
            return template_benchmark(photographs, self.templates)
        if self.people is None and is_tinyface(photographs):
            return tinyface_benchmark(photographs)
        return people_benchmark(photographs, self.people, self.allow_unknown)


@dataclass(frozen=True)
class Evaluation:
    """The results of a test.

    Attributes:
        title: what was compared, in words.
        figures: by embedder, JSON-ready, as `json` holds them.
        problems: in words, of each image that shows no face.
    """

    title: str
    figures: dict[str, dict[str, Any]]
    problems: tuple[str, ...]


@checked(dtype=DTYPE)
def evaluate_embedders(
    data: AnyPath,
    embedder: str | Sequence[str] = ("mobilefacenet",),
    *,
    pairs: AnyPath | None = None,
    templates: AnyPath | None = None,
    folds: str | None = None,
    people: AnyPath | None = None,
    allow_unknown: bool = False,
    groups: AnyPath | None = None,
    flip: bool = True,
    align: bool = False,
    time_limit: bool = False,
    json: AnyPath | None = None,
    report: AnyPath | None = None,
    device: str = "auto",
    dtype: str = "float32",
    on_progress: OnProgress = no_progress,
) -> Evaluation:
    """Test how well embedders tell people apart.

    Args:
        data: a source of labelled images, or a packed set (`.bin`, `.xz`), which has its own pairs.
        embedder: shipped ones by name, or files with their cards.
        pairs: pairs.txt, a CSV (left, right, mated), or CFP's protocol folder.
        templates: folder of IJB's metadata files.
        folds: only these folds of the pairs, such as "8-10" or "1,2,5".
        people, allow_unknown: without `pairs`: only the people of this list; whether it may name who is not there.
        groups: CSV with identity, group: error rates of each group as well.
        flip: sum the embeddings of crop and mirror image.
        align: detect and align 112x112 images too, which otherwise count as aligned.
        time_limit: time each image on one core; figures under limits of 100, 500 and 1000 ms (FRUITS).
        json, report: files for all figures, and for a page with their curves.
        device, dtype: of the networks.
        on_progress: told what is being done.

    Raises:
        NonesuchError: options that contradict one another, files that cannot be read or written, nothing to compare.

    Example:
        nonesuch.evaluate_embedders("lfw", "run/mini.safetensors", pairs="pairs.txt", report="lfw.html")
    """
    lists = {"pairs": pairs, "templates": templates, "people": people, "groups": groups}
    given = {name: path_or_none(path) for name, path in lists.items()}
    protocol = Protocol(as_path(data), folds, **given, allow_unknown=allow_unknown)
    outputs = path_or_none(json), path_or_none(report)
    if protocol.is_packed and align:
        raise NonesuchError(f"{data}: a packed set holds aligned images; leave out --align")
    write_report = None if report is None else writer("nonesuch.evaluation.report")
    if report is not None and write_report is None:
        raise NonesuchError(f"--report {MISSING}")
    files.check_outputs([path for path in outputs if path is not None])
    if not (names := list(dict.fromkeys(as_texts(embedder)))):
        raise NonesuchError("--embedder: name at least one")
    test, detector = protocol.benchmark(), load_detector(device)
    models = [load_embedder(name, device, dtype) for name in names]

    def told(done: int) -> None:
        on_progress("embedding", done, len(test.photographs))

    found, problems = embed_images(test.photographs, models, detector, flip, align, test.landmarks, told, protocol.data)
    figures = {}
    for name, part, model in zip(names, found, models, strict=True):
        common = {"flip": flip, "failed_to_acquire": len(problems), "sha256": model.card.sha256}
        figures[name] = {**test.figures(part), **common}
        if time_limit:
            on_progress(f"timing {name}", 0, 0)
            figures[name]["time_limit"] = _timed(name, test, part, flip, align, dtype)
    about = {"title": test.title, **protocol.about()}
    if outputs[0] is not None:
        first = {"test": about, "nonesuch": VERSION, **figures[names[0]]}
        files.write_json(outputs[0], {**first, "embedders": figures} if len(figures) > 1 else first)
    if outputs[1] is not None and write_report is not None:
        write_report(outputs[1], about, figures)
    return Evaluation(test.title, figures, tuple(problems))


def _timed(name: str, test: Benchmark, found: Embedded, flip: bool, align: bool, dtype: str) -> dict[str, Any]:
    alone = load_embedder(name, "cpu", "float32" if dtype == "float16" else dtype, threads=1)
    times = pipeline_milliseconds(test.photographs, alone, load_detector("cpu"), flip, align, test.landmarks)
    return time_limit_figures(test, found, times)
