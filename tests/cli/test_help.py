import re
import subprocess
import sys

import pytest

from nonesuch import __version__
from nonesuch.cli.app import _COMMANDS
from tests.conftest import Cli


@pytest.mark.parametrize("command", [*_COMMANDS, "recognize train", "recognize adapt"])
def test_every_command_has_a_help_text_with_an_example(cli: Cli, command: str) -> None:
    outcome = cli(*command.split(), "--help")
    assert outcome.status == 0
    assert re.search(rf"Examples?:\n\s+nonesuch {command}|Examples?:\n(.*\n)*\s+nonesuch {command}", outcome.out)
    options = re.findall(r"^  (--[\w-]+)", outcome.out, flags=re.M)
    for option in options:
        described = re.search(rf"^  {option}\b.*(\n\s{{6,}}.*)*", outcome.out, flags=re.M)
        assert described is not None
        assert len(described.group().split()) > 3, f"{option} is not explained"


def test_the_summary_lines_are_the_commands_own(cli: Cli) -> None:
    outcome = cli("--help")
    for command, (_, summary) in _COMMANDS.items():
        assert re.search(rf"{command}\s+{re.escape(summary)}", outcome.out)


def test_without_arguments_the_help_is_shown(cli: Cli) -> None:
    outcome = cli()
    assert outcome.status == 0
    assert outcome.out == cli("--help").out


def test_version_and_module(cli: Cli) -> None:
    assert __version__ in cli("--version").out
    module = subprocess.run([sys.executable, "-m", "nonesuch", "--version"], capture_output=True, text=True, check=True)
    assert module.stdout == cli("--version").out


_HELP = """
import sys
sys.argv = ["nonesuch", "--help"]
from nonesuch.cli.app import main
try:
    main()
except SystemExit:
    pass
assert "torch" not in sys.modules
"""


def test_help_does_not_wait_for_torch() -> None:
    subprocess.run([sys.executable, "-c", _HELP], check=True, capture_output=True)
