"""Options that several commands share, and how results are shown."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console

console = Console(highlight=False)  # for tables; lines go through click.echo, which never wraps them

PATH = click.Path(path_type=Path)

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])


def section(title: str, *options: Callable[[_Decorated], _Decorated]) -> Callable[[_Decorated], _Decorated]:
    """Options that stand together in the help of a `SectionedCommand`."""

    def decorate(function: _Decorated) -> _Decorated:
        for option in reversed(options):
            function = option(function)
            function.__click_params__[-1].section = title  # type: ignore[attr-defined]
        return function

    return decorate


class SectionedCommand(click.Command):
    """A command whose options stand in sections."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = None if isinstance(parameter, click.Argument) else parameter.get_help_record(ctx)
            if record is not None:
                sections.setdefault(getattr(parameter, "section", "Help"), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


seed = click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    default=0,
    show_default=True,
    help="Seed of everything random: the same seed gives the same result.",
)
device = click.option(
    "--device", default="auto", show_default=True, help="auto (a GPU where there is one), cpu, cuda, cuda:1, ..."
)
dtype = click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    default="float32",
    show_default=True,
    help="Precision of the networks; float16 needs a GPU, bfloat16 is fast on CPUs that multiply in it.",
)
generator = click.option(
    "--generator",
    default="vec2face_small",
    show_default=True,
    help="A shipped generator, or a .safetensors file with its card.",
)
embedder = click.option(
    "--embedder",
    default="mobilefacenet",
    show_default=True,
    help="A shipped embedder, or a .safetensors or .onnx file with its card.",
)
sampling = click.option(
    "--sampling",
    type=click.Choice(["pca", "sphere"]),
    help="pca: like real people's vectors; sphere: uniform. Default: pca where the generator has statistics.",
)
statistics = click.option("--statistics", type=PATH, help="Identity statistics to use instead of the generator's own.")
max_similarity = click.option(
    "--max-similarity", type=float, help="Largest cosine between two identities. Default: from --fmr."
)
fmr = click.option(
    "--fmr",
    type=click.FloatRange(0, 1, min_open=True),
    help="The same as a false match rate of the embedder: 1e-3, 1e-4 (the default) or 1e-5.",
)
labelled_data = click.option(
    "--data", type=PATH, multiple=True, required=True, help="Dataset, folder or tar; repeatable."
)
from_generator = click.option(
    "--from-generator",
    help="Make the images of --data, datasets or their plans, by this generator as they are needed, and store none.",
)
where = click.option("--where", help="Only images whose columns meet this, as 'quality > 40 and abs(yaw) < 30'.")
excluded = click.option("--exclude", "excluded", type=PATH, help="Text file of people or files to leave out.")
cache = click.option("--cache", is_flag=True, help="Keep all images decoded in memory, 38 KB each, in each process.")
images_seen = click.option("--images", type=click.IntRange(1), help="Images to see in all.  [default: the recipe's]")
batch = click.option("--batch", type=click.IntRange(1), help="Images per step.  [default: the recipe's]")
epochs = click.option(
    "--epochs", type=click.FloatRange(0, min_open=True), help="Over the data.  [default: the recipe's]"
)
lr = click.option("--lr", type=click.FloatRange(0, min_open=True), help="Peak learning rate.  [default: the recipe's]")
licence = click.option("--licence", default="not stated", help="Licence of the weights, for the card.")
about_data = click.option(
    "--about-data", default="", help="What is known of the data's licence and consent, for the card."
)
