"""Long work says where it stands, with a terminal and without."""

import pytest

from nonesuch.loop import progress
from nonesuch.loop.progress import progress_bar


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time in seconds, as its only element."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_without_a_terminal_there_is_a_line_every_half_minute(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with progress_bar() as tell:
        tell("embedding", 0, 50)
        clock[0] += 20
        tell("training", 100, 1100, "90 images/s")
        assert capsys.readouterr().err == ""
        clock[0] += 10
        tell("training", 350, 1100, "90 images/s")
        assert capsys.readouterr().err == "training: 350 of 1,100, 0:00:30 left  90 images/s\n"
        clock[0] += 29
        tell("training", 500, 1100)
        assert capsys.readouterr().err == ""
        clock[0] += 1
        tell("writing", 0, 0)
        assert capsys.readouterr().err == "writing\n"


def test_short_work_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar() as tell:
        for done in range(100):
            tell("verifying", done, 100)
    assert capsys.readouterr().err == ""
