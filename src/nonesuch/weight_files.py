"""Weight files made from others: published checkpoints with a card, embedders as ONNX, means of several runs."""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nonesuch.core import files, weights
from nonesuch.core.arguments import Choice, checked
from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import AnyPath, as_path, as_paths, path_or_none
from nonesuch.core.images import CROP_SIZE
from nonesuch.core.weights import Card, read_card
from nonesuch.embedders.embedder import Embedder, EmbedderCard, Network
from nonesuch.embedders.onnx import OnnxNetwork
from nonesuch.embedders.onnx_export import export_onnx
from nonesuch.flip.card import FlipCard
from nonesuch.flip.checkpoints import WORDS, full_vocabulary, load_strictly, network_tensors
from nonesuch.flip.network import Flip
from nonesuch.flip.presets import FLIPS
from nonesuch.generators.arc2face.generator import DISTILLED_SAMPLING, Arc2FaceCard
from nonesuch.generators.generator import GeneratorCard
from nonesuch.models import card_type, create_model, load_embedder, read_arc2face, shipped_names, weights_path

_WEIGHTS = (".safetensors", ".onnx")
_TRIED = 3  # images that an imported embedder is tried on
_SAME = 0.01  # distance of two embeddings of one image, as a share of their length; float16 rounds
_MEND_BATCH = "export it in evaluation mode, with a dynamic batch axis"
_OF_ONE_RUN = ("name", "sha256", "source", "training_data", "licence", "measured", "limits")  # may differ in a mean


@dataclass(frozen=True)
class ExportedEmbedder:
    """An embedder that was written as ONNX.

    Attributes:
        card: of the new file.
        difference: largest difference of its embeddings from the network's on random images, as a share of their
            length.
    """

    card: EmbedderCard
    difference: float


@checked(colour=Choice(("rgb", "bgr")))
def import_weights(
    checkpoint: AnyPath,
    out: AnyPath,
    *,
    architecture: str,
    name: str | None = None,
    licence: str = "not stated",
    training_data: str = "not stated",
    colour: str = "rgb",
    mean: float = 127.5,
    std: float = 127.5,
    threshold: Mapping[str, float] | None = None,
    decodes: AnyPath = "",
    part: AnyPath | Sequence[AnyPath] = (),
    vocabulary: AnyPath | None = None,
) -> Card:
    """Turn a published checkpoint into a weight file with a card beside it; none of its code is run.

    Args:
        checkpoint: .pth, .safetensors, or .onnx; or a folder of diffusers or transformers that holds such a file.
        out: the weight file, .safetensors, or .onnx for the architecture "onnx".
        architecture: one of `nonesuch.list_models()`, or "onnx".
        name: what to call the weights; None for the file's name.
        licence: of the weights.
        training_data: what they were trained on.
        colour, mean, std: of an embedder's input, see `Preprocessing`.
        threshold: an embedder's cosines by FMR, such as {"1e-4": 0.38}.
        decodes: the embedder whose vectors a generator takes, as a weight file or by name.
        part: further files of the same model, such as the encoder and the decoder of a latent diffusion, or LCM-LoRA,
            which is merged.
        vocabulary: of a text-image model: its tokens, one a line, as BERT's vocab.txt.

    Returns:
        The card that was written.

    Raises:
        NonesuchError: the checkpoint is missing, does not fit the architecture or would run code, `out` is the
            checkpoint itself, has another suffix or the name of another weight file's card, the model is of a
            kind that is not imported, or an embedder, tried on random images, gives no vector for each.

    Example:
        nonesuch.import_weights("magface.pth", "magface.safetensors", architecture="iresnet100", colour="bgr")
    """
    checkpoint, out = as_path(checkpoint), as_path(out)
    suffix = ".onnx" if architecture == "onnx" else ".safetensors"
    if out.suffix != suffix:
        raise NonesuchError(f"{out}: for --architecture {architecture} the name must end in {suffix}")
    parts = as_paths(part)
    given = [checkpoint, *parts]
    checkpoint, *parts = (weights.checkpoint_file(path) for path in given)
    check_place(out, [checkpoint, *parts])
    common: dict[str, Any] = {
        "name": name or out.stem,
        "architecture": architecture,
        "sha256": "",
        "licence": licence,
        "source": "imported from "
        + ", ".join(
            f"{place.name if place == path else f'{place.name}/{path.name}'} (SHA-256 {files.sha256(path)})"
            for place, path in zip(given, (checkpoint, *parts), strict=True)
        ),
        "training_data": training_data,
    }
    if architecture != "onnx" and issubclass(card_type(architecture), GeneratorCard):
        return _import_generator([checkpoint, *parts], out, common, str(decodes))
    if parts:
        raise NonesuchError(f"--part {parts[0]}: such a model is one file")
    if architecture != "onnx" and issubclass(card_type(architecture), FlipCard):
        return _import_flip(checkpoint, out, common, path_or_none(vocabulary))
    preprocessing: dict[str, object] = {"size": CROP_SIZE, "colour": colour, "mean": mean, "std": std}
    common["thresholds"] = _by_rate(threshold or {})
    return _import_embedder(checkpoint, out, common, preprocessing)


