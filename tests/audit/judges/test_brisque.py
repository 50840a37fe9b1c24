"""Features against piq's, scores against libsvm's, and files that are not a regression."""

from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
from sklearn.svm import SVR

from nonesuch.audit.judges.brisque import features, regression
from nonesuch.core.errors import NonesuchError
from nonesuch.core.seeding import Stream, uniform

DATA = Path(__file__).parents[2] / "data"
MODEL, RANGES = DATA / "brisque_small.model", DATA / "brisque_small.range"

# By piq 0.8.0 (its natural scene statistics and its imresize, in double precision) of the first and the last picture,
# given luminance rounded half up. Its own rounding, half to even, changes a pixel in 2,500 and features by up to 0.001.
PIQ = [
    [
        10,
        0.381407,
        1.202,
        0.058307,
        0.140554,
        0.206113,
        1.215,
        0.063436,
        0.13549,
        0.206071,
        1.246,
        -0.010718,
        0.161291,
        0.149905,
        1.264,
        -0.011057,
        0.159744,
        0.148094,
        3.686,
        0.429962,
        0.987,
        0.067061,
        0.14021,
        0.220522,
        0.964,
        0.074345,
        0.1398,
        0.230425,
        0.989,
        -0.030529,
        0.204875,
        0.167556,
        1.007,
        -0.01734,
        0.187617,
        0.16701,
    ],
    [
        3.361,
        0.580729,
        1.029,
        -0.019633,
        0.315785,
        0.285559,
        1.027,
        -0.014542,
        0.315261,
        0.292735,
        0.994,
        -0.055987,
        0.3634,
        0.274084,
        0.977,
        -0.048484,
        0.357366,
        0.27966,
        3.012,
        0.456672,
        0.956,
        0.074134,
        0.145494,
        0.237651,
        0.927,
        0.070203,
        0.149987,
        0.238674,
        0.898,
        -0.046214,
        0.23471,
        0.174074,
        0.958,
        -0.03532,
        0.212903,
        0.168849,
    ],
]
# By libsvm 3.37 with the model that it wrote, a small one, of the four pictures' features scaled in double precision.
LIBSVM = [15.717628432896216, 18.70509677938476, 42.4002976624039, 45.305813724393836]


def _pictures() -> np.ndarray:
    """Four pictures with edges of all sizes, each noisier than the one before; the same on every machine."""
    noise = uniform(7, Stream.SPLIT, 4 * 112 * 112 * 3).reshape(4, 112, 112, 3)
    squares = np.zeros((4, 112, 112))
    for side in (2, 4, 8, 14, 28, 56):
        count = 112 // side
        squares += np.kron(uniform(side, Stream.SPLIT, 4 * count**2).reshape(4, count, count), np.ones((side, side)))
    values = 30 * squares[..., None] + 10 + np.array([4, 12, 30, 70]).reshape(4, 1, 1, 1) * noise
    return values.clip(0, 255).astype(np.uint8)


def test_features_are_piqs() -> None:
    found = features(_pictures())
    assert found.shape == (4, 36)
    assert np.allclose(found[[0, 3]], PIQ, atol=2e-6)


def test_a_crop_has_its_features_whatever_its_neighbours() -> None:
    crops = _pictures()
    together = features(np.concatenate([crops, crops[::-1], crops[:1]]))
    assert np.array_equal(features(crops[2:3])[0], together[2])
    assert np.array_equal(together[:4], together[4:8][::-1])
    assert features(crops[:0]).shape == (0, 36)


def test_scores_are_libsvms() -> None:
    score = regression(MODEL, RANGES)
    assert np.allclose(score(features(_pictures())), LIBSVM, atol=1e-6)


