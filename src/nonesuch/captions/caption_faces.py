"""Describing each image of a dataset in words that can be checked."""

from dataclasses import dataclass
from pathlib import Path

from nonesuch.captions.captioned import GROUP, CaptionCounts, Look, caption_dataset, caption_table, perceived_table
from nonesuch.captions.endpoint import Endpoint
from nonesuch.captions.facts import NAMES, bits, names
from nonesuch.captions.funnel import EVERY, FUNNEL
from nonesuch.captions.grammar import Grammar, grammar_file
from nonesuch.captions.known import read_labels
from nonesuch.captions.local_model import LocalModel
from nonesuch.captions.reading import Reader
from nonesuch.captions.rewriting import Rewriter
from nonesuch.captions.thresholds import PRECISIONS, SHIPPED, read_thresholds
from nonesuch.captions.writing import Captioner
from nonesuch.core import files
from nonesuch.core.arguments import ABOVE_0, AT_LEAST_1, DTYPE, SEED, Choice, Number, checked
from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import AnyPath, as_path
from nonesuch.dataset.perceived_columns import perceive_dataset
from nonesuch.formats.manifest import is_dataset
from nonesuch.loop.progress import OnProgress, no_progress
from nonesuch.models import load_perceiver

ALL = bits(NAMES)
LEAST = Number(0, len(NAMES), whole=True)


@dataclass(frozen=True)
class CaptionedFaces:
    """What was written.

    Attributes:
        place: the table, or the folder of the dataset's columns.
        counts: of images, and the first captions.
        never: facts that are not said at this precision, because nothing shows that they would be right.
        no_words: facts that the grammar has no words for.
        funnel: photographs that each step of the funnel left; empty where there was none.
        rewrites: what became of the questions to a language model, by `nonesuch.captions.rewriting.KEPT` and others.
    """

    place: Path
    counts: CaptionCounts
    never: tuple[str, ...]
    no_words: tuple[str, ...]
    funnel: dict[str, int]
    rewrites: dict[str, int]


@checked(
    precision=Choice(PRECISIONS),
    funnel=FUNNEL,
    least=LEAST,
    rewrite_most=AT_LEAST_1,
    rewrite_seconds=ABOVE_0,
    seed=SEED,
    dtype=DTYPE,
)
def caption_faces(
    source: AnyPath,
    *,
    out: AnyPath | None = None,
    grammar: AnyPath = "english",
    precision: str = "0.9",
    thresholds: AnyPath | None = None,
    labels: AnyPath | None = None,
    least: int = 6,
    rewrite: str | None = None,
    rewrite_model: str = "",
    rewrite_most: int = 1000,
    rewrite_seconds: float = 30.0,
    funnel: str = EVERY,
    seed: int = 0,
    align: bool = False,
    model: str = "perceiver",
    device: str = "auto",
    dtype: str = "float32",
    on_progress: OnProgress = no_progress,
) -> CaptionedFaces:
    """Describe each image in words, of which each states a fact that was perceived or is known, and nothing else.

    Args:
        source: a dataset of ours, which gets columns; or an image, a folder, a published set, or the table that
            `perceive_faces` made of these, which take `out`.
        out: Parquet table to write; None adds columns to the dataset.
        grammar: "english", "german", "everyday" (English as people search), or a file written as these are.
        precision: a fact is said where statements like it are right in at least this share of labelled photographs.
        thresholds: what `calibrate_captions` wrote; None for what ships, which is for the shipped heads.
        labels: table with a column `file` or `key` and true values, which take precedence over what is perceived.
        least: images with fewer facts get no caption.
        rewrite: address of an OpenAI-compatible endpoint, or a folder of transformers (needs `nonesuch[llm]`), whose
            language model says sentences in more natural words; what it changes is not taken. None keeps the grammar's.
        rewrite_model: the model's name at the endpoint; "" where it has only one.
        rewrite_most: questions that it is asked at most; answers are remembered beside the captions.
        rewrite_seconds: to wait for an answer.
        funnel: which photographs are taken: all with a face ("none"), or those that fulfil the rules of FaceCaption-15M
            ("facecaption") or FaceID-6M ("faceid"); a dataset of ours needs none.
        seed: another one gives other words; the same gives the same, image by image.
        align: detect and align 112x112 images too, which otherwise count as aligned.
        model: the perception heads, by name or file, where the columns are not there yet.
        device, dtype: of the networks.
        on_progress: told how many are done.

    Raises:
        NonesuchError: the grammar or a table cannot be used, there are no images, none shows a face, the dataset is
            incomplete, or a place cannot be written.

    Example:
        nonesuch.caption_faces("faces").counts.first
    """
    folder = as_path(source)
    _check_place(folder, out, align, funnel)
    words = Grammar(grammar_file(grammar))
    perceiver = load_perceiver(model, device, dtype)
    shown_by = SHIPPED if thresholds is None else as_path(thresholds)
    sure = read_thresholds(shown_by, perceiver.card.sha256).at(precision)
    place = folder / "columns" / GROUP if out is None else as_path(out)
    rewriter = None
    if rewrite is not None:
        writer = (
            LocalModel(as_path(rewrite), device)
            if Path(rewrite).is_dir()
            else Endpoint(rewrite, rewrite_model, rewrite_seconds)
        )
        rewriter = _rewriter(writer, words, place, rewrite_most, on_progress)
    captioner = Captioner(words, sure, least, seed, rewriter)
    known = read_labels(as_path(labels)) if labels is not None else None
    left: dict[str, int] = {}
    if out is None:
        perceive_dataset(folder, perceiver, lambda done, total: on_progress("perceiving", done, total))
        made_by = captioner.signature(perceiver.card.sha256, files.sha256(as_path(labels)) if labels else "")
        counts = caption_dataset(folder, captioner, made_by, known, on_progress)
    else:
        with perceived_table(folder, place, perceiver, Look(device, align, funnel), on_progress) as (seen, left):
            counts = caption_table(seen, place, captioner, known, on_progress)
    never = tuple(name for name in names(words.can_say) if name not in sure)
    asked = dict(rewriter.counts) if rewriter else {}
    return CaptionedFaces(place, counts, never, tuple(names(ALL & ~words.can_say)), left, asked)


def _rewriter(
    model: Endpoint | LocalModel, words: Grammar, captions: Path, most: int, on_progress: OnProgress
) -> Rewriter:
    """A language model that answers, the reader that checks it, and the place beside captions for its answers."""
    reader = words.path.with_suffix(".lark")
    if not reader.is_file():
        raise NonesuchError(
            f"--rewrite: what a model answers is read back by {reader.name} beside the grammar, and there is none: "
            "take --grammar english, or write one"
        )
    model.check()
    place = captions.with_suffix(".rewrites.jsonl") if captions.suffix else captions / "rewrites.jsonl"
    files.make_folder(place.parent)
    return Rewriter(model, Reader(reader), place, most, lambda asked: on_progress("rewriting", asked, most))


def _check_place(folder: Path, out: AnyPath | None, align: bool, funnel: str) -> None:
    """Refuse what cannot work before anything is loaded."""
    if not folder.exists():
        raise NonesuchError(f"{folder}: no such file or folder")
    if out is not None:
        return
    if not is_dataset(folder):
        raise NonesuchError(f"{folder}: not a dataset of nonesuch; name the table to write with --out TABLE.parquet")
    if align or funnel != EVERY:
        raise NonesuchError(f"--{'align' if align else 'funnel'}: a dataset's images are aligned faces; leave it out")
    if not files.can_write(folder):
        raise NonesuchError(f"{folder}: cannot be written; name a table to write with --out TABLE.parquet")
