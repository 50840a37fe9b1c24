"""Imports point one way: cli -> stages -> models -> families of networks -> measures, formats, loop, pages -> core."""

import ast
from pathlib import Path

import pytest

import nonesuch

SOURCE = Path(nonesuch.__file__).parent
# Each may import itself and what stands above it; those of one floor only where ABOVE_EACH_OTHER says so.
FLOORS = [
    ["core"],
    ["measures", "formats", "loop", "pages"],
    ["embedders", "perception", "generators"],
    ["models"],
    ["weight_files"],
    ["identities"],
    ["training"],
    ["steering"],
    ["dataset"],
    ["language"],
    ["captions"],
    ["recognition"],
    ["evaluation"],
    ["audit"],
    ["cleaning"],
    ["cli"],
]
# Pages show photographs; perception heads and generators' losses look through an embedder.
ABOVE_EACH_OTHER = {("pages", "formats"), ("perception", "embedders"), ("generators", "embedders")}
FILES = sorted(SOURCE.rglob("*.py"))


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        found |= {name.split(".")[1] for name in names if name.startswith("nonesuch.")}
        assert "nonesuch" not in names, "import from where a thing is defined"
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_file_imports_only_what_lies_below_it(path: Path) -> None:
    part = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    if part in ("__init__", "__main__"):
        return
    floor = next(number for number, parts in enumerate(FLOORS) if part in parts)
    below = {part for parts in FLOORS[:floor] for part in parts}
    beside = {other for upper, other in ABOVE_EACH_OTHER if upper == part}
    assert _imports(path) <= {part} | below | beside


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_files_and_functions_stay_short(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < 80, node.name