def test_scores_are_scikit_learns(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    low, high = draws.normal(size=36), draws.normal(size=36) + 5
    inputs = draws.uniform(-0.2, 1.2, (300, 36)) * (high - low) + low
    scaled = 3 * (inputs - low) / (high - low) - 1
    machine = SVR(gamma=0.07, C=50).fit(scaled[:200], 10 * scaled[:200, 0] + scaled[:200, 5] ** 2)
    rows = [
        f"{coefficient:.17g} " + " ".join(f"{at + 1}:{value:.17g}" for at, value in enumerate(vector))
        for coefficient, vector in zip(machine.dual_coef_[0], machine.support_vectors_, strict=True)
    ]
    header = ["svm_type epsilon_svr", "kernel_type rbf", "gamma 0.07", "nr_class 2", f"total_sv {len(rows)}"]
    lines = [*header, f"rho {-machine.intercept_[0]:.17g}", "SV", *rows]
    (tmp_path / "model").write_text("\n".join(lines) + "\n")
    ranges = [f"{at + 1} {low[at]:.17g} {high[at]:.17g}" for at in range(36)]
    (tmp_path / "range").write_text("\n".join(["x", "-1 2", *ranges]) + "\n")
    score = regression(tmp_path / "model", tmp_path / "range")
    assert np.allclose(score(inputs), machine.predict(scaled), atol=1e-8)


def test_blur_is_seen() -> None:
    """The less a picture is blurred, the more its normalised luminance varies, at both scales."""
    crops = _pictures()
    spreads = [features(scipy.ndimage.gaussian_filter(crops, (0, s, s, 0)))[:, [1, 19]] for s in (0, 1, 2)]
    assert (spreads[0] > spreads[1]).all()
    assert (spreads[1] > spreads[2]).all()


def test_crops_without_structure() -> None:
    crops = _pictures()
    crops[1] = 0
    crops[2, :60] = 255  # flat in a part: what rounding leaves there must not count
    found = features(crops)
    assert np.isnan(found[1]).sum() == 34  # all but the variances, which are 0
    assert np.isfinite(found[[0, 2, 3]]).all()
    scores = regression(MODEL, RANGES)(found)
    assert np.isnan(scores).tolist() == [False, True, False, False]


def test_wrong_crops_are_refused() -> None:
    with pytest.raises(NonesuchError, match=r"BRISQUE takes \(N, 112, 112, 3\) uint8 RGB crops"):
        features(_pictures()[:, :100])


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("epsilon_svr", "c_svc", "its svm_type is c_svc, wanted epsilon_svr or nu_svr"),
        ("kernel_type rbf", "kernel_type linear", "its kernel_type is linear, wanted rbf"),
        ("kernel_type rbf\n", "", "its kernel_type is missing"),
        ("gamma 0.050000000000000003", "gamma nan", "nan is not finite"),
        ("gamma 0.05", "gamma -0.05", "make no sense"),
        ("total_sv 7", "total_sv 9", "7 of its 9 vectors are there: the file was cut"),
        ("total_sv 7", "total_sv 5", "more than the 5 vectors"),
        ("total_sv 7", "total_sv 99999999999", "make no sense"),
        ("rho", "row", "rho or total_sv is missing"),
        (" 36:", " 37:", "vector 1: feature 37, wanted 1 to 36"),
        (" 3:", " 3:inf", "vector 1: "),
        ("\nSV", "\nsv", "no line says SV"),
    ],
)
def test_models_that_are_none(tmp_path: Path, before: str, after: str, said: str) -> None:
    text = MODEL.read_text()
    assert before in text
    (tmp_path / "model").write_text(text.replace(before, after))
    with pytest.raises(NonesuchError, match=said) as raised:
        regression(tmp_path / "model", RANGES)
    assert str(raised.value).startswith(f"{tmp_path / 'model'}: ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("x\n", "", "does not begin with x"),
        ("\n36 ", "\n37 ", "feature 37"),
        ("\n7 ", "\n8 ", "feature 7 has no range"),
    ],
)
def test_ranges_that_are_none(tmp_path: Path, before: str, after: str, said: str) -> None:
    (tmp_path / "range").write_text(RANGES.read_text().replace(before, after, 1))
    with pytest.raises(NonesuchError, match=said):
        regression(MODEL, tmp_path / "range")


def test_files_that_are_no_text(tmp_path: Path) -> None:
    junk, cut, huge = tmp_path / "junk", tmp_path / "cut", tmp_path / "huge"
    junk.write_bytes(bytes(range(256)) * 40)
    cut.write_text(MODEL.read_text()[:1500])
    with huge.open("wb") as handle:
        handle.truncate(60_000_000)
    for path, said in (
        (junk, "it is not plain text"),
        (cut, "the file was cut"),
        (huge, "larger than 50 MB"),
        (tmp_path, "directory"),
    ):
        with pytest.raises(NonesuchError, match=said):
            regression(path, RANGES)
        with pytest.raises(NonesuchError):
            regression(MODEL, path)
    with pytest.raises(NonesuchError, match="No such file"):
        regression(tmp_path / "none", RANGES)
