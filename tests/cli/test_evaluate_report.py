"""The report: one page that opens offline and shows what the JSON holds."""

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from nonesuch.core.weights import card_path
from nonesuch.evaluation.summary import discard_rows, figure_sections, group_rows
from nonesuch.measures.figure import SHARE, Figure
from nonesuch.models import ASSETS
from tests.conftest import Cli
from tests.people import faces_of_no_one

PEOPLE, IMAGES = 6, 4


class _Page(HTMLParser):
    """Cells, headings, tags and attributes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self.inside = tag in ("td", "th", "h1")  # and not in the words that explain a figure
        if self.inside:
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.cells[-1] += data


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of people A to F, a list of pairs, groups, and an embedder with an awkward name."""
    folder = tmp_path_factory.mktemp("report")
    for row, crop in enumerate(faces_of_no_one(PEOPLE, 5, IMAGES)):
        person = "ABCDEF"[row // IMAGES]
        (folder / "images" / person).mkdir(parents=True, exist_ok=True)
        Image.fromarray(crop).save(folder / "images" / person / f"{person}_{row % IMAGES + 1:04d}.png")
    lines = ["left,right,mated"]
    for one in range(PEOPLE * IMAGES):
        for two in range(one):
            names = [f"{'ABCDEF'[row // IMAGES]}_{row % IMAGES + 1:04d}" for row in (one, two)]
            lines.append(f"{names[0]},{names[1]},{int(one // IMAGES == two // IMAGES)}")
    (folder / "pairs.csv").write_text("\n".join(lines))
    (folder / "groups.csv").write_text("identity,group\nA,x$1\nB,x$1\nC,x$1\nD,<y>\nE,<y>\nF,<y>\n")
    awkward = folder / "_<b>$x&--y.safetensors"
    shutil.copy(ASSETS / "dlib_resnet.safetensors", awkward)
    shutil.copy(card_path(ASSETS / "dlib_resnet.safetensors"), card_path(awkward))
    return folder


def _check(page: str) -> _Page:
    """That a page is whole, and needs nothing from elsewhere."""
    assert page.rstrip().endswith("</html>")
    found = _Page(page)
    assert not {"script", "img", "link", "iframe", "object", "image", "foreignobject"} & set(found.tags)
    for name, value in found.attributes:
        assert name not in ("src", "onload")
        if name.endswith("href"):
            assert value.startswith("#")
        assert not re.search(r"url\((?!#)", value)
        assert "//" not in value or name.startswith("xmlns")
    assert "@import" not in page
    pictures = re.findall(r"<svg.*?</svg>", page, flags=re.S)
    ids = [identifier for svg in pictures for identifier in set(re.findall(r'clipPath id="(\w+)"', svg))]
    assert len(ids) == len(set(ids))
    for svg in pictures:
        ElementTree.fromstring(svg)
    return found


def test_two_embedders_on_pairs(cli: Cli, folder: Path, tmp_path: Path) -> None:
    out, report = tmp_path / "figures.json", tmp_path / "report.html"
    awkward = str(folder / "_<b>$x&--y.safetensors")
    options = ["--data", folder / "images", "--pairs", folder / "pairs.csv", "--groups", folder / "groups.csv"]
    names = ["--embedder", "mobilefacenet", "--embedder", awkward]
    outcome = cli("evaluate", *names, *options, "--json", out, "--report", report)
    assert outcome.status == 0, outcome.err
    assert f"{report}: written" in outcome.out
    page = report.read_text()
    found = json.loads(out.read_text())
    figures = found["embedders"]
    assert list(figures) == ["mobilefacenet", awkward]
    shown = _check(page)
    assert page.count("<svg") == 5  # ROC, DET, histograms, discard, groups
    expected = [cell for part in figure_sections(figures) for line in part.lines for cell in line.cells]
    expected += [cell for row in (*discard_rows(figures), *group_rows(figures)) for cell in row if cell]
    assert set(expected) <= {cell.strip() for cell in shown.cells}
    cells = [cell.strip() for cell in shown.cells]
    row = figures["mobilefacenet"]
    for title, figure in {"EER": row["eer"], "TAR at FMR 1e-1": row["tar"]["0.1"]}.items():
        assert cells[cells.index(title) + 1] == SHARE.written(Figure(**figure))
    assert cells[cells.index("mated comparisons") + 1] == "36"
    assert cells[cells.index("threshold at FMR 1e-1") + 1] == f"{row['thresholds']['0.1']:.4f}"
    at = cells.index("x$1")
    rates = row["groups"]["groups"]["x$1"]
    of_group = [SHARE.written(Figure(**rates[kind])) for kind in ("fnmr", "fmr", "accuracy")]
    assert cells[at - 1 : at + 6] == ["mobilefacenet", "x$1", str(rates["mated"]), str(rates["non_mated"]), *of_group]
    assert found["test"]["title"] == "36 mated and 240 non-mated comparisons"
    assert found["test"]["pairs"] == str(folder / "pairs.csv")
    for row in figures.values():
        assert len(row["curve"]["fmr"]) == len(row["curve"]["fnmr"]) == len(row["curve"]["threshold"])
        assert np.isfinite(row["curve"]["threshold"]).all()
        assert len(row["histogram"]["edges"]) == len(row["histogram"]["mated"]) + 1
        assert len(row["discard"]["fnmr"]) == 5


def test_people_without_a_list(cli: Cli, folder: Path, tmp_path: Path) -> None:
    report, again = tmp_path / "report.html", tmp_path / "again.html"
    assert cli("evaluate", "--data", folder / "images", "--report", report).status == 0
    page = report.read_text()
    shown = _check(page)
    assert page.count("<svg") == 5  # ROC, DET, histograms, CMC, discard
    assert any(cell.startswith("EER") for cell in shown.cells)
    assert "95%" in page
    assert cli("evaluate", "--data", folder / "images", "--report", again).status == 0
    assert again.read_text() == page


def test_without_the_extra(cli: Cli, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for missing in ("jinja2", "matplotlib"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, missing, None)
            for module in ("evaluation.report", "evaluation.drawing", "pages.page", "pages.plots"):
                patch.delitem(sys.modules, f"nonesuch.{module}", raising=False)
            outcome = cli("evaluate", "--data", folder / "images", "--report", tmp_path / "report.html")
        assert outcome.status == 1
        assert outcome.error.endswith('--report needs matplotlib and jinja2: pip install "nonesuch[report]"')
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_written(cli: Cli, folder: Path, tmp_path: Path) -> None:
    for option in ("--report", "--json"):
        outcome = cli("evaluate", "--data", folder / "images", option, tmp_path / "absent" / "r")
        assert outcome.status == 1
        assert "there is no folder" in outcome.error


def test_a_full_disk_leaves_nothing_half_written(folder: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    limited = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000)); "
    limited += "from nonesuch.cli.app import main; "
    limited += "sys.argv = ['nonesuch', 'evaluate', '--data', sys.argv[1], '--report', sys.argv[2]]; main()"
    command = [sys.executable, "-c", limited, str(folder / "images"), str(report)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 1
    errors = [line for line in run.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "no space left" in errors[0]
    assert "Traceback" not in run.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_time_limit(cli: Cli, folder: Path, tmp_path: Path) -> None:
    out, report = tmp_path / "figures.json", tmp_path / "report.html"
    options = ["--data", folder / "images", "--pairs", folder / "pairs.csv", "--time-limit"]
    outcome = cli("evaluate", *options, "--json", out, "--report", report)
    assert outcome.status == 0, outcome.err
    found = json.loads(out.read_text())
    timed = found["time_limit"]
    assert timed["measured"] == PEOPLE * IMAGES
    assert 0.5 < timed["median_ms"] <= timed["p95_ms"] < 1000
    assert timed["limits"]["1000"]["over"] == 0.0
    for key in ("accuracy", "eer", "tar"):
        assert timed["limits"]["1000"][key] == found[key]
    _check(report.read_text())
    assert "accuracy within 1000 ms" in report.read_text()
    assert "processor time on one core" in report.read_text()
