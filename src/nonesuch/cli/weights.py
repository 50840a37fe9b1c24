"""Commands about models and their weights."""

import shutil
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import click
import torch
from rich.table import Table

from nonesuch.cli import options
from nonesuch.cli.options import console
from nonesuch.core import files, weights
from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import CROP_SIZE
from nonesuch.core.weights import read_card
from nonesuch.embedders.embedder import EmbedderCard
from nonesuch.embedders.onnx import OnnxNetwork
from nonesuch.embedders.onnx_export import export_onnx
from nonesuch.generators.generator import GeneratorCard
from nonesuch.models import card_type, create_model, list_models, load_embedder, shipped_names, weights_path

_WEIGHTS = (".safetensors", ".onnx")
_OF_ONE_RUN = ("name", "sha256", "source", "training_data", "licence", "measured", "limits")  # may differ in a mean


@click.command()
@click.argument("pattern", default="*")
def models(pattern: str) -> None:
    """List the models whose name fits PATTERN, and whether their weights ship with the package.

    \b
    Example:
      nonesuch models 'vec2face*'
    """
    names = list_models(pattern)
    if not names:
        raise NonesuchError(f"no model fits {pattern!r}; known are {', '.join(list_models())}")
    shown = Table("model", "kind", "weights")
    shipped = shipped_names()
    for name in names:
        kind = card_type(name).kind
        shown.add_row(name, kind, "ship with the package" if name in shipped else "import-weights or train")
    console.print(shown)


@click.command()
@click.argument("checkpoint", type=options.PATH)
@click.argument("out", type=options.PATH)
@click.option("--architecture", required=True, help="A name from 'nonesuch models', or onnx.")
@click.option("--name", help="What to call the weights.  [default: OUT's file name]")
@click.option("--licence", default="not stated", show_default=True, help="Licence of the weights.")
@click.option("--training-data", default="not stated", show_default=True, help="What they were trained on.")
@click.option("--colour", type=click.Choice(["rgb", "bgr"]), default="rgb", show_default=True, help="Embedder's order.")
@click.option("--mean", default=127.5, show_default=True, help="Subtracted from the embedder's input, in 0..255.")
@click.option("--std", default=127.5, show_default=True, help="What the input is then divided by.")
@click.option("--threshold", multiple=True, help="Embedder's cosine at an FMR, as 1e-4=0.38; repeatable.")
@click.option("--decodes", default="", help="Generator: the embedder whose vectors it takes, as a file, or by name.")
def import_weights(
    checkpoint: Path,
    out: Path,
    architecture: str,
    name: str | None,
    licence: str,
    training_data: str,
    colour: str,
    mean: float,
    std: float,
    threshold: tuple[str, ...],
    decodes: str,
) -> None:
    """Turn a published CHECKPOINT (.pth, .safetensors, .onnx) into the weight file OUT with a card beside it.

    Checkpoints are read without running code. OUT ends in .safetensors, or in .onnx for --architecture onnx.

    \b
    Examples:
      nonesuch import-weights vec2face.pth v2f.safetensors --architecture vec2face_base \\
          --decodes arcface_r100.safetensors --licence MIT
      nonesuch import-weights magface.pth magface.safetensors --architecture iresnet100 \\
          --colour bgr --mean 0 --std 255
      nonesuch import-weights w600k_r50.onnx r50.onnx --architecture onnx
    """
    suffix = ".onnx" if architecture == "onnx" else ".safetensors"
    if out.suffix != suffix:
        raise NonesuchError(f"{out}: for --architecture {architecture} the name must end in {suffix}")
    if not checkpoint.is_file():
        raise NonesuchError(f"{checkpoint}: no such weight file")
    common: dict[str, Any] = {
        "name": name or out.stem,
        "architecture": architecture,
        "sha256": "",
        "licence": licence,
        "source": f"imported from {checkpoint.name} (SHA-256 {files.sha256(checkpoint)})",
        "training_data": training_data,
    }
    preprocessing: dict[str, object] = {"size": CROP_SIZE, "colour": colour, "mean": mean, "std": std}
    thresholds = _thresholds(threshold)
    if architecture == "onnx":
        session = OnnxNetwork(checkpoint)
        preprocessing["size"] = side = session.size or CROP_SIZE
        width = session(torch.zeros(1, 3, side, side)).shape[1]
        with files.replacing(out) as temporary:
            shutil.copyfile(checkpoint, temporary)
        weights.write_card(
            out, EmbedderCard(**common, embedding_dim=width, preprocessing=preprocessing, thresholds=thresholds)
        )
    elif issubclass(kind := card_type(architecture), GeneratorCard):
        if not decodes:
            raise NonesuchError("--decodes: name the embedder whose vectors this generator takes")
        network = create_model(architecture, pretrained=checkpoint)
        known = read_card(weights_path(decodes), EmbedderCard) if decodes.endswith(_WEIGHTS) else None
        card = kind(
            **common,
            feature_dim=cast(int, network.feature_dim),
            embedder=known.name if known else decodes,
            embedder_sha256=known.sha256 if known else "",
        )
        weights.save(out, network.state_dict(), card)
    elif kind is EmbedderCard:
        network = create_model(architecture, pretrained=checkpoint).eval()
        with torch.inference_mode():
            width = network(torch.zeros(1, 3, CROP_SIZE, CROP_SIZE)).shape[1]
        embedder = EmbedderCard(**common, embedding_dim=width, preprocessing=preprocessing, thresholds=thresholds)
        weights.save(out, network.state_dict(), embedder)
    else:
        raise NonesuchError(f"--architecture {architecture}: neither an embedder nor a generator")
    click.echo(f"{out}: {common['name']}, with its card {weights.card_path(out)}; fill in what you know of it")


