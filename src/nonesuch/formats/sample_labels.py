"""Labels beside the images of a WebDataset: `000123.cls` or `000123.json` is about `000123.jpg`."""

import msgspec

from nonesuch.core.errors import NonesuchError
from nonesuch.formats.photographs import is_hidden

LARGEST_LABEL = 1 << 20  # bytes of a file with a label; larger ones are something else
_NONE = (3, "")


class SampleLabels:
    """Collects the labels of samples; files come in any order.

    What a `.json` calls `identity` counts first, then a `.cls`, then, of a sample in no folder, what a `.json` calls
    `label`.
    """

    def __init__(self) -> None:
        self._labels: dict[str, tuple[int, str]] = {}  # by sample: rank, label
        self._unreadable: dict[str, str] = {}  # by sample: name of the file

    @staticmethod
    def may_hold(name: str, size: int) -> bool:
        """Whether a file of this name and size in bytes may hold a label."""
        return _parts(name)[1] in ("cls", "json") and size <= LARGEST_LABEL and not is_hidden(name)

    def add(self, name: str, data: bytes) -> None:
        """Take a file that `may_hold` a label."""
        sample, extension = _parts(name)
        try:
            found = _in_json(data, "/" in sample) if extension == "json" else (1, data.decode().strip())
        except (ValueError, RecursionError):
            self._unreadable[sample] = name
            return
        if found[1] and found < self._labels.get(sample, _NONE):
            self._labels[sample] = found

    def of(self, name: str, where: object) -> str:
        """The label of an image, "" where there is none.

        Raises:
            NonesuchError: a `.cls` beside it is no text, or a `.json` no JSON; `where` begins the message.
        """
        sample = _parts(name)[0]
        if sample in self._unreadable:
            raise NonesuchError(f"{where}: {self._unreadable[sample]} is not readable as a label; pack the set again")
        return self._labels.get(sample, _NONE)[1]


def _parts(name: str) -> tuple[str, str]:
    """What names a sample, and what a file of it is, as WebDataset parts a name: at the first dot of the last part."""
    folder, slash, file = name.removeprefix("./").rpartition("/")
    stem, _, extension = file.partition(".")
    return f"{folder}{slash}{stem}", extension.lower()


def _in_json(data: bytes, in_folder: bool) -> tuple[int, str]:
    content = msgspec.json.decode(data)
    for rank, name in ((0, "identity"),) if in_folder else ((0, "identity"), (2, "label")):
        value = content.get(name) if isinstance(content, dict) else None
        if isinstance(value, int | str) and not isinstance(value, bool):
            return rank, str(value)
    return _NONE
