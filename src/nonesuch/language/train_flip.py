"""Training FLIP on images and what is said of them."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nonesuch.captions.grammar import Grammar, grammar_file
from nonesuch.core import files, weights
from nonesuch.core.arguments import Choice, checked
from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import AnyPath, as_path, as_paths, as_texts, path_or_none
from nonesuch.core.seeding import derive_seed
from nonesuch.embedders.embedder import Embedder
from nonesuch.flip.card import FlipCard
from nonesuch.flip.maps import CHANNELS
from nonesuch.flip.network import Flip
from nonesuch.flip.presets import FLIP_RECIPES, FLIPS, FlipRecipe
from nonesuch.flip.pretraining import POSITIVES, FlipPretraining, own_tensors
from nonesuch.flip.word_pieces import JOINT, WordPieces, learned
from nonesuch.formats.photograph_lists import exclude as without
from nonesuch.formats.photograph_lists import excluded_names, listed
from nonesuch.language.captioned_images import CaptionedImages, read_captioned
from nonesuch.language.flip_samples import MAPS, FlipSamples, store_maps
from nonesuch.language.wording import Wording
from nonesuch.loop import distributed
from nonesuch.loop.progress import OnProgress, no_progress
from nonesuch.loop.run_images import images_of_run
from nonesuch.loop.runs import LIMITS, Paths, RunOptions, Schedule, Trained, recipe_named, sources
from nonesuch.loop.trainer import Batch, Player, Trainer
from nonesuch.models import create_model, load_embedder
from nonesuch.training.crop_check import check_every_crop

_SHOWN = 20_000  # texts that a vocabulary is learned from


@dataclass(frozen=True)
class _Given:
    """What the caller wants; `path` is that of the weights."""

    path: Path
    data: list[Path]
    captions: list[Path]
    wording: Wording
    exclude: list[Path]
    allow_unknown: bool
    positives: str
    vocabulary: Path | None


class FlipTask:
    """The network with its twins and queues, and its losses."""

    def __init__(self, learner: FlipPretraining) -> None:
        self.learner = learner

    @property
    def players(self) -> list[Player]:
        """One."""
        return [Player(self.learner, self.losses)]

    def losses(self, batch: Batch, seen: int) -> dict[str, torch.Tensor]:
        """Loss terms of a batch of `FlipSamples`."""
        return self.learner(batch, seen)


@checked(preset=Choice(tuple(sorted(FLIP_RECIPES))), positives=Choice(POSITIVES), **LIMITS)
def train_flip(
    out: AnyPath,
    data: Paths,
    *,
    captions: Paths = (),
    grammar: Paths = ("english", "everyday"),
    as_written: bool = False,
    exclude: Paths = (),
    allow_unknown: bool = False,
    preset: str = "flip_small",
    positives: str = "facts",
    vocabulary: AnyPath | None = None,
    images_seen: int | None = None,
    epochs: float | None = None,
    batch: int | None = None,
    accumulate: int = 1,
    lr: float | None = None,
    licence: str = "not stated",
    about_data: str = "",
    seed: int = 0,
    device: str = "auto",
    dtype: str = "float32",
    on_progress: OnProgress = no_progress,
) -> Trained:
    """Train FLIP, as `nonesuch flip train` does; a repeated call resumes.

    Args:
        out: the run's folder; OUT/PRESET.safetensors is the model.
        data: datasets of ours with captions, and other labelled images of which `captions` speak.
        captions: tables that `caption_faces` or `import_captions` wrote.
        grammar: grammars that say an image's facts anew each time it is seen, one drawn each time.
        as_written: learn from the captions as they are; `grammar` then plays no part.
        exclude, allow_unknown: text files of people or files to leave out; whether they may name what is not there.
        preset: network and recipe, of `FLIP_RECIPES`; None below means what the recipe says.
        positives: what counts as true of an image: `facts` (equal texts, and texts whose stated facts all hold),
            `equal` texts, or the `diagonal` alone, as published.
        vocabulary: a text file of tokens, one a line, in BERT's form; None learns one from the texts.
        images_seen, epochs: how long; at most one of them is given.
        batch, accumulate, lr: images per step, parts that a batch is split into, peak learning rate.
        licence, about_data: of the weights and of the data's licence and consent, for the card.
        seed: of everything random.
        device, dtype: "auto", "cpu", "cuda", ...; "float32", "bfloat16", "float16" (GPU only).
        on_progress: told how far the training is.

    Returns:
        The weight file and the images seen.

    Raises:
        NonesuchError: options conflict, data cannot be used, `out` holds another run, or the training diverges.

    Example:
        nonesuch.train_flip("run", "celeba112.tar", captions="celeba.parquet").weights
    """
    recipe = recipe_named(FLIP_RECIPES, preset)
    schedule = Schedule(images_seen=images_seen, epochs=epochs, batch=batch, accumulate=accumulate, lr=lr)
    run = RunOptions(schedule=schedule, seed=seed, device=device, dtype=dtype, licence=licence, about_data=about_data)
    grammars = [] if as_written else [Grammar(grammar_file(name)) for name in as_texts(grammar)]
    given = _Given(
        as_path(out) / f"{preset}.safetensors",
        sources(data),
        as_paths(captions),
        Wording(grammars),
        as_paths(exclude),
        allow_unknown,
        positives,
        path_or_none(vocabulary),
    )
    return _train(given, recipe, run, on_progress)


def _train(given: _Given, recipe: FlipRecipe, run: RunOptions, on_progress: OnProgress) -> Trained:
    folder, preset = given.path.parent, given.path.stem
    with run.processes() as place:
        captioned = _kept(given)
        images = images_of_run(folder, partial(listed, captioned.photographs))
        settings = run.settings(recipe, len(images))
        if settings.batch > recipe.losses.queue:
            raise NonesuchError(
                f"--batch {settings.batch}: the queue of {preset} remembers {recipe.losses.queue}; give less"
            )
        pieces = _pieces(given, captioned, preset, run.seed)
        sees_maps = FLIPS[preset]["image"]["channels"] == CHANNELS
        below = load_embedder("mobilefacenet", str(place)) if sees_maps else None
        what = {
            "preset": preset,
            "embedder": below.card.sha256 if below else "",
            "data": images.signature,
            "captions": captioned.signature,
            "wording": given.wording.signature,
            "positives": given.positives,
            "vocabulary": files.text_sha256("\n".join(pieces.number)),
        }
        torch.manual_seed(run.seed)
        sizes = {"text": FLIPS[preset]["text"] | {"words": len(pieces)}}
        network = create_model(preset, **sizes)
        assert isinstance(network, Flip)
        with run.claimed(folder, settings, what, images):
            check_every_crop(captioned.photographs, folder, on_progress)
            stored = _stored_maps(folder / MAPS, captioned, below, on_progress) if below else None
            losses = replace(recipe.losses_over(settings.images), positives=given.positives)
            task = FlipTask(FlipPretraining(network, losses, pieces.number[JOINT]).to(place))
            side = network.visual_encoder.side
            samples = FlipSamples(captioned, stored, given.wording, pieces, side, distributed.world_size() > 1)
            card = _card(given, captioned, network, pieces, below, sizes, run)
            trainer = Trainer(task, images.placed(samples), settings, folder, place, what)

            def export() -> None:
                weights.save(given.path, weights.halved(own_tensors(trainer.averaged())), card)

            trainer.run(lambda progress: progress.tell(on_progress), export)
    return Trained(given.path, trainer.seen)


def _stored_maps(
    path: Path, captioned: CaptionedImages, embedder: Embedder, on_progress: OnProgress
) -> NDArray[np.float16]:
    distributed.first_does(lambda: store_maps(path, captioned, embedder, on_progress))
    stored: NDArray[np.float16] = np.load(path, mmap_mode="r", allow_pickle=False)
    return stored


def _kept(given: _Given) -> CaptionedImages:
    captioned = read_captioned(given.data, given.captions, split="train")
    if not given.exclude:
        return captioned
    names = excluded_names(given.exclude, captioned.photographs, given.allow_unknown)
    return captioned.chosen([row for row, item in enumerate(captioned.photographs) if without([item], names)])


def _pieces(given: _Given, captioned: CaptionedImages, preset: str, seed: int) -> WordPieces:
    """The given vocabulary, or one learned from texts such as training will show."""
    sizes = FLIPS[preset]["text"]
    if given.vocabulary is not None:
        return WordPieces(files.read_text(given.vocabulary).split("\n"), sizes["positions"])
    rows = np.arange(_SHOWN) % len(captioned.captions)
    texts = (
        given.wording.text(captioned.captions[row], int(captioned.facts[row]), derive_seed(seed, place))[0]
        for place, row in enumerate(rows)
    )
    return WordPieces(learned(texts, sizes["words"]), sizes["positions"])


def _card(
    given: _Given,
    captioned: CaptionedImages,
    network: Flip,
    pieces: WordPieces,
    embedder: Embedder | None,
    sizes: dict[str, Any],
    run: RunOptions,
) -> FlipCard:
    names = ", ".join(sorted({path.name for path in given.data}))
    words = given.wording.told or "captions as they are"
    return FlipCard(
        name=given.path.stem,
        architecture=given.path.stem,
        sizes=sizes,
        sha256="",
        licence=run.licence,
        source="trained with 'nonesuch flip train'",
        training_data=f"{len(captioned.photographs):,} images from {names}; {words}. {run.about_data}".strip(),
        dim=network.text_proj.out_features,
        vocabulary=list(pieces.number),
        embedder=embedder.name if embedder else "",
        embedder_sha256=embedder.card.sha256 if embedder else "",
    )
