"""Tables of the command line: nothing is cut where output is no terminal, whatever its width is said to be."""

import pytest
from rich.table import Table

from nonesuch.cli.options import print_table

LONG = "61.67% (56.67% to 78.33%)"


def test_a_pipe_cuts_nothing(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    names = [f"{'long' * 12}{number}.safetensors" for number in range(6)]
    table = Table("", *names, title="six embedders")
    table.add_row("EER", *(f"{number} {LONG}" for number in range(6)))
    print_table(table)
    lines = capfd.readouterr().out.splitlines()
    assert any(all(name in line for name in names) for line in lines)
    assert any(all(f"{number} {LONG}" in line for number in range(6)) for line in lines)


def test_square_brackets_are_part_of_names(capfd: pytest.CaptureFixture[str]) -> None:
    table = Table("", title="faces[1]")
    table.add_row("g[red].tar")
    print_table(table)
    out = capfd.readouterr().out
    assert "faces[1]" in out
    assert "g[red].tar" in out