def _by_rate(threshold: Mapping[str, float]) -> dict[str, float]:
    try:
        return {f"{float(rate):g}": cosine for rate, cosine in threshold.items()}
    except ValueError as error:
        raise NonesuchError(f"--threshold {' '.join(threshold)}: write FMR=cosine, such as 1e-4=0.38") from error


def _import_generator(checkpoints: list[Path], out: Path, fields: dict[str, Any], decodes: str) -> GeneratorCard:
    if not decodes:
        raise NonesuchError("--decodes: name the embedder whose vectors this generator takes")
    kind = card_type(fields["architecture"])
    assert issubclass(kind, GeneratorCard)
    if issubclass(kind, Arc2FaceCard):
        parts = read_arc2face(fields["architecture"], checkpoints)
        tensors, width = parts.tensors, parts.feature_dim
        fields |= {"distilled": True, "sampling": dict(DISTILLED_SAMPLING)} if parts.distilled else {}
    else:
        network = create_model(fields["architecture"], pretrained=checkpoints)
        tensors, width = network.state_dict(), int(network.feature_dim)  # type: ignore[arg-type]  # every generator's
    ours = decodes.endswith(_WEIGHTS) or decodes in shipped_names()
    known = read_card(weights_path(decodes), EmbedderCard) if ours else None
    if known and known.embedding_dim != width:
        raise NonesuchError(
            f"--decodes {decodes}: gives vectors of {known.embedding_dim} numbers, this generator takes {width}; name "
            "the embedder that it was trained with"
        )
    card = kind(
        **fields,
        feature_dim=width,
        embedder=known.name if known else decodes,
        embedder_sha256=known.sha256 if known else "",
    )
    return weights.save(out, tensors, card)


def _import_flip(checkpoint: Path, out: Path, fields: dict[str, Any], vocabulary: Path | None) -> FlipCard:
    if vocabulary is None:
        raise NonesuchError("--vocabulary: name the list of tokens that the text encoder was trained with")
    tensors = network_tensors(weights.load_checkpoint(checkpoint))
    if WORDS not in tensors:
        raise NonesuchError(f"{checkpoint}: not a checkpoint of FLIP: it lacks {WORDS}")
    words = len(tensors[WORDS])
    tokens = full_vocabulary(files.read_text(vocabulary).splitlines(), words, str(vocabulary))
    sizes = {"text": FLIPS[fields["architecture"]]["text"] | {"words": words}}
    network = create_model(fields["architecture"], **sizes)
    assert isinstance(network, Flip)
    load_strictly(network, tensors, str(checkpoint))
    card = FlipCard(**fields, sizes=sizes, dim=network.text_proj.out_features, vocabulary=tokens)
    return weights.save(out, network.state_dict(), card)


def _import_embedder(
    checkpoint: Path, out: Path, fields: dict[str, Any], preprocessing: dict[str, object]
) -> EmbedderCard:
    if fields["architecture"] == "onnx":
        session = OnnxNetwork(checkpoint)
        side = session.size or CROP_SIZE
        width = session(torch.zeros(1, 3, side, side)).shape[1]
        card = EmbedderCard(**fields, embedding_dim=width, preprocessing={**preprocessing, "size": side})
        weights.check_card(card)
        _check_gives_vectors(card, session, checkpoint)
        with files.replacing(out) as temporary:
            shutil.copyfile(checkpoint, temporary)
        return weights.write_card(out, card)
    if card_type(fields["architecture"]) is not EmbedderCard:
        raise NonesuchError(f"--architecture {fields['architecture']}: of a kind that is not imported")
    network = create_model(fields["architecture"], pretrained=checkpoint).eval()
    with torch.inference_mode():
        width = network(torch.zeros(1, 3, CROP_SIZE, CROP_SIZE)).shape[1]
    card = EmbedderCard(**fields, embedding_dim=width, preprocessing=preprocessing)
    _check_gives_vectors(card, network, checkpoint)
    return weights.save(out, network.state_dict(), card)


def _check_gives_vectors(card: EmbedderCard, network: Network, checkpoint: Path) -> None:
    """Raises NonesuchError unless random images give finite vectors that differ, and the same together as alone."""
    embedder = Embedder(card, network, torch.device("cpu"))
    crops = np.random.default_rng(0).integers(0, 256, (_TRIED, CROP_SIZE, CROP_SIZE, 3), dtype=np.uint8)
    alone = np.concatenate([embedder.embed(crops[row : row + 1]) for row in range(_TRIED)])
    if not np.isfinite(alone).all() or np.allclose(alone, alone[0], rtol=1e-6, atol=0):
        raise NonesuchError(
            f"{checkpoint}: its embeddings of random images are all the same, or NaN or infinity; check the weights, "
            "--mean and --std"
        )
    try:
        apart = np.linalg.norm(embedder.embed(crops) - alone, axis=1) / np.linalg.norm(alone, axis=1)
    except NonesuchError as error:
        raise NonesuchError(f"{checkpoint}: takes one image at a time only ({error}); {_MEND_BATCH}") from error
    if not (apart <= _SAME).all():
        raise NonesuchError(f"{checkpoint}: an image's embedding depends on its neighbours in a batch; {_MEND_BATCH}")


