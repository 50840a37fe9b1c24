import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nonesuch.perception.pose import _FACE, head_pose


def _landmarks(yaw: float, pitch: float, roll: float, scale: float = 1.7) -> np.ndarray:
    """The generic face turned by scipy; image axes, y down."""
    # Positive yaw moves the nose to the right of the image, positive pitch moves it up.
    turned = Rotation.from_euler("YXZ", [yaw, pitch, roll], degrees=True).apply(_FACE)
    return scale * turned[:, :2] + [80.0, 40.0]


@pytest.mark.parametrize("yaw", [-60, -30, -5, 0, 10, 45])
@pytest.mark.parametrize(("pitch", "roll"), [(0, 0), (15, 0), (-20, 10)])
def test_known_turns_are_found(yaw: float, pitch: float, roll: float) -> None:
    assert head_pose(_landmarks(yaw, pitch, roll)[None])[0] == pytest.approx([yaw, pitch, roll], abs=1.0)


def test_signs() -> None:
    frontal = _FACE[:, :2].copy()
    nose_right, nose_up = frontal.copy(), frontal.copy()
    nose_right[2, 0] += 4
    nose_up[2, 1] -= 4
    assert np.allclose(head_pose(frontal[None]), 0, atol=1e-6)
    assert head_pose(nose_right[None])[0, 0] > 5
    assert head_pose(nose_up[None])[0, 1] > 5


def test_scale_and_place_do_not_matter() -> None:
    points = np.stack([_landmarks(25, 5, 3, scale) + shift for scale, shift in ((0.5, 0), (3, 200), (20, -70))])
    assert np.ptp(head_pose(points), axis=0) == pytest.approx([0, 0, 0], abs=1e-4)


def test_noisy_landmarks_stay_finite() -> None:
    noise = np.random.default_rng(0).normal(0, 30, (500, 5, 2))
    assert np.isfinite(head_pose(noise)).all()
    assert head_pose(np.empty((0, 5, 2))).shape == (0, 3)
