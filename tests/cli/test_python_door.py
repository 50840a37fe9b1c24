"""Python is as good a door as the command line: each command is one function with the same names and defaults."""

import inspect
from pathlib import Path

import click
import pytest

import nonesuch
from nonesuch.cli.app import _COMMANDS, app
from nonesuch.core.arguments import Choice, Number
from nonesuch.core.errors import NonesuchError

FUNCTIONS = {
    "identities": "sample_identities",
    "pack-identities": "pack_identities",
    "statistics": "fit_statistics",
    "embed": "embed_photographs",
    "generate": "generate_dataset",
    "verify": "verify_dataset",
    "recipe": "write_recipe",
    "rebuild": "rebuild_dataset",
    "import": "import_images",
    "merge": "merge_datasets",
    "split": "split_dataset",
    "subset": "subset_dataset",
    "release": "release_dataset",
    "export": "export_dataset",
    "perceive": "perceive_faces",
    "caption": "caption_faces",
    "calibrate-captions": "calibrate_captions",
    "export-captions": "export_captions",
    "import-captions": "import_captions",
    "ask": "ask_face",
    "caption-report": "report_captions",
    "search": "search_faces",
    "flip train": "train_flip",
    "flip attributes": "probe_attributes",
    "flip sketches": "evaluate_sketches",
    "name": "name_faces",
    "audit": "audit_datasets",
    "clean": "clean_labels",
    "recognize train": "train_recogniser",
    "recognize adapt": "adapt_recogniser",
    "evaluate": "evaluate_embedders",
    "train-generator": "train_generator",
    "widen-generator": "widen_generator",
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
    groups = {"recognize": ("train", "adapt"), "flip": ("attributes", "sketches", "train")}
    inside = {f"{group} {name}" for group, names in groups.items() for name in names}
    commands = {name for name in _COMMANDS if name not in groups} | inside
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


def _limits(kind: click.ParamType) -> object:
    """The limits of an option as `checked` has them; None where it has none."""
    if isinstance(kind, click.Choice):
        return Choice(tuple(kind.choices))
    if isinstance(kind, click.IntRange | click.FloatRange):
        return Number(kind.min, kind.max, isinstance(kind, click.IntRange), kind.min_open)
    return None


def _beyond(limit: Number | Choice) -> object:
    if isinstance(limit, Choice):
        return "gif"
    assert limit.low is not None
    return limit.low if limit.low_open else limit.low - 1


RANGES = [
    pytest.param(name, option.name, id=f"{name}-{option.name}")
    for name in FUNCTIONS
    for option in _command(name).params
    if _limits(option.type) is not None
]


@pytest.mark.parametrize(("name", "option"), RANGES)
def test_what_the_command_refuses_python_refuses_too(
    name: str, option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    function = getattr(nonesuch, FUNCTIONS[name])
    limit = _limits(next(item for item in _command(name).params if item.name == option).type)
    if hasattr(function, "limits"):
        assert function.limits[option] == limit
    assert isinstance(limit, Number | Choice)
    needed = {
        key: "absent"
        for key, parameter in inspect.signature(function).parameters.items()
        if parameter.default is inspect.Parameter.empty
    }
    for value in (_beyond(limit), "many", [3]):
        with pytest.raises(NonesuchError, match=rf"--{option.replace('_', '-')}|{option}"):
            function(**{**needed, option: value})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [name for name in FUNCTIONS.values() if name != "list_models"])
def test_what_is_no_path_is_refused_in_one_line(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    function = getattr(nonesuch, name)
    needed = [
        key
        for key, parameter in inspect.signature(function).parameters.items()
        if parameter.default is inspect.Parameter.empty
    ]
    for key in needed:
        for value in (None, 7, ""):
            with pytest.raises(NonesuchError):
                function(**dict.fromkeys(needed, "absent") | {key: value})
    assert list(tmp_path.iterdir()) == []


def test_a_home_folder_is_a_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    nonesuch.sample_identities("~/people.parquet", identities=2)
    assert (tmp_path / "people.parquet").is_file()
