"""Photographs and what is said of them, from datasets of ours and from tables of captions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nonesuch.captions.analysis.caption_texts import caption_rows
from nonesuch.captions.captioned import sound_captions
from nonesuch.captions.facts import bits
from nonesuch.core import files
from nonesuch.core.errors import NonesuchError
from nonesuch.formats.manifest import is_dataset
from nonesuch.formats.photographs import Photograph, plain_name
from nonesuch.formats.plan import Plan
from nonesuch.formats.readers import find


@dataclass(frozen=True)
class CaptionedImages:
    """N photographs that something is said of.

    Attributes:
        photographs: in the order of their sources.
        captions: of each; "" where only facts are known.
        facts: (N,) int64, what is known of each, as `nonesuch.captions.facts.bits` makes it; 0 for nothing.
    """

    photographs: list[Photograph]
    captions: list[str]
    facts: NDArray[np.int64]

    @property
    def signature(self) -> str:
        """A hash of all that is said."""
        said = zip(self.captions, self.facts.tolist(), strict=True)
        return files.text_sha256("\n".join(f"{facts} {caption}" for caption, facts in said))

    def chosen(self, rows: Sequence[int] | NDArray[np.int64]) -> "CaptionedImages":
        """Those of these rows."""
        return CaptionedImages(
            [self.photographs[row] for row in rows], [self.captions[row] for row in rows], self.facts[rows]
        )


def read_captioned(sources: Sequence[Path], tables: Sequence[Path], split: str | None) -> CaptionedImages:
    """The images of all sources that have a caption or facts.

    Args:
        sources: datasets of ours with captions beside their shards, or any other labelled images.
        tables: what `nonesuch caption --out` or `import-captions` wrote, which name images of the other sources.
        split: of a source whose table names splits, only the images of this one.

    Raises:
        NonesuchError: a source or table cannot be read, two tables speak of one image, or nothing is said of a source.
    """
    told = _told(tables)
    photographs: list[Photograph] = []
    rows: list[tuple[str, int]] = []
    for source in sources:
        found = find(source, split)
        if is_dataset(source):
            own = [row for shard in range(Plan(source).shards) for row in _rows(sound_captions(source, shard))]
            said = [(caption, facts) for _, caption, facts in own]
            if len(said) != len(found):
                raise NonesuchError(f"{source}: not complete; run the command that made it again")
        else:
            said = [told.get(plain_name(item.name), ("", 0)) for item in found]
        there = [place for place, (caption, facts) in enumerate(said) if caption or facts]
        if not there:
            advice = "make some with 'nonesuch caption', and name the table with --captions"
            raise NonesuchError(f"{source}: no image has a caption; {advice}")
        photographs += [found[place] for place in there]
        rows += [said[place] for place in there]
    return CaptionedImages(
        photographs, [caption for caption, _ in rows], np.array([facts for _, facts in rows], dtype=np.int64)
    )


def _told(tables: Sequence[Path]) -> dict[str, tuple[str, int]]:
    """Caption and facts by name of the image."""
    told: dict[str, tuple[str, int]] = {}
    for path in tables:
        for name, caption, facts in _rows(path):
            if name in told:
                raise NonesuchError(f"{path}: {name} is in another table too; name one of them with --captions")
            told[name] = caption, facts
    return told


def _rows(path: Path) -> list[tuple[str, str, int]]:
    """Name, caption and facts of each row of a table of captions."""
    rows = caption_rows(path, ("caption", "facts"))
    return [(plain_name(name), row["caption"] or "", bits(row["facts"] or ())) for name, row in rows]
