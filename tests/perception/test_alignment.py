import numpy as np
import pytest
import scipy.optimize

from nonesuch.perception.alignment import TEMPLATE, align, similarity_transform


def _residuals(parameters: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    a, b, x, y = parameters
    return (source @ np.array([[a, b], [-b, a]]) + [x, y] - target).ravel()


@pytest.mark.parametrize("noise", [0.0, 3.0])
def test_similarity_is_the_least_squares_one(noise: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        source = rng.uniform(0, 300, (5, 2))
        turn, scale = rng.uniform(-np.pi, np.pi), rng.uniform(0.2, 4)
        rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        target = scale * source @ rotation.T + rng.uniform(-50, 50, 2) + rng.normal(0, noise, (5, 2))
        matrix = similarity_transform(source, target)
        start = [1.0, 0.0, 0.0, 0.0]
        a, b, x, y = scipy.optimize.least_squares(_residuals, start, args=(source, target), xtol=1e-15, ftol=1e-15).x
        assert np.allclose(matrix, [[a, -b, x], [b, a, y]], atol=1e-4)


def test_a_mirrored_target_gives_no_reflection() -> None:
    source = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    matrix = similarity_transform(source, source * [-1, 1])
    assert np.linalg.det(matrix[:, :2]) > 0


@pytest.mark.parametrize("scale", [0.7, 1.0, 2.5, 9.0])
def test_landmarks_land_on_the_template(scale: float) -> None:
    """Five bright spots at known places must appear at the template's."""
    turn = np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    landmarks = scale * (TEMPLATE - 56) @ turn.T + scale * 80
    side = int(scale * 160)
    y, x = np.mgrid[:side, :side]
    image = np.zeros((side, side, 3), dtype=np.uint8)
    for point in landmarks:
        spot = 255 * np.exp(-((x - point[0]) ** 2 + (y - point[1]) ** 2) / (2 * (2 * scale) ** 2))
        image = np.maximum(image, spot[:, :, None].astype(np.uint8))
    crop = align(image, landmarks).astype(float)[:, :, 0]
    y, x = np.mgrid[:112, :112]
    for point in TEMPLATE:
        near = crop * ((x - point[0]) ** 2 + (y - point[1]) ** 2 < 36)
        centre = np.array([(near * x).sum(), (near * y).sum()]) / near.sum()
        assert np.abs(centre - point).max() < 0.15


def test_a_much_larger_photograph_does_not_alias() -> None:
    """A fine checkerboard must become grey, not a coarse pattern."""
    y, x = np.mgrid[:1200, :1200]
    board = np.repeat(((x // 2 + y // 2) % 2 * 255).astype(np.uint8)[:, :, None], 3, axis=2)
    crop = align(board, TEMPLATE * 10.3 + 20)
    assert crop.std() < 25
    assert abs(crop.mean() - 127.5) < 5
