"""The file beside a set whose labels are numbers alone: the identity of each class."""

import csv
from pathlib import Path

from nonesuch.formats.to_write import ToWrite

CLASS_NAMES = "identities.csv"


def write_class_names(folder: Path, wanted: ToWrite) -> None:
    """Write `label` and `identity` of each class, a line each; raises OSError."""
    with (folder / CLASS_NAMES).open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["label", "identity"])
        rows.writerows(enumerate(wanted.people))
