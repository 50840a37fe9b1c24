"""What every page promises: text is escaped, pictures are inside, nothing is written where something is missing."""

import base64
import io
from pathlib import Path

import jinja2
import numpy as np
import pytest
from PIL import Image

from nonesuch.core.version import VERSION
from nonesuch.formats.photographs import Photograph
from nonesuch.pages.contact_sheet import write_contact_sheet
from nonesuch.pages.page import picture_uri, write_page
from nonesuch.pages.thumbnails import Thumbnails
from nonesuch.pages.writers import writer


def _template(folder: Path, text: str) -> Path:
    path = folder / "own.html.jinja"
    path.write_text(text)
    return path


def test_text_is_escaped_and_the_version_is_told(tmp_path: Path) -> None:
    write_page(tmp_path / "page.html", _template(tmp_path, "{{ name }} {{ version }}"), name="<script>\udcff")
    assert (tmp_path / "page.html").read_text() == f"&lt;script&gt;? {VERSION}"


def test_a_value_that_is_missing_is_an_error_and_leaves_no_page(tmp_path: Path) -> None:
    with pytest.raises(jinja2.UndefinedError):
        write_page(tmp_path / "page.html", _template(tmp_path, "{{ renamed }}"))
    assert [path.name for path in tmp_path.iterdir()] == ["own.html.jinja"]


def test_a_picture_is_in_the_page_itself() -> None:
    pixels = np.full((8, 6, 3), (200, 30, 90), dtype=np.uint8)
    kind, content = picture_uri(pixels).split(",")
    assert kind == "data:image/jpeg;base64"
    decoded = np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))
    assert decoded.shape == (8, 6, 3)
    assert np.abs(decoded.astype(int) - pixels).max() < 8


def test_a_sheet_has_a_row_per_identity_with_white_between(tmp_path: Path) -> None:
    black = np.zeros((4, 5, 3), dtype=np.uint8)
    write_contact_sheet([[black, black], [black]], tmp_path / "sheet.png")
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape == (10, 12, 3)
    assert (sheet[4:6] == 255).all()
    assert (sheet[:, 5:7] == 255).all()
    assert (sheet[6:, 7:] == 255).all()
    assert (sheet[:4, :5] == 0).all()
    assert (sheet[:4, 7:] == 0).all()
    assert (sheet[6:, :5] == 0).all()


def test_only_what_is_allowed_is_shown(tmp_path: Path) -> None:
    Image.new("RGB", (200, 100)).save(tmp_path / "1.png")
    (tmp_path / "2.png").write_text("no picture")
    thumbnails = Thumbnails()
    images = [Photograph(name, "ann", tmp_path / name) for name in ("1.png", "2.png")]
    thumbnails.allow("faces", [(image.name, "ann", image) for image in images])
    uri = thumbnails.of_image("faces", "1.png")
    assert uri is not None
    assert Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))).size == (80, 40)
    assert thumbnails.of_image("faces", "2.png") is None  # cannot be read
    assert thumbnails.of_image("other", "1.png") is None
    assert thumbnails.of_identity("faces", "ann", 5) == [uri]
    assert thumbnails.identities("faces", 5) == ["ann"]


def test_a_writer_whose_library_is_missing_is_none() -> None:
    assert writer("nonesuch.pages.page", "write_page") is write_page
    assert writer("nonesuch.pages.absent") is None
