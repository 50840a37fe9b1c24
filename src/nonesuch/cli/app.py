"""The `nonesuch` command."""

import importlib
import os
import sys
from typing import NoReturn

import click

from nonesuch.cli.notices import notices_shown
from nonesuch.cli.torchrun import refuse_torchrun
from nonesuch.core.errors import NonesuchError
from nonesuch.core.version import VERSION

_INTERRUPTED = 130

# In pipeline order. A command's module is loaded when it is used: torch alone takes a second to import.
_COMMANDS = {
    "identities": ("identities:identities", "Sample vectors of people who don't exist."),
    "pack-identities": ("identities:pack", "Push vectors of people who don't exist apart."),
    "statistics": ("identities:statistics", "Fit the distribution of identity vectors."),
    "embed": ("identities:embed", "Turn photographs into vectors."),
    "generate": ("dataset:generate", "Make a labelled dataset of faces."),
    "verify": ("dataset:verify", "Check every hash, count and label of a dataset."),
    "recipe": ("recipes:recipe", "Write a dataset's small form, without its images."),
    "rebuild": ("recipes:rebuild", "Make the images of a recipe again; check their hashes."),
    "import": ("collected:import_images", "Make labelled images a dataset."),
    "merge": ("collected:merge", "Make one dataset of several."),
    "split": ("collected:split", "Split a dataset into parts that share no identity."),
    "subset": ("collected:subset", "Make a dataset of chosen images of another."),
    "release": ("release:release", "Write what a dataset needs to be published."),
    "export": ("export:export", "Write a dataset in a format that others read."),
    "perceive": ("perception:perceive", "Estimate pose, age, gender, attributes, quality."),
    "caption": ("captions:caption", "Describe each image in words that can be checked."),
    "calibrate-captions": ("captions:calibrate", "Measure from which score on facts are right."),
    "export-captions": ("caption_exchange:export_captions", "Write captions in forms that others read."),
    "import-captions": ("caption_exchange:import_captions", "Read captions of others, and their facts."),
    "ask": ("ask:ask", "Answer a question about a face of a picture."),
    "caption-report": ("captions:report", "Analyse captions: variety, length, how much is wrong."),
    "search": ("flip:search", "Find images by a description or by an image."),
    "flip": ("flip:flip", "Train models that put faces and words in one space."),
    "name": ("naming:name", "Give the names of captions to faces."),
    "audit": ("audit:audit", "Judge what a dataset is worth: report, figures, verdict."),
    "clean": ("cleaning:clean", "Find wrong labels, split identities, duplicates."),
    "recognize": ("recognition:recognize", "Train recognisers on labelled faces."),
    "evaluate": ("evaluation:evaluate", "Test embedders on real faces."),
    "train-generator": ("generator_training:train_generator", "Train a generator on aligned photographs."),
    "widen-generator": ("generator_training:widen_generator", "Make a diffusion's faces turn further."),
    "train-perceiver": ("perceiver_training:train_perceiver", "Train the perception heads (pose, age, attributes)."),
    "models": ("weights:models", "List the models and the weights that ship."),
    "average-weights": ("weights:average_weights", "Average the weights of several runs."),
    "export-weights": ("weights:export_weights", "Write an embedder as ONNX."),
    "import-weights": ("weights:import_weights", "Turn a published checkpoint into a weight file."),
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name][0].split(":")
        command = getattr(importlib.import_module(f"nonesuch.cli.{module}"), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in _COMMANDS.items()])


@click.command(
    cls=_Commands,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(VERSION, prog_name="nonesuch")
@click.pass_context
def app(ctx: click.Context) -> None:
    """Faces of no one: labelled face datasets of people who don't exist.

    \b
    Example, the main job from end to end:
      nonesuch generate faces --identities 100 --images 10
      nonesuch verify faces
    """
    if ctx.invoked_subcommand is not None:
        refuse_torchrun(ctx.invoked_subcommand)


def main() -> None:
    """Run the command line; bad input ends in one line on standard error and a non-zero exit status."""
    from nonesuch.core.allocator import keep_memory

    keep_memory()
    try:
        with notices_shown():
            status = app(sys.argv[1:] or ["--help"], standalone_mode=False)
    except NonesuchError as error:
        _fail(str(error), 1)
    except click.ClickException as error:
        _fail(error.format_message(), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _fail("interrupted; run the same command again to resume", _INTERRUPTED)
    except BrokenPipeError:  # the reader of our output has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        _fail(str(error), 1)
    sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str, status: int) -> NoReturn:
    print("error: " + " ".join(message.split()), file=sys.stderr)
    sys.exit(status)
