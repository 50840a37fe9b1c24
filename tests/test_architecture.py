"""Imports point one way: cli -> stages -> models -> core."""

import ast
from pathlib import Path

import pytest

import nonesuch

SOURCE = Path(nonesuch.__file__).parent
# Each may import itself and what stands to its left; stages in pipeline order.
ORDER = [
    "core",
    "embedders",
    "perception",
    "generators",
    "presets",
    "models",
    "identities",
    "steering",
    "dataset",
    "recognition",
    "evaluation",
    "audit",
    "cleaning",
    "cli",
]
FREE_OF_EACH_OTHER = {("generators", "perception")}
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
        if "nonesuch" in names and isinstance(node, ast.ImportFrom):
            # Of the package itself only its version may be imported from below; the rest comes from models.
            found |= {"models" for alias in node.names if alias.name != "__version__"}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_file_imports_only_what_lies_below_it(path: Path) -> None:
    part = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    if part in ("__init__", "__main__"):
        return
    allowed = set(ORDER[: ORDER.index(part) + 1])
    assert _imports(path) <= allowed
    assert not {(part, other) for other in _imports(path)} & FREE_OF_EACH_OTHER


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_files_stay_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 500
