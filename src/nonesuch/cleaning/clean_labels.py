"""Cleaning the labels of a dataset, from its images to a manifest, a log and a page of questions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nonesuch.cleaning.answers import read_answers
from nonesuch.cleaning.cast import MOST_ROUNDS
from nonesuch.cleaning.cleaned_set import CleanedSet, check_names, clean_set, thresholds, write_decisions
from nonesuch.cleaning.features import features
from nonesuch.cleaning.uncertain import Case, Known, Thresholds, uncertain
from nonesuch.core import files
from nonesuch.core.arguments import AT_LEAST_1, COSINE, DTYPE, FMR, Number, checked
from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import AnyPath, as_path, as_paths
from nonesuch.core.version import VERSION
from nonesuch.embedders.embedder import EmbedderCard
from nonesuch.formats import relabelling
from nonesuch.formats.labels import LABEL
from nonesuch.formats.readers import find
from nonesuch.loop.progress import OnProgress, no_progress
from nonesuch.models import load_detector, load_embedder
from nonesuch.pages.writers import writer
from nonesuch.perception.detection import Detector
from nonesuch.perception.faces import CLOSEST, ONE_FACE, aligned_face, tell_several

MANIFEST, DECISIONS, REVIEW = "cleaned.parquet", "decisions.csv", "review.html"
_FMR = 1e-3
_OTHERWISE = "--face takes others; to sort all faces, clean the crops of 'nonesuch embed --face all --crops FOLDER'"


@dataclass(frozen=True)
class CleanedLabels:
    """What cleaning a dataset gave.

    Attributes:
        manifest: the Parquet file of the images that stay; any function that takes a dataset takes it.
        decisions: the CSV file of all decisions.
        review: the page of questions; None where there is none.
        no_review: in words, why there is none.
        cases: number of questions on the page.
        result: labels before and after, and each decision.
    """

    manifest: Path
    decisions: Path
    review: Path | None
    no_review: str
    cases: int
    result: CleanedSet


@checked(
    label=LABEL,
    face=ONE_FACE,
    fmr=FMR,
    same=COSINE,
    merge=COSINE,
    rounds=AT_LEAST_1,
    review=Number(0, whole=True),
    dtype=DTYPE,
)
def clean_labels(
    dataset: AnyPath,
    out: AnyPath,
    *,
    embedder: str = "mobilefacenet",
    fmr: float | None = None,
    same: float | None = None,
    merge: float | None = None,
    align: bool = False,
    label: str | None = None,
    face: str = CLOSEST,
    rounds: int = MOST_ROUNDS,
    answers: AnyPath | Sequence[AnyPath] = (),
    review: int = 100,
    device: str = "auto",
    dtype: str = "float32",
    on_progress: OnProgress = no_progress,
) -> CleanedLabels:
    """Find wrong labels, split identities and duplicates, as CAST (`nonesuch.cleaning.cast`); no image is touched.

    Args:
        dataset: a dataset of ours, a folder, a published set, or a manifest of this function.
        out: folder for the manifest, the log and the page.
        embedder: a shipped embedder, or a file with its card.
        fmr: false match rate at whose threshold two images count as one person; None for 1e-3.
        same: that threshold as a cosine, instead of `fmr`.
        merge: cosine of their means from which two identities count as one person; None for `thresholds`' choice.
        align: detect and align 112x112 images too, which otherwise count as aligned.
        label: the folder that names the identity where images lie several folders deep: "first", "second", or "last",
            the innermost; None for the first, unless that is called train or the like, or is a letter.
        face: which face of several: "closest-to-label", "largest" or "central", as in `embed_photographs`. The manifest
            remembers it.
        rounds: the most rounds to make.
        answers: files that the page saved; what a person decided wins over every threshold.
        review: most questions on the page, 0 for no page.
        device, dtype: of the networks.
        on_progress: told what is being done.

    Raises:
        NonesuchError: options that contradict one another, images that cannot be compared, `out` holding the dataset
            itself, or a full disk.

    Example:
        nonesuch.clean_labels("photographs", "cleaned", fmr=1e-4).manifest
    """
    dataset, out = as_path(dataset), as_path(out)
    if fmr is not None and same is not None:
        raise NonesuchError("--fmr and --same set the same threshold; give one of them")
    told = read_answers(as_paths(answers))
    manifest = out / MANIFEST
    if manifest.exists() and manifest.resolve() in relabelling.chain(dataset):
        raise NonesuchError(
            f"--out {out}: {MANIFEST} there is the dataset or one behind it, and would be replaced; name another folder"
        )
    photographs = find(dataset, label=label)
    check_names(photographs)
    model = load_embedder(embedder, device, dtype)
    limits = thresholds(model.card, _FMR if fmr is None else fmr, same, merge)
    with files.made_folder(out):
        detector = load_detector(device)
        total = len(photographs)
        found = features(
            photographs, model, detector, align, lambda done: on_progress("embedding", done, total), face, out
        )
        tell_several(dataset, found.faces, found.unclear, face, _OTHERWISE)
        on_progress("cleaning", 0, 0)
        result = clean_set(photographs, found, limits, told, rounds)
        if not result.images:
            raise NonesuchError(f"{dataset}: no image would stay; look at the answers and the thresholds")
        write_decisions(out / DECISIONS, result)
        cases = uncertain(found.vectors, result.cleaned, result.pairs, limits, result.answered, review)
        (out / REVIEW).unlink(missing_ok=True)  # an earlier page would ask about other labels, and holds photographs
        no_review = "there is nothing to ask" if review else "--review 0"
        if cases:
            no_review = _write_page(out / REVIEW, cases, result, detector, align, on_progress)
        made_by = _made_by(model.card, limits)
        relabelling.write(manifest, dataset, result.labels(), made_by, label, result.knows_faces)
    return CleanedLabels(manifest, out / DECISIONS, None if no_review else out / REVIEW, no_review, len(cases), result)


def _made_by(card: EmbedderCard, limits: Thresholds) -> dict[str, str]:
    return {
        "embedder": card.name,
        "embedder_sha256": card.sha256,
        "same": f"{limits.same:g}",
        "merge": f"{limits.merge:g}",
        "picture": f"{limits.picture:g}",
        "nonesuch": VERSION,
    }


def _write_page(
    path: Path, cases: Sequence[Case], result: CleanedSet, detector: Detector, align: bool, on_progress: OnProgress
) -> str:
    """Write the page; returns why there is none, "" where there is."""
    if (write_review := writer("nonesuch.cleaning.review", "write_review")) is None:
        return 'it needs jinja2: pip install "nonesuch[report]"'
    known = Known(
        result.features.vectors,
        result.name,
        result.identities,
        result.before,
        result.after,
        lambda row: aligned_face(result.photograph(row), detector, align)[0],
    )
    write_review(path, cases, known, lambda done: on_progress("drawing", done, len(cases)))
    return ""
