"""Commands about models and their weights."""

from pathlib import Path
from typing import Any

import click
from rich.table import Table

import nonesuch.weight_files as weight_files
from nonesuch.cli import options
from nonesuch.core.errors import NonesuchError
from nonesuch.core.weights import card_path
from nonesuch.models import card_type, list_models, shipped_names


@click.command(cls=options.SectionedCommand)
@click.argument("pattern", default="*")
def models(pattern: str) -> None:
    """List the models whose name fits PATTERN, and whether their weights ship with the package.

    \b
    Example:
      nonesuch models 'vec2face*'
    """
    names = list_models(pattern)
    if not names:
        raise NonesuchError(f"no model fits {pattern!r}; the known ones are {', '.join(list_models())}")
    shown = Table("model", "kind", "weights")
    shipped = shipped_names()
    for name in names:
        kind = card_type(name).kind
        shown.add_row(name, kind, "ship with the package" if name in shipped else "import-weights or train")
    options.print_table(shown)


@click.command(cls=options.SectionedCommand)
@click.argument("checkpoint", type=options.PATH)
@click.option("--out", type=options.PATH, required=True, help="The weight file to write.")
@click.option("--architecture", required=True, help="A name from 'nonesuch models', or onnx.")
@click.option("--name", help="What to call the weights.  [default: the name of --out]")
@click.option("--licence", default="not stated", show_default=True, help="Licence of the weights.")
@click.option("--training-data", default="not stated", show_default=True, help="What they were trained on.")
@click.option("--colour", type=click.Choice(["rgb", "bgr"]), default="rgb", show_default=True, help="Embedder's input.")
@click.option("--mean", default=127.5, show_default=True, help="Subtracted from the embedder's input, in 0..255.")
@click.option("--std", default=127.5, show_default=True, help="What the input is then divided by.")
@click.option("--threshold", multiple=True, help="Embedder's cosine at an FMR, such as 1e-4=0.38; repeatable.")
@click.option("--decodes", default="", help="Generator: the embedder whose vectors it takes, a file or a name.")
@click.option(
    "--part",
    type=options.PATH,
    multiple=True,
    help="A further file or folder of the same model, such as a latent diffusion's VAE, or LCM-LoRA; repeatable.",
)
@click.option("--vocabulary", type=options.PATH, help="Text-image model: its tokens, one a line, as BERT's vocab.txt.")
def import_weights(checkpoint: Path, out: Path, threshold: tuple[str, ...], **given: Any) -> None:
    """Turn a published CHECKPOINT (.pth, .safetensors, .onnx) into a weight file with a card beside it.

    Checkpoints are read without running code. Of a folder as diffusers and transformers write it, the weight file in it
    is taken. The name of --out ends in .safetensors, or in .onnx for --architecture onnx.

    \b
    Examples:
      nonesuch import-weights vec2face.pth --out v2f.safetensors --architecture vec2face_base \\
          --decodes arcface_r100.safetensors --licence MIT
      nonesuch import-weights magface.pth --out magface.safetensors --architecture iresnet100 \\
          --colour bgr --mean 0 --std 255
      nonesuch import-weights w600k_r50.onnx --out r50.onnx --architecture onnx
      nonesuch import-weights ema_averaged_model.ckpt --part encoder.ckpt --part decoder.ckpt \\
          --out idiff.safetensors --architecture idiff --decodes elasticface.safetensors
      nonesuch import-weights Arc2Face/arc2face --part Arc2Face/encoder --part stable-diffusion-v1-5/vae \\
          --out arc2face.safetensors --architecture arc2face --decodes arcface.onnx
      nonesuch import-weights flip.pth --out flip.safetensors --architecture flip_base --vocabulary vocab.txt
    """
    cosines = options.name_numbers("--threshold", threshold, "FMR=cosine, such as 1e-4=0.38")
    card = weight_files.import_weights(checkpoint, out, threshold=cosines, **given)
    click.echo(f"{out}: {card.name}, with its card {card_path(out)}; fill in what you know of it")


@click.command(cls=options.SectionedCommand)
@click.argument("embedder")
@click.option("--out", type=options.PATH, required=True, help="The .onnx file to write.")
def export_weights(embedder: str, out: Path) -> None:
    """Write an EMBEDDER, a shipped name or a .safetensors file, as an ONNX file with a card beside it.

    The file is run on random images, and refused if its embeddings differ from the network's by more than 1e-4 of their
    length. It takes crops as the card's preprocessing says, any number at a time, and gives raw embeddings.

    \b
    Example:
      nonesuch export-weights run/mini.safetensors --out mini.onnx
    """
    exported = weight_files.export_weights(embedder, out)
    click.echo(
        f"{out}: differs from {embedder} by {exported.difference:.1e} of an embedding's length, on random images"
    )


@click.command(cls=options.SectionedCommand)
@click.argument("inputs", metavar="IN...", nargs=-1, required=True, type=options.PATH)
@click.option("--out", type=options.PATH, required=True, help="The .safetensors file to write.")
def average_weights(inputs: tuple[Path, ...], out: Path) -> None:
    """Write the mean of the weight files IN with a card; they are ends of runs that continued one another.

    The mean of a few ends is often better than each (stochastic weight averaging, arXiv 1803.05407): what they share is
    kept, what each overdid is damped. All must be of one network; generators must decode the same vectors.

    \b
    Example:
      nonesuch average-weights run1/vec2face_small.safetensors run2/vec2face_small.safetensors --out mean.safetensors
    """
    weight_files.average_weights(inputs, out)
    click.echo(f"{out}: mean of {len(inputs)} weight files, with its card {card_path(out)}")
