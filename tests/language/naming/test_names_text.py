"""Names as vectors."""

import numpy as np
import pytest

from nonesuch.core.errors import NonesuchError
from nonesuch.language.naming.names_text import TEXT_WIDTH, name_vectors, null_name, plain_name


def test_case_accents_and_marks_do_not_count() -> None:
    assert plain_name("  Gérard  O'NEIL-Ruiz ") == "gerard o neil ruiz"
    vectors = name_vectors(["Gérard O'Neil", "gerard o neil", "Straße", "STRASSE"])
    np.testing.assert_array_equal(vectors[0], vectors[1])
    np.testing.assert_array_equal(vectors[2], vectors[3])


def test_names_that_share_words_lie_near_and_nobody_lies_apart() -> None:
    vectors = name_vectors(["George W. Bush", "Bush", "Colin Powell", "Serena Williams", "Venus Williams"])
    assert vectors.shape == (5, TEXT_WIDTH)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-6)
    cosines = vectors @ vectors.T
    assert cosines[0, 1] > 0.4
    assert cosines[3, 4] > 0.4
    assert abs(cosines[1, 2]) < 0.15
    assert not (vectors @ null_name()).any()
    assert np.linalg.norm(null_name()) == 1.0


def test_a_vector_is_its_names_alone() -> None:
    np.testing.assert_array_equal(name_vectors(["Ann", "Bo"])[1], name_vectors(["Bo"])[0])
    # Hashing does not depend on the process: published figures would change with each run.
    assert np.flatnonzero(name_vectors(["Bo"])[0]).tolist() == [5, 905, 1054, 1310, 1466, 1615, 1732]


@pytest.mark.parametrize("name", ["", " ", "...", "'-'"])
def test_a_name_needs_a_letter(name: str) -> None:
    with pytest.raises(NonesuchError, match="a name needs a letter"):
        name_vectors([name])
