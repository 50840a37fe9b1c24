from pathlib import Path

import numpy as np
import pytest
import torch

from nonesuch import NonesuchError, load_generator
from nonesuch.generators.generator import Generator, to_grey_levels


@pytest.fixture(scope="module", params=["tiny", "vec2face_small"])
def generator(request: pytest.FixtureRequest, tiny_generator: Path) -> Generator:
    """The tiny one, and the shipped one, whose real widths take other paths through the arithmetic."""
    return load_generator(tiny_generator if request.param == "tiny" else request.param, "cpu")


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray]:
    vectors = np.random.default_rng(0).standard_normal((37, 192)).astype(np.float32) * 5
    return vectors, np.arange(37, dtype=np.uint64) * 1_000_003


def test_an_image_does_not_depend_on_its_neighbours(generator: Generator, rows: tuple[np.ndarray, np.ndarray]) -> None:
    vectors, seeds = rows
    whole = generator.render(vectors, seeds, 8)
    shuffled = np.random.default_rng(1).permutation(37)
    again = generator.render(vectors[shuffled], seeds[shuffled], 8)
    assert np.array_equal(whole[shuffled], again)
    assert np.array_equal(whole[5:6], generator.render(vectors[5:6], seeds[5:6], 8))


def test_micro_batches_agree_within_a_grey_level(generator: Generator, rows: tuple[np.ndarray, np.ndarray]) -> None:
    one, many = generator.render(*rows, 1), generator.render(*rows, 64)
    assert np.abs(one - many).max() < 1.0
    assert np.abs(to_grey_levels(one).astype(int) - to_grey_levels(many)).max() <= 1


def test_the_number_of_threads_does_not_matter(generator: Generator, rows: tuple[np.ndarray, np.ndarray]) -> None:
    images = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            images.append(generator.render(*rows, 16))
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(*images)


def test_bad_vectors_are_refused(generator: Generator, rows: tuple[np.ndarray, np.ndarray]) -> None:
    vectors, seeds = rows
    for wrong, reason in [
        (np.full_like(vectors, np.nan), "vector 0 is zero or holds NaN"),
        (np.where(np.arange(37)[:, None] == 3, 0, vectors), "vector 3 is zero"),
        (vectors[:, :100], r"width 192, \(N, 192\), not \(37, 100\)"),
    ]:
        with pytest.raises(NonesuchError, match=reason):
            generator.render(wrong, seeds, 8)
