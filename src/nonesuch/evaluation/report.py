"""One HTML page about a test, which opens offline. Needs jinja2 and matplotlib (the `[report]` extra)."""

from collections.abc import Mapping
from pathlib import Path

from nonesuch.evaluation.drawing import draw_all
from nonesuch.evaluation.summary import (
    DISCARD_COLUMNS,
    GROUP_COLUMNS,
    Found,
    discard_rows,
    figure_sections,
    group_rows,
    main_lines,
)
from nonesuch.formats.packed_pairs import SUFFIXES
from nonesuch.pages.page import write_page
from nonesuch.pages.sections import Line, Section, section

_PAGE = Path(__file__).with_name("report.html.jinja")


def write_report(path: Path, test: Mapping[str, str], found: Found) -> None:
    """Write the page: the table of figures, curves as inline SVG, groups. The JSON has everything in it too.

    Args:
        test: title, and other facts about the test, such as the images' source.
        found: figures by embedder.

    Raises:
        NonesuchError: the disk is full or the place cannot be written.
    """
    first = next(iter(found.values()))
    tables: list[dict[str, object]] = []
    if discards := discard_rows(found):
        title = "FNMR with the images of the smallest embedding norms left out"
        tables.append({"title": title, "columns": DISCARD_COLUMNS, "rows": discards})
    if "groups" in first:
        tables.append(
            {"title": "Groups, at one threshold for all", "columns": GROUP_COLUMNS, "rows": group_rows(found)}
        )
    about = ", ".join(f"{key} {value}" for key, value in test.items() if key != "title")
    write_page(
        path,
        _PAGE,
        title=test["title"],
        about=about,
        embedders=list(found),
        summary=[section("", main_lines(found))],
        sections=[*figure_sections(found), _weights(found)],
        pictures=draw_all(found),
        tables=tables,
        without_list="clusters" in first,
        packed=test.get("images", "").endswith(SUFFIXES),
        flip=first["flip"],
        time_limit=first.get("time_limit"),
    )


def _weights(found: Found) -> Section:
    return Section("Weights", [Line("SHA-256", [row["sha256"][:12] for row in found.values()])])
