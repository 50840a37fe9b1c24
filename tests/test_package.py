"""What the package itself offers."""

import inspect
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
