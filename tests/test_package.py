"""What the package itself offers."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import nonesuch
from nonesuch.core.version import VERSION


@pytest.mark.parametrize("name", nonesuch.__all__)
def test_every_name_is_there_and_explained(name: str) -> None:
    found = getattr(nonesuch, name)
    assert found.__name__ == name
    text = inspect.getdoc(found)
    assert text
    if inspect.isfunction(found):
        for argument in inspect.signature(found).parameters:
            assert "as in `load_embedder`" in text or argument in text, argument


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="no attribute 'train_everything'"):
        nonesuch.train_everything  # noqa: B018


def test_an_interactive_user_sees_them() -> None:
    assert set(nonesuch.__all__) <= set(dir(nonesuch))


def test_the_version_is_the_newest_of_the_changelog() -> None:
    headings = [
        line for line in (Path(__file__).parents[1] / "CHANGELOG.md").read_text().splitlines() if line.startswith("## ")
    ]
    assert headings[0].split()[1] == VERSION


def test_generators_are_loaded_without_torchs_compiler() -> None:
    """It takes more time to import than torch itself, each time a command starts."""
    code = (
        "import sys, nonesuch; nonesuch.load_generator('vec2face_small', 'cpu');"
        "print([name for name in ('torch._dynamo', 'sympy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
