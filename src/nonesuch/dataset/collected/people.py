"""Which identities of datasets a new dataset gets, under which labels."""

from collections.abc import Sequence
from dataclasses import replace

from nonesuch.dataset.collected.copied import CopiedPerson, Piece, SourceDataset

_Found = dict[int, tuple[str, list[Piece]]]  # name and images, by label


def with_own_labels(
    source: SourceDataset, identities: int | None = None, images: int | None = None
) -> list[CopiedPerson]:
    """The identities of a dataset under their own labels, in order.

    Args:
        identities: only the first so many; None for all.
        images: only the first so many of each; None for all.
    """
    found = _by_label(source, 0)
    return [_first_images(label, *found[label], images) for label in sorted(found)[:identities]]


def side_by_side(sources: Sequence[SourceDataset], same_names: bool) -> list[CopiedPerson]:
    """The identities of several datasets: of the first under their labels, of the others under the next free ones.

    Args:
        same_names: identities of one name, which is not empty, are one: the first. Its further images get the next free
            numbers.
    """
    people: list[CopiedPerson] = []
    by_name: dict[str, int] = {}
    for number, source in enumerate(sources):
        found = _by_label(source, number)
        for label in sorted(found):
            name, pieces = found[label]
            place = by_name.get(name) if same_names and name else None
            if place is None:
                by_name[name] = len(people)
                free = people[-1].label + 1 if number else label
                people.append(CopiedPerson(free, name, tuple(pieces)))
            else:
                known = people[place]
                people[place] = replace(known, pieces=(*known.pieces, *_behind(known, pieces)))
    return people


def _by_label(source: SourceDataset, number: int) -> _Found:
    found: _Found = {}
    for piece, name in source.pieces(number):
        found.setdefault(piece.label, (name, []))[1].append(piece)
    return found


def _first_images(label: int, name: str, pieces: Sequence[Piece], images: int | None) -> CopiedPerson:
    left, taken = sum(piece.images for piece in pieces) if images is None else images, []
    for piece in pieces:
        if left > 0:
            taken.append(replace(piece, images=min(piece.images, left)))
            left -= piece.images
    return CopiedPerson(label, name, tuple(taken))


def _behind(known: CopiedPerson, pieces: Sequence[Piece]) -> list[Piece]:
    """Pieces whose images get numbers behind those that are known."""
    return [replace(piece, shift=known.numbers) for piece in pieces]