def export_weights(embedder: AnyPath, out: AnyPath) -> ExportedEmbedder:
    """Write an embedder as an ONNX file with a card beside it, after comparing the two on random images.

    Args:
        embedder: a name that ships with the package, or a .safetensors file with its card.
        out: the .onnx file.

    Returns:
        The new card, and how much the embeddings differ.

    Raises:
        NonesuchError: the embedder cannot be loaded or written as ONNX, the two differ by more than 1e-4 of an
            embedding's length, or `out` would replace the card of other weights.

    Example:
        nonesuch.export_weights("run/mini.safetensors", "mini.onnx").difference
    """
    out = as_path(out)
    if out.suffix != ".onnx":
        raise NonesuchError(f"{out}: the name must end in .onnx")
    check_place(out, [as_path(embedder)])
    model = load_embedder(str(embedder), "cpu")
    difference = export_onnx(model, out)
    source = f"{model.name} (SHA-256 {model.card.sha256}) as ONNX; {model.card.source}"
    card = weights.write_card(out, replace(model.card, architecture="onnx", sizes={}, source=source))
    return ExportedEmbedder(card, difference)


def average_weights(inputs: Sequence[AnyPath], out: AnyPath) -> Card:
    """Write the mean of weight files, ends of runs that continued one another (arXiv 1803.05407).

    Args:
        inputs: at least two .safetensors files of one network with their cards; generators must decode the same
            vectors. Identity statistics beside the first file are copied.
        out: the .safetensors file.

    Returns:
        The card that was written.

    Raises:
        NonesuchError: there are fewer than two files, their cards differ in more than belongs to a run, or `out` is one
            of them.

    Example:
        nonesuch.average_weights(["run1/mini.safetensors", "run2/mini.safetensors"], "mean.safetensors")
    """
    paths, out = as_paths(inputs), as_path(out)
    if out.suffix != ".safetensors":
        raise NonesuchError(f"{out}: the name must end in .safetensors")
    if len(paths) < 2:
        raise NonesuchError("give at least two weight files to average")
    check_place(out, paths)
    cards = _alike(paths)
    mean = weights.mean([weights.load_checked(path, card) for path, card in zip(paths, cards, strict=True)])
    bring_statistics(paths[0], cards[0], out)
    parts = [f"{path.parent.name}/{path.name} ({card.sha256[:8]})" for path, card in zip(paths, cards, strict=True)]
    source = f"mean of {', '.join(parts)}; the first: {cards[0].source}"
    data, licence = (_joined(getattr(card, name) for card in cards) for name in ("training_data", "licence"))
    new = replace(cards[0], name=out.stem, source=source, training_data=data, licence=licence, measured={})
    return weights.save(out, mean, new)


def _alike(paths: list[Path]) -> list[Card]:
    """The files' cards; raises NonesuchError where they are of different networks."""
    kinds = [card_type(str(files.read_json(weights.card_path(path)).get("architecture"))) for path in paths]
    cards = [read_card(path, kind) for path, kind in zip(paths, kinds, strict=True)]
    for path, card in zip(paths, cards, strict=True):
        first, other = ({k: v for k, v in asdict(c).items() if k not in _OF_ONE_RUN} for c in (cards[0], card))
        if first != other:
            differing = next(key for key in first if first[key] != other.get(key))
            raise NonesuchError(
                f"{path}: its card differs from {paths[0]}'s in {differing}; average one network's runs"
            )
    return cards


def bring_statistics(weights_file: Path, card: Card, out: Path) -> None:
    """Copy the identity statistics that lie beside a generator's weights, if there are any; others are not replaced."""
    name = getattr(card, "statistics", "")
    source, copy = weights_file.parent / name, out.parent / name  # the card's check lets no other name through
    if not name or not source.is_file():
        return
    if copy.is_file() and files.sha256(copy) != files.sha256(source):
        raise NonesuchError(f"{copy}: belongs to other weights; write into another folder")
    with files.replacing(copy) as temporary:
        shutil.copyfile(source, temporary)


def check_place(out: Path, inputs: Iterable[Path]) -> None:
    """Raises NonesuchError where the file to write is one of those that it is made from, or its card another file's."""
    if any(path.resolve() == out.resolve() for path in inputs):
        raise NonesuchError(f"--out {out}: is one of the files to read; give it another name")
    card = weights.card_path(out)  # net.safetensors and net.onnx would share one
    if not card.exists():
        return
    try:
        about = files.read_json(card).get("sha256")
    except NonesuchError:
        about = None
    if not out.is_file() or about != files.sha256(out):
        raise NonesuchError(f"{card}: is not the card of {out.name} but of other weights; give --out another name")


def _joined(texts: Iterable[str]) -> str:
    """Different texts, each once, in order."""
    return "; and: ".join(dict.fromkeys(texts))
