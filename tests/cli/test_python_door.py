"""Python is as good a door as the command line: each command is one function with the same names and defaults."""

import inspect

import click
import pytest

import nonesuch
from nonesuch.cli.app import _COMMANDS, app

FUNCTIONS = {
    "identities": "sample_identities",
    "statistics": "fit_statistics",
    "embed": "embed_photographs",
    "generate": "generate_dataset",
    "verify": "verify_dataset",
    "perceive": "perceive_faces",
    "audit": "audit_datasets",
    "clean": "clean_labels",
    "recognize train": "train_recogniser",
    "recognize adapt": "adapt_recogniser",
    "evaluate": "evaluate_embedders",
    "train-generator": "train_generator",
    "train-perceiver": "train_perceiver",
    "models": "list_models",
    "average-weights": "average_weights",
    "export-weights": "export_weights",
    "import-weights": "import_weights",
}


def _command(name: str) -> click.Command:
    found: click.Command = app
    for part in name.split():
        assert isinstance(found, click.Group)
        found = found.get_command(click.Context(found), part)
    return found


def test_every_command_has_its_function() -> None:
    commands = {name for name in _COMMANDS if name != "recognize"} | {"recognize train", "recognize adapt"}
    assert commands == set(FUNCTIONS)


@pytest.mark.parametrize(("name", "function"), FUNCTIONS.items())
def test_names_and_defaults_are_the_same(name: str, function: str) -> None:
    taken = inspect.signature(getattr(nonesuch, function)).parameters
    options = {option.name: option for option in _command(name).params if option.name != "help"}
    assert {name for name in taken if not name.startswith("on_")} == set(options)
    for key, option in options.items():
        assert isinstance(option, click.Argument) or f"--{key.replace('_', '-')}" in option.opts
        default = taken[key].default
        if option.required:
            assert default is inspect.Parameter.empty, key
        else:
            given = option.get_default(click.Context(_command(name)))
            given = (
                given if isinstance(given, str | int | float | list | tuple) else None
            )  # click has a mark for "not given"
            if option.multiple:
                given, default = tuple(given or ()), tuple(default or ())
            assert given == default, key
