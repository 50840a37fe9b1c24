"""Keys have a place for so many identities, and images of one; more are refused before anything is written."""

from pathlib import Path

import pytest

from nonesuch.core.errors import NonesuchError
from nonesuch.dataset.collected.contents import check_counts
from nonesuch.dataset.collected.copied import CopiedPerson, Piece
from nonesuch.dataset.collected.imported import ImportedPerson, PhotographContents
from nonesuch.formats.photographs import Photograph

ONE = Photograph("a.jpg", "a", Path("a.jpg"))


def test_as_many_as_keys_have_digits_for() -> None:
    check_counts([ImportedPerson(9_999_999, "a", (ONE,) * 100_000)])
    with pytest.raises(NonesuchError, match="at most 10,000,000, make several"):
        check_counts([ImportedPerson(10_000_000, "a", (ONE,))])
    with pytest.raises(NonesuchError, match="identity a has 100,001 images; at most 100,000"):
        check_counts([ImportedPerson(0, "a", (ONE,) * 100_001)])
    with pytest.raises(NonesuchError, match="identity 3 has 100,001 images"):
        check_counts([CopiedPerson(3, "", (Piece(0, 0, 3, 2, 60_000), Piece(1, 0, 0, 2, 40_000 - 1, 60_001)))])


@pytest.mark.parametrize(
    ("people", "labels"),
    [
        (["12", "3", "700"], {"3": 3, "12": 12, "700": 700}),
        (["0012", "3"], {"3": 3, "0012": 12}),
        (["12", "012", "x"], {"12": 0, "012": 1, "x": 2}),
        (["7", "007"], {"7": 0, "007": 1}),  # two names of one number
        (["3", "10000000"], {"3": 0, "10000000": 1}),
        (["3", "\u0663"], {"3": 0, "\u0663": 1}),
    ],
)
def test_numbers_stay_labels(people: list[str], labels: dict[str, int]) -> None:
    photographs = [Photograph(f"{person}/0.jpg", person, Path("a.jpg")) for person in people]
    found = PhotographContents(Path("in"), photographs, None, "jpeg", 95).people
    assert {person.name: person.label for person in found} == labels
    assert [person.label for person in found] == sorted(labels.values())
