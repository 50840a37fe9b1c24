"""Pages of HTML in one file each, which open offline. Needs jinja2 (the `[report]` extra)."""

import base64
from pathlib import Path
from typing import Any

import jinja2

from nonesuch.core import files, images
from nonesuch.core.images import Pixels
from nonesuch.core.version import VERSION

_QUALITY = 80  # of pictures inside a page


def write_page(path: Path, template: Path, **values: Any) -> None:
    """Fill a template, which may extend `page.html.jinja`, and write the page.

    Args:
        values: what the template names; text is escaped.

    Raises:
        NonesuchError: the disk is full or the place cannot be written.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([template.parent, Path(__file__).parent]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    page = environment.get_template(template.name).render(version=VERSION, **values)
    with files.replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="replace")  # names of files may not be valid text


def picture_uri(pixels: Pixels) -> str:
    """(H, W, 3) uint8 RGB -> a JPEG inside the page itself, for the `src` of an <img>."""
    return "data:image/jpeg;base64," + base64.b64encode(images.encode(pixels, "jpeg", _QUALITY)).decode()
