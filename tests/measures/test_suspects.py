"""Training people planted in a set are suspects, strangers are not, and the power that is stated is the true one."""

from statistics import NormalDist

import numpy as np
import pytest

from nonesuch.core.errors import NonesuchError
from nonesuch.measures import suspects as module
from nonesuch.measures.leakage import search
from nonesuch.measures.separability import identity_centres
from nonesuch.measures.similarity import normalised
from nonesuch.measures.suspects import Compared, Suspects, best_scores, suspects

WIDTH, TRAINED = 64, 200
# Strangers' cosines in 64 dimensions are nearly normal with a deviation of 1/8.
CARD = {fmr: NormalDist(0, 1 / 8).inv_cdf(1 - fmr) for fmr in (1e-3, 1e-4, 1e-5)}


def _people(count: int, images: int, seed: int, noise: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(seed)
    labels = np.repeat(np.arange(count), images)
    vectors = draws.normal(size=(count, WIDTH))[labels] + noise * draws.normal(size=(count * images, WIDTH))
    return vectors.astype(np.float32), labels


# Six photographs of each training person: the set learned four, two are left to be planted.
_PHOTOGRAPHS = _people(TRAINED, 6, 0)[0].reshape(TRAINED, 6, WIDTH)
TRAINING, PEOPLE = _PHOTOGRAPHS[:, :4].reshape(-1, WIDTH), np.repeat(np.arange(TRAINED), 4)
CENTRES = identity_centres(TRAINING, PEOPLE)


def _compared(vectors: np.ndarray, labels: np.ndarray) -> Compared:
    return Compared(vectors, labels, search(vectors, CENTRES))


CONTROL = _compared(*_people(300, 3, 1))


def _found(vectors: np.ndarray, labels: np.ndarray, control: Compared | None = CONTROL, card: dict = CARD) -> Suspects:
    return suspects(_compared(vectors, labels), control, TRAINING, PEOPLE, CENTRES, card)


def test_scores_by_brute_force() -> None:
    vectors, labels = _people(20, 5, 2)
    cosine = (normalised(vectors) @ CENTRES.T).reshape(20, 5, TRAINED)
    better = np.sort(cosine, axis=1)[:, 2:].mean(1)
    score, person = best_scores(_compared(vectors, labels), CENTRES)
    near = [np.unique(cosine[row].argmax(1)) for row in range(20)]
    assert np.allclose(score, [better[row, near[row]].max() for row in range(20)], atol=1e-6)
    assert all(person[row] in near[row] for row in range(20))


@pytest.mark.parametrize("control", [CONTROL, None])
@pytest.mark.parametrize("half", [False, True])
def test_training_people_in_other_photographs_are_suspects(control: Compared | None, half: bool) -> None:
    """Three of 1,000 identities, in photographs that the training set does not hold; in half of the images only."""
    vectors, labels = _people(1000, 4, 3)
    leaked = {100: 7, 500: 8, 900: 150}
    for identity, person in leaked.items():
        rows = np.flatnonzero(labels == identity)
        vectors[rows[: 2 if half else 4]] = np.tile(_PHOTOGRAPHS[person, 4:], (1 if half else 2, 1))
    found = _found(vectors, labels, control)
    assert set(found.rows.tolist()) == set(leaked)
    assert {int(row): int(found.person[row]) for row in found.rows} == leaked
    assert found.leak in (1, 2, 3)


def test_strangers_are_no_suspects() -> None:
    """Of twenty clean sets at an error of 5% each, with a card and without."""
    for card in (CARD, {}):
        wrong = sum(bool(len(_found(*_people(200, 3, seed), card=card).rows)) for seed in range(10, 20))
        assert wrong <= 2


def test_the_same_people_under_other_names_in_the_control_hide_nobody() -> None:
    """Six of the control's people are training people. They are counted, and the leak is seen all the same."""
    vectors, labels = _people(300, 3, 1)
    for number in range(6):
        vectors[labels == number] = _PHOTOGRAPHS[number, 3:]
    clean, label = _people(1000, 4, 3)
    clean[label == 5] = np.tile(_PHOTOGRAPHS[9, 4:], (2, 1))
    found = _found(clean, label, _compared(vectors, labels), {})
    assert found.control_above == 6
    assert found.rows.tolist() == [5]


def test_the_stated_power_is_the_true_one() -> None:
    """Leaks of the stated size, really planted into the set in place of identities, are seen nine times in ten, and
    smaller ones less often. The training people are hard to tell: their photographs differ much."""
    photographs = _people(TRAINED, 4, 20, noise=1.2)[0].reshape(TRAINED, 4, WIDTH)
    training, people = photographs.reshape(-1, WIDTH), np.repeat(np.arange(TRAINED), 4)
    vectors, labels = _people(400, 2, 21, noise=1.2)
    centres = identity_centres(training, people)
    compared = Compared(vectors, labels, search(vectors, centres))
    stated = suspects(compared, None, training, people, centres, CARD)
    assert stated.leak is not None
    assert stated.leak > 2
    left, half = photographs[:, 1::2].reshape(-1, WIDTH), np.repeat(np.arange(TRAINED), 2)
    others = identity_centres(left, half)
    draws = np.random.default_rng(0)

    def seen(leak: int) -> float:
        count = 0
        for _ in range(40):
            planted = vectors.copy()
            for identity, person in zip(draws.permutation(400)[:leak], draws.permutation(TRAINED)[:leak], strict=True):
                planted[labels == identity] = photographs[person, ::2]
            mixed = Compared(planted, labels, search(planted, others))
            count += bool((best_scores(mixed, others)[0] >= stated.cosine).any())
        return count / 40

    assert seen(stated.leak) >= 0.8
    assert seen(max(1, stated.leak // 4)) < 0.8


def test_what_a_control_of_another_size_would_do() -> None:
    """A small control makes the cosine cautious, a large one does not."""
    vectors, labels = _people(200, 2, 3)

    def cosines(size: int) -> list[float]:
        return [_found(vectors, labels, _compared(*_people(size, 1, seed)), {}).cosine for seed in range(30, 38)]

    small, large = cosines(25), cosines(500)
    assert np.mean(small) > np.mean(large) + 0.02
    assert np.std(large) < np.std(small)


def test_what_says_nothing() -> None:
    vectors, labels = _people(30, 2, 3)
    with pytest.raises(NonesuchError, match="no threshold and the control has 0 people"):
        _found(vectors, labels, None, {})
    single = suspects(_compared(vectors, labels), CONTROL, CENTRES, np.arange(TRAINED), CENTRES, CARD)
    assert len(single.planted) == 0
    assert single.leak is None
    assert single.telling is None


def test_the_control_that_would_tell_by_hand() -> None:
    """Caution above what strangers reach falls with the root of the control's size: half of it takes four times as
    many people. A leak of 0.1% of 1,000 identities is one, which nine of ten planted people would have to reach."""
    planted = np.concatenate([np.full(20, 0.3), np.full(980, 0.6)]).astype(np.float32)
    for cosine, people in ((0.6, 100), (0.7, 400), (0.65, 225), (0.52, 20)):
        assert module._people_telling(1000, planted, 0.5, cosine, 100) == pytest.approx(people, abs=1)
    assert module._people_telling(1000, planted, 0.61, 0.7, 100) is None
    assert module._people_telling(1000, planted[:500], 0.5, 0.7, 100) == pytest.approx(400, abs=1)
    assert module._people_telling(1000, planted[:150], 0.5, 0.7, 100) is None
    # Of 10,000 identities ten may leak, and one in five of the planted people suffices.
    assert module._people_telling(10_000, planted[:150], 0.5, 0.7, 100) == pytest.approx(400, abs=1)
