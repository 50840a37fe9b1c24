"""Published forms of captions: their columns, other spellings of these, and which form a file has."""

import codecs
from collections.abc import Mapping
from pathlib import Path

from nonesuch.core.errors import NonesuchError

TABLE, LINES, TARS = "facecaption", "faceid", "webdataset"
# Of each form its columns, in the order in which they are written: the image comes first.
COLUMNS = {
    TABLE: ("url", "face_box", "laion_caption", "face_caption"),
    LINES: ("file_name", "additional_feature", "bbox", "landmarks", "insightface_feature_file"),
    TARS: (),
}
FILE = {TABLE: "url", LINES: "file_name"}
CAPTION = {TABLE: "face_caption", LINES: "additional_feature"}
BOX = {TABLE: "face_box", LINES: "bbox"}
_EXAMPLE = "write --names url=URL,face_caption=caption"
_SEEN = 1 << 16  # bytes of a file that its form is guessed from


def spellings(form: str, names: str | Mapping[str, str] | None) -> dict[str, str]:
    """How each column of a form is spelt in a file.

    Args:
        names: published=other, parted by commas, or a mapping; None for the published spellings.

    Raises:
        NonesuchError: the names are none of these, or two columns would have one name.
    """
    columns = COLUMNS[form]
    given = _pairs(names)
    if given and not columns:
        raise NonesuchError(f"--names: the form {form} has no columns; leave it out")
    if unknown := [name for name in given if name not in columns]:
        raise NonesuchError(f"--names {unknown[0]}: no column of the form {form}; there are {', '.join(columns)}")
    found = {name: given.get(name, name) for name in columns}
    twice = [name for name in found.values() if list(found.values()).count(name) > 1]
    if twice:
        raise NonesuchError(f"--names: two columns would be called {twice[0]}")
    return found


def _pairs(names: str | Mapping[str, str] | None) -> dict[str, str]:
    if names is None:
        return {}
    if isinstance(names, Mapping):
        pairs = list(names.items())
    elif isinstance(names, str):
        pairs = [(name.strip(), other.strip()) for name, _, other in (part.partition("=") for part in names.split(","))]
    else:
        raise NonesuchError(f"--names {names!r}: {_EXAMPLE}")
    found: dict[str, str] = {}
    for name, other in pairs:
        if not isinstance(name, str) or not isinstance(other, str) or not name or not other or name in found:
            raise NonesuchError(f"--names {names}: {_EXAMPLE}")
        found[name] = other
    return found


def form_of(path: Path) -> str:
    """Which form a file has, by its first bytes.

    Raises:
        NonesuchError: it cannot be read, or is of no form that can be imported.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_SEEN)
    except FileNotFoundError as error:
        raise NonesuchError(f"{path}: no such file") from error
    except OSError as error:
        raise NonesuchError(f"{path}: not readable ({error.strerror or error})") from error
    if head.startswith(b"PAR1"):
        return TABLE
    if head.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"{"):
        return LINES
    raise NonesuchError(f"{path}: neither Parquet nor JSON lines; it is of no form that can be imported")
