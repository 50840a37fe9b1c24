import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from nonesuch.measures.similarity import nearest, normalised


@pytest.fixture
def vectors() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((137, 8)).astype(np.float32)


def test_a_zero_vector_stays_zero() -> None:
    assert normalised(np.zeros((1, 4), dtype=np.float32)).tolist() == [[0, 0, 0, 0]]


@pytest.mark.parametrize("block", [1, 7, 64, 1000])
def test_nearest_equals_the_full_matrix_for_any_block(vectors: np.ndarray, block: int) -> None:
    queries = vectors[:50] + 0.3
    full = cosine_similarity(queries, vectors)
    cosine, row = nearest(queries, vectors, block)
    assert np.allclose(cosine, full.max(1), atol=1e-6)
    assert np.array_equal(row, full.argmax(1))


@pytest.mark.parametrize("block", [1, 7, 64, 1000])
def test_nearest_within_one_set_leaves_out_the_row_itself(vectors: np.ndarray, block: int) -> None:
    full = cosine_similarity(vectors)
    np.fill_diagonal(full, -np.inf)
    cosine, row = nearest(vectors, vectors, block, same=True)
    assert np.allclose(cosine, full.max(1), atol=1e-6)
    assert np.array_equal(row, full.argmax(1))
    assert nearest(vectors[:1], vectors[:1], block, same=True)[0][0] == -np.inf
