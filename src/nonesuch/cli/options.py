"""Options that several commands share, and how results are shown."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import click
from rich.console import Console
from rich.table import Table

from nonesuch.core.errors import NonesuchError
from nonesuch.formats.labels import LABEL
from nonesuch.loop import distributed

_MOST_PROBLEMS_SHOWN = 10
_UNBOUNDED = 1_000_000  # columns of a pipe or a file
Command = TypeVar("Command", bound=Callable[..., Any])

PATH = click.Path(path_type=Path)


class _Paths(click.Path):
    """A path; empty ones among several in an environment variable do not count."""

    def split_envvar_value(self, rv: str) -> Sequence[str]:
        return [part for part in rv.split(os.pathsep) if part]


def data(what: str) -> Callable[[Command], Command]:
    """The option --data of all trainings; `what` says in its help what may be given."""
    return click.option(
        "--data",
        type=_Paths(path_type=Path),
        multiple=True,
        required=True,
        envvar="NONESUCH_DATA",
        show_envvar=True,
        help=f"{what} of aligned 112x112 faces; repeatable.",
    )


class Decorator(Protocol):
    """What adds options to a command."""

    def __call__(self, function: Command, /) -> Command: ...


def section(title: str, *options: Decorator) -> Decorator:
    """Options that form a section in the help of a `SectionedCommand`."""

    def decorate(function: Command) -> Command:
        for option in reversed(options):
            function = option(function)
            function.__click_params__[-1].section = title  # type: ignore[attr-defined]
        return function

    return decorate


class SectionedCommand(click.Command):
    """A command with its options in sections.

    An option that names one file or folder is refused where it is given twice: the first would be dropped in silence.
    Of other options the last one holds, as it does for most programs.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing:
            _, _, given = self.make_parser(ctx).parse_args(list(args))
            for option in given:
                if isinstance(option, click.Option) and isinstance(option.type, click.Path) and not option.multiple:
                    values = sum(other is option for other in given)
                    if values > 1:
                        raise click.UsageError(f"{option.opts[0]} is given {values} times; give it once", ctx)
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = None if isinstance(parameter, click.Argument) else parameter.get_help_record(ctx)
            if record is not None:
                sections.setdefault(getattr(parameter, "section", "Options"), []).append(record)
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
    help="Precision of the networks; float16 needs a GPU, bfloat16 is fast on CPUs that have instructions for it.",
)
processes = click.option(
    "--processes",
    type=click.IntRange(1),
    help="Worker processes, each on a GPU of its own as far as there are GPUs.  [default: 1; with --ray one on each "
    "GPU of the cluster, or on each host]",
)
ray = click.option(
    "--ray",
    is_flag=False,
    flag_value="local",
    help="Render on a Ray cluster at this address; auto for the one this host belongs to, no address for one of this "
    "host alone. Needs nonesuch[cluster].",
)
shards = click.option(
    "--shards",
    help="Make only every N-th shard, from the I-th on: I/N, from 0/N; slurm reads it from the environment of a task "
    "of a SLURM array.  [default: all that no other process makes]",
)
generator = click.option(
    "--generator",
    default="idiff_fast",
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
    "--max-similarity", type=click.FloatRange(-1, 1), help="Largest cosine between two identities. Default: from --fmr."
)
fmr = click.option(
    "--fmr",
    type=click.FloatRange(0, 1, min_open=True),
    help="The same, as a false match rate of the embedder: 1e-3, 1e-4 (the default) or 1e-5.",
)
label = click.option(
    "--label",
    type=click.Choice(LABEL.words),
    help="Folder that names the identity where images lie several folders deep; last is the innermost.  [default: the "
    "first below the source]",
)
exclude = click.option(
    "--exclude", type=PATH, multiple=True, help="Text file of people or files to leave out; repeatable."
)
allow_unknown = click.option(
    "--allow-unknown", is_flag=True, help="A list may name people who are not there: they are counted, no error."
)
from_generator = click.option(
    "--from-generator",
    help="Make the images of --data, datasets or their plans, by this generator as they are needed, and store none.",
)
where = click.option("--where", help="Only images whose columns meet this, such as 'quality > 40 and abs(yaw) < 30'.")
cache = click.option(
    "--cache", is_flag=True, help="Keep all images decoded during the run, 38 KB each, in a file that a host shares."
)
workers = click.option(
    "--workers",
    type=click.IntRange(0, 256),
    default=0,
    show_default=True,
    help="Processes that load images ahead, for each GPU; 0 for a thread.",
)
images_seen = click.option(
    "--images-seen", type=click.IntRange(1), help="Images to see in all.  [default: as the recipe says]"
)
epochs = click.option(
    "--epochs",
    type=click.FloatRange(0, min_open=True),
    help="The same, as a multiple of the data.  [default: as the recipe says]",
)
batch = click.option(
    "--batch", type=click.IntRange(1), help="Images per step, of all processes.  [default: the recipe's]"
)
accumulate = click.option(
    "--accumulate",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Parts that a batch is split into, to bound the memory.",
)
lr = click.option("--lr", type=click.FloatRange(0, min_open=True), help="Peak learning rate.  [default: the recipe's]")
licence = click.option("--licence", default="not stated", help="Licence of the weights, for the card.")
about_data = click.option(
    "--about-data", default="", help="What is known of the data's licence and consent, for the card."
)


def schedule(rate: Decorator = lr, *more: Decorator) -> Decorator:
    """How long and how fast a training runs; `rate` takes the place of --lr."""
    return section("How long and how fast", images_seen, epochs, *more, batch, accumulate, rate)


card = section("For the card of the weights", licence, about_data)
work = section("The work", seed, device, dtype)


def name_numbers(option: str, pairs: Sequence[str], example: str) -> dict[str, float]:
    """NAME=NUMBER, repeated, as a mapping; raises NonesuchError for anything else."""
    found = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        try:
            found[name] = float(value)
        except ValueError as error:
            raise NonesuchError(f"{option} {pair}: write {example}") from error
    return found


def say(*lines: str) -> None:
    """Print lines on standard output, from the first of several processes only."""
    for line in lines if distributed.is_first() else ():
        click.echo(line)


def show_problems(problems: Sequence[str], where: str = "rows with detected = false") -> None:
    """Print the first few photographs that were skipped, on standard error."""
    for problem in problems[:_MOST_PROBLEMS_SHOWN]:
        click.echo(f"skipped: {problem}", err=True)
    if len(problems) > _MOST_PROBLEMS_SHOWN:
        click.echo(f"skipped: {len(problems) - _MOST_PROBLEMS_SHOWN} more ({where})", err=True)


def print_table(table: Table) -> None:
    """Print a table whole: in a pipe or a file as wide as it is, on a narrow terminal with long words on several lines.
    Square brackets in names are no markup."""
    for column in table.columns:
        column.overflow = "fold"
    width = None if sys.stdout.isatty() else _UNBOUNDED
    Console(highlight=False, markup=False, width=width).print(table)
