"""The face that is its label's, among planted vectors."""

import numpy as np

from nonesuch.identities.closest import Labels

DIM = 64


def _people(count: int) -> np.ndarray:
    """Means that are orthogonal, so that a person's faces are told from others' by their cosines."""
    return np.linalg.qr(np.random.default_rng(0).standard_normal((DIM, count)))[0].T.astype(np.float32)


def _face(person: np.ndarray, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(DIM).astype(np.float32)
    return 7 * (person + 0.05 * noise)


def test_the_face_of_the_single_photographs() -> None:
    ann, bob, *strangers = _people(6)
    labels = Labels(0.5)
    for seed in range(3):
        labels.add("ann", _face(ann, seed)[None])
        labels.add("bob", _face(bob, 10 + seed)[None])
    for seed in range(20, 30):
        place = seed % 3
        faces = [_face(stranger, seed) for stranger in strangers[:2]]
        faces.insert(place, _face(ann, 100 + seed))
        assert labels.closest("ann", np.stack(faces)) == (place, False)
    assert labels.closest("ann", np.stack([_face(one, 5) for one in strangers[:2]]))[1] is True
    assert labels.closest("ann", np.stack([_face(ann, 5), _face(ann, 6)]))[1] is True
    assert labels.alone == 0


def test_without_single_photographs_the_face_that_they_have_in_common() -> None:
    ann, *strangers = _people(7)
    labels = Labels(0.5)
    photographs = [np.stack([_face(stranger, row), _face(ann, 50 + row)]) for row, stranger in enumerate(strangers)]
    for faces in photographs:
        labels.add("ann", faces)
    assert [labels.closest("ann", faces) for faces in photographs] == [(1, False)] * 6
    assert labels.alone == 1


def test_of_a_single_photograph_the_largest() -> None:
    ann, bob = _people(2)
    labels = Labels(0.5)
    faces = np.stack([_face(bob, 1), _face(ann, 2)])
    labels.add("ann", faces)
    assert labels.closest("ann", faces) == (0, None)
    assert labels.alone == 1


def test_an_unknown_threshold_leaves_it_to_sizes() -> None:
    ann, bob = _people(2)
    labels = Labels(None)
    labels.add("ann", _face(ann, 0)[None])
    assert labels.closest("ann", np.stack([_face(bob, 1), _face(ann, 2)])) == (1, None)
