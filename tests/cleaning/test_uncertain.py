"""Uncertain cases: nearest to a threshold first, on both sides of it, and none that a person has decided."""

import numpy as np

from nonesuch.cleaning.answers import Answered
from nonesuch.cleaning.cast import Cleaned, Settled, clean
from nonesuch.cleaning.doubles import Pair
from nonesuch.cleaning.uncertain import Thresholds, uncertain

LIMITS = Thresholds(0.5, 0.7, 0.9)


def _at(degrees: list[float]) -> np.ndarray:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def _cases(vectors: np.ndarray, labels: list[int], settled: Settled | None = None) -> tuple[Cleaned, list[tuple]]:
    settled = settled or Settled()
    cleaned = clean(vectors, np.array(labels), LIMITS.same, LIMITS.merge, settled=settled)
    found = uncertain(vectors, cleaned, [], LIMITS, Answered(settled), 100)
    assert all(case.margin >= 0 for case in found)
    assert [case.margin for case in found] == sorted(case.margin for case in found)
    return cleaned, [(case.question, case.one, case.other, case.decided) for case in found]


def test_both_sides_of_the_threshold_of_one_person() -> None:
    # The third is linked by cos 59 = 0.515, the seventh strayed by cos 62 = 0.469; people are far apart.
    vectors = _at([0, 1, 60, 180, 181, 182, 243])
    cleaned, found = _cases(vectors, [0, 0, 0, 1, 1, 1, 1])
    assert cleaned.identities.tolist() == [0, 0, 0, 1, 1, 1, -1]
    assert found[:2] == [("image", 2, 0, "it stays"), ("image", 6, 1, "it is dropped")]
    held = Settled(held={2: 0}, refused=frozenset({(6, 1)}))
    _, left = _cases(vectors, [0, 0, 0, 1, 1, 1, 1], held)
    assert not {(kind, one) for kind, one, *_ in left} & {("image", 2), ("image", 6)}


def test_both_sides_of_the_threshold_of_two_identities() -> None:
    vectors, labels = _at([0, 0, 44, 44, 180, 180, 226, 226]), [0, 0, 1, 1, 2, 2, 3, 3]
    cleaned, found = _cases(vectors, labels)
    assert cleaned.identities.tolist() == [0, 0, 0, 0, 2, 2, 3, 3]
    assert found[:2] == [("people", 2, 3, "they stay apart"), ("people", 0, 1, "they are merged")]
    _, left = _cases(vectors, labels, Settled(one={1: 0}, two=frozenset({(2, 3)})))
    assert all((one, other) not in {(0, 1), (2, 3)} for kind, one, other, _ in left if kind == "people")


def test_pictures_by_both_measures_and_the_budget() -> None:
    vectors = _at([0, 5, 10, 15])
    cleaned = Cleaned(np.array([0, 0, 0, -1]), [], 1, True)
    pairs = [Pair(0, 1, 0.99, 0), Pair(0, 2, 0.901, 0), Pair(1, 2, 0.99, 6), Pair(2, 3, 0.9, 0)]
    pictures = [
        case for case in uncertain(vectors, cleaned, pairs, LIMITS, Answered(), 100) if case.question == "picture"
    ]
    assert [(case.one, case.other, case.decided) for case in pictures] == [
        (0, 2, "the later one is dropped"),
        (1, 2, "both stay"),
        (0, 1, "the later one is dropped"),
    ]
    assert len(uncertain(vectors, cleaned, pairs, LIMITS, Answered(), 2)) == 2
    told = Answered(same_picture=frozenset({(0, 1)}), other_picture=frozenset({(0, 2)}))
    left = [case for case in uncertain(vectors, cleaned, pairs, LIMITS, told, 100) if case.question == "picture"]
    assert [(case.one, case.other) for case in left] == [(1, 2)]