@click.command()
@click.argument("embedder")
@click.argument("out", type=options.PATH)
def export_weights(embedder: str, out: Path) -> None:
    """Write an EMBEDDER, a shipped name or a .safetensors file, as the ONNX file OUT with a card beside it.

    The file is run on random images, and refused if its embeddings differ from the network's by more than 1e-4 of their
    length. It takes crops as the card's preprocessing says, any number at a time, and gives raw embeddings.

    \b
    Example:
      nonesuch export-weights run/mini.safetensors mini.onnx
    """
    if out.suffix != ".onnx":
        raise NonesuchError(f"{out}: the name must end in .onnx")
    if weights.card_path(out).exists() and not out.exists():
        raise NonesuchError(f"{weights.card_path(out)}: is the card of the weights beside it; give {out} another name")
    model = load_embedder(embedder, "cpu")
    difference = export_onnx(model, out)
    source = f"{model.name} (SHA-256 {model.card.sha256}) as ONNX; {model.card.source}"
    weights.write_card(out, replace(model.card, architecture="onnx", sizes={}, source=source))
    click.echo(f"{out}: differs from {embedder} by {difference:.1e} of an embedding's length, on random images")


@click.command()
@click.argument("out", type=options.PATH)
@click.argument("inputs", metavar="IN...", nargs=-1, required=True, type=options.PATH)
def average_weights(out: Path, inputs: tuple[Path, ...]) -> None:
    """Write the mean of the weight files IN, ends of runs that continued one another, as OUT with a card.

    The mean of a few ends is often better than each (stochastic weight averaging, arXiv 1803.05407): what they share is
    kept, what each overdid is damped. All must be of one network and, if generators, decode the same vectors.

    \b
    Example:
      nonesuch average-weights mean.safetensors run1/vec2face_small.safetensors run2/vec2face_small.safetensors
    """
    if out.suffix != ".safetensors":
        raise NonesuchError(f"{out}: the name must end in .safetensors")
    if len(inputs) < 2:
        raise NonesuchError("give at least two weight files to average")
    kinds = [card_type(str(files.read_json(weights.card_path(path)).get("architecture"))) for path in inputs]
    cards = [read_card(path, kind) for path, kind in zip(inputs, kinds, strict=True)]
    for path, card in zip(inputs, cards, strict=True):
        first, other = ({k: v for k, v in asdict(c).items() if k not in _OF_ONE_RUN} for c in (cards[0], card))
        if first != other:
            differing = next(key for key in first if first[key] != other.get(key))
            raise NonesuchError(
                f"{path}: its card differs from {inputs[0]}'s in {differing}; average one network's runs"
            )
    mean = weights.mean([weights.load_checked(path, card) for path, card in zip(inputs, cards, strict=True)])
    statistics = getattr(cards[0], "statistics", "")
    if statistics and (inputs[0].parent / statistics).is_file():
        with files.replacing(out.parent / statistics) as temporary:
            shutil.copyfile(inputs[0].parent / statistics, temporary)
    parts = [f"{path.parent.name}/{path.name} ({card.sha256[:8]})" for path, card in zip(inputs, cards, strict=True)]
    source = f"mean of {', '.join(parts)}; the first: {cards[0].source}"
    data, licence = (_joined(getattr(card, name) for card in cards) for name in ("training_data", "licence"))
    new = replace(cards[0], name=out.stem, source=source, training_data=data, licence=licence, measured={})
    weights.save(out, mean, new)
    click.echo(f"{out}: mean of {len(inputs)} weight files, with its card {weights.card_path(out)}")


def _joined(texts: Iterable[str]) -> str:
    """Different texts, each once, in order."""
    return "; and: ".join(dict.fromkeys(texts))


def _thresholds(pairs: tuple[str, ...]) -> dict[str, float]:
    try:
        return {f"{float(rate):g}": float(cosine) for rate, cosine in (pair.split("=") for pair in pairs)}
    except ValueError as error:
        raise NonesuchError(f"--threshold {' '.join(pairs)}: write FMR=cosine, such as 1e-4=0.38") from error
