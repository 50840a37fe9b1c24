"""The Python examples of README and docs run as they stand, in a folder with the data that they name."""

import ast
import dataclasses
import inspect
import re
import shutil
import typing
from pathlib import Path

import pytest
from PIL import Image

import nonesuch
from tests.cli.test_python_door import FUNCTIONS
from tests.people import faces_of_no_one

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLES = [
    pytest.param(code, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, code in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S), start=1)
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the dataset `faces`, as README makes it, and `photographs` of six people."""
    folder = tmp_path_factory.mktemp("examples")
    nonesuch.generate_dataset(folder / "faces", identities=4, images=3, seed=7, summary=False)
    for row, crop in enumerate(faces_of_no_one(6, 3, images=4, sigma=0.5)):
        person = folder / "photographs" / f"person{row // 4}"
        person.mkdir(parents=True, exist_ok=True)
        Image.fromarray(crop).save(person / f"{row % 4}.png")
    return folder


def test_the_pages_hold_examples() -> None:
    assert len(EXAMPLES) >= 12


@pytest.mark.parametrize("code", EXAMPLES)
def test_an_example_runs(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    shutil.copytree(data, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "example", "exec"), {"__name__": "example"})


@pytest.mark.parametrize("name", sorted({*nonesuch.__all__} & set(FUNCTIONS.values()) - {"list_models"}))
def test_an_example_in_a_docstring_fits_its_function(name: str) -> None:
    function = getattr(nonesuch, name)
    code = ast.parse(inspect.cleandoc(function.__doc__).split("Example:\n")[1].strip(), mode="eval").body
    attributes = []
    while isinstance(code, ast.Attribute):
        attributes.insert(0, code.attr)
        code = code.value
    assert isinstance(code, ast.Call)
    assert ast.unparse(code.func) == f"nonesuch.{name}"
    keywords = {str(item.arg): ast.literal_eval(item.value) for item in code.keywords}
    inspect.signature(function).bind(*map(ast.literal_eval, code.args), **keywords)
    kind = typing.get_type_hints(inspect.unwrap(function))["return"]
    for attribute in attributes:
        fields = {field.name for field in dataclasses.fields(kind)}
        assert attribute in fields or isinstance(getattr(kind, attribute, None), property)
        kind = typing.get_type_hints(kind).get(attribute)


@pytest.mark.parametrize(
    "page", [*PAGES, *ROOT.glob("[A-Z]*.md"), ROOT / "benchmarks" / "README.md"], ids=lambda p: p.name
)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), target
