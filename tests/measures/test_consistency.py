"""Consistency, duplicates and diversity against brute force, scikit-learn's and planted errors."""

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.distance import pdist

from nonesuch.core.errors import NonesuchError
from nonesuch.measures.consistency import consistency, mated_similarity
from nonesuch.measures.diversity import spreads, vendi_of_identities, vendi_score, within_identities
from nonesuch.measures.duplicates import alike_within, perceptual_hash, similar_hashes
from nonesuch.measures.similarity import normalised


def _people(count: int = 60, images: int = 8, noise: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(0)
    labels = draws.permutation(np.repeat(np.arange(count), images))
    vectors = draws.normal(size=(count, 32))[labels] + noise * draws.normal(size=(len(labels), 32))
    return vectors.astype(np.float32), labels


def test_by_brute_force() -> None:
    vectors, labels = _people()
    labels[0] = 1000  # an identity of one image
    unit = normalised(vectors).astype(np.float64)
    found = consistency(vectors, labels)
    assert found.single == 1
    assert np.isnan(found.own[0])
    for row in (1, 17, 300):
        others = (labels == labels[row]) & (np.arange(len(labels)) != row)
        mean = unit[others].sum(0)
        assert found.own[row] == pytest.approx(unit[row] @ mean / np.linalg.norm(mean), abs=1e-5)
        cosines = {}
        for name in set(labels.tolist()) - {labels[row]}:
            centre = unit[labels == name].sum(0)
            cosines[name] = unit[row] @ centre / np.linalg.norm(centre)
        assert found.other[row] == pytest.approx(max(cosines.values()), abs=1e-5)
        assert found.other_identity[row] == max(cosines, key=cosines.__getitem__)
    mated = [unit[i] @ unit[j] for i in range(480) for j in range(i + 1, 480) if labels[i] == labels[j]]
    assert np.allclose(np.sort(mated_similarity(vectors, labels)), np.sort(mated), atol=1e-5)


def test_wrong_labels_are_found_and_no_others() -> None:
    vectors, labels = _people()
    assert len(consistency(vectors, labels).mislabelled(0.5)) == 0
    wrong = np.random.default_rng(1).choice(480, 12, replace=False)
    true = labels.copy()
    labels[wrong] = (labels[wrong] + 7) % 60
    found = consistency(vectors, labels)
    assert set(found.mislabelled(0.5).tolist()) == set(wrong.tolist())
    assert np.array_equal(found.other_identity[wrong], true[wrong])
    assert set(found.outliers(12).tolist()) == set(wrong.tolist())
    rate = found.refused(0.5, labels)
    assert rate.value == pytest.approx(12 / 480)
    assert rate.low < 12 / 480 < rate.high


def test_sets_of_which_nothing_can_be_said() -> None:
    vectors, _ = _people(2, 2)
    alone = consistency(vectors, np.arange(4))
    assert alone.single == 4
    with pytest.raises(NonesuchError, match="needs two"):
        alone.refused(0.5, np.arange(4))
    assert len(alone.outliers(3)) == 0
    everyone = consistency(vectors, np.zeros(4, dtype=np.int64))
    assert len(everyone.mislabelled(0.9)) == 0
    with pytest.raises(NonesuchError, match="no images"):
        consistency(vectors[:0], np.zeros(0, dtype=np.int64))


def _pictures() -> np.ndarray:
    draws = np.random.default_rng(2)
    small = [Image.fromarray(draws.integers(0, 256, (12, 12, 3), dtype=np.uint8)) for _ in range(80)]
    return np.stack([np.asarray(picture.resize((112, 112), Image.Resampling.BICUBIC)) for picture in small])


def test_hashes_tell_pictures_apart_and_forgive_small_changes() -> None:
    pictures = _pictures()
    draws = np.random.default_rng(3)
    noisy = np.clip(pictures[:5] + draws.normal(0, 6, pictures[:5].shape), 0, 255).astype(np.uint8)
    brighter = np.clip(pictures[5:8] * 0.9 + 12, 0, 255).astype(np.uint8)
    hashes = [perceptual_hash(picture) for picture in np.concatenate([pictures, noisy, brighter])]
    assert similar_hashes(hashes) == [(row, 80 + row) for row in range(8)]


def test_pairs_of_hashes_by_brute_force() -> None:
    draws = np.random.default_rng(4)
    hashes = [int(value) for value in draws.integers(0, 2**63, 60, dtype=np.uint64)]
    for row in range(60):
        changed = hashes[row]
        for bit in draws.choice(64, row % 7, replace=False):
            changed ^= 1 << int(bit)
        hashes.append(changed)
    for most in (0, 2, 4):
        expected = [
            (one, other) for one in range(120) for other in range(one + 1, 120)
            if (hashes[one] ^ hashes[other]).bit_count() <= most
        ]  # fmt: skip
        assert similar_hashes(hashes, most) == expected


def test_images_too_much_alike_within_an_identity() -> None:
    vectors, labels = _people(10, 4)
    twin, other = np.flatnonzero(labels == 3)[:2]
    vectors[other] = 2.0 * vectors[twin] + 0.01
    pairs = [pair for part, _ in alike_within(normalised(vectors), labels, 0.99) for pair in part.tolist()]
    assert pairs == [[twin, other]]


def test_vendi_score_of_known_sets() -> None:
    assert vendi_score(np.eye(5, 9)) == pytest.approx(5.0)
    assert vendi_score(np.ones((7, 3))) == pytest.approx(1.0)
    assert vendi_score(np.repeat(np.eye(3), 4, axis=0)) == pytest.approx(3.0)
    draws = np.random.default_rng(5)
    for shape in ((6, 20), (30, 8)):
        vectors = draws.normal(size=shape)
        similarity = 1.0 - np.zeros((shape[0], shape[0]))
        similarity[np.triu_indices(shape[0], 1)] = 1.0 - pdist(vectors, "cosine")
        similarity = np.triu(similarity, 1) + np.triu(similarity, 1).T + np.eye(shape[0])
        values = np.linalg.eigvals(similarity / shape[0]).real
        values = values[values > 1e-12]
        assert vendi_score(vectors) == pytest.approx(np.exp(-(values * np.log(values)).sum()))
    groups = vendi_of_identities(
        np.concatenate([np.eye(4), np.ones((3, 4)), np.eye(1, 4)]), np.repeat([2, 5, 9], [4, 3, 1])
    )
    assert groups.tolist() == pytest.approx([4.0, 1.0])


def test_spread_within_and_between_identities() -> None:
    values = np.array([1.0, 3.0, 10.0, np.nan, 14.0, 7.0])
    inside, between = within_identities(values, np.array([0, 0, 1, 1, 1, 2]))
    assert inside.value == pytest.approx((np.std([1, 3], ddof=1) + np.std([10, 14], ddof=1)) / 2)
    assert between == pytest.approx(np.std([2, 12, 7], ddof=1))
    assert np.isnan(within_identities(values, np.arange(6))[0].value)


def test_spreads_of_each_column_and_of_two_identities() -> None:
    draws, labels = np.random.default_rng(0), np.array([0, 0, 1, 1])
    columns = {name: draws.normal(size=4) for name in ("yaw", "pitch", "age", "quality", "light")}
    found = spreads(columns, labels)
    assert set(found) == set(columns)
    for name, values in columns.items():
        assert found[name]["between"] == pytest.approx(np.std([values[:2].mean(), values[2:].mean()], ddof=1))
    assert np.isnan(within_identities(columns["yaw"], np.zeros(4, dtype=np.int64))[1])
