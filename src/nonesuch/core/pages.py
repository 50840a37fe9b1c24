"""Pages of HTML in one file each, which open offline. Needs jinja2 (the `[report]` extra)."""

from pathlib import Path
from typing import Any

import jinja2

from nonesuch import __version__
from nonesuch.core import files


def write_page(path: Path, template: Path, **values: Any) -> None:
    """Fill a template, which may extend `page.html.jinja`, and write the page.

    Args:
        values: what the template names, `title` and `about` at least; text is escaped.

    Raises:
        NonesuchError: the disk is full or the place cannot be written.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([template.parent, Path(__file__).parent]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    page = environment.get_template(template.name).render(version=__version__, **values)
    with files.replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
