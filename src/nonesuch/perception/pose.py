"""Head pose from five landmarks: a weak-perspective fit of a generic face.

Source: POS, the first step of POSIT (DeMenthon and Davis, 1995), refined by Gauss-Newton on the landmarks' error.
"""

import numpy as np
from numpy.typing import NDArray

from nonesuch.perception.alignment import TEMPLATE

# Depth towards the camera, in pixels of the template (eyes 35 apart). The tip of the nose stands out by about 0.45 of
# the eyes' distance, the corners of the mouth hardly. x and y of a face that looks ahead are the template's, made
# symmetric.
_DEPTH = np.array([0.0, 0.0, 15.9, 1.2, 1.2])
_STEPS = 20


def _generic_face() -> NDArray[np.float64]:
    mirrored = TEMPLATE[[1, 0, 2, 4, 3]] * [-1, 1]
    centre = np.array([TEMPLATE[:, 0].mean(), 0.0])
    symmetric = ((TEMPLATE - centre) + (mirrored + centre)) / 2
    face = np.column_stack([symmetric, _DEPTH])
    return face - face.mean(0)


_FACE = _generic_face()


def head_pose(landmarks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Yaw, pitch and roll of faces.

    Args:
        landmarks: (N, 5, 2) x and y in pixels of any scale: eyes, nose, corners of the mouth, left before right.

    Returns:
        (N, 3) degrees. Yaw is positive when the nose is right of the eyes' midpoint in the image, pitch is positive
        looking up, roll is positive when the face is turned clockwise.
    """
    centred = landmarks - landmarks.mean(1, keepdims=True)
    rotation, scale = _pos(centred)
    for _ in range(_STEPS):
        rotation, scale = _refined(centred, rotation, scale)
    return _angles(rotation)


def _pos(centred: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rotations (N, 3, 3) and scales (N,) from the linear fit, whose two rows are made orthonormal."""
    linear = np.einsum("npc,dp->ncd", centred, np.linalg.pinv(_FACE))
    left, singular, right = np.linalg.svd(linear, full_matrices=False)
    rows = left @ right
    return np.concatenate([rows, np.cross(rows[:, 0], rows[:, 1])[:, None]], axis=1), singular.mean(1)


def _refined(
    centred: NDArray[np.float64], rotation: NDArray[np.float64], scale: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    turned = np.einsum("nij,pj->npi", rotation, _FACE)
    residual = (centred - scale[:, None, None] * turned[:, :, :2]).reshape(-1, 10)
    # A small rotation w moves a point p by w x p; the last column is the change of scale.
    x, y, z = turned[..., 0], turned[..., 1], turned[..., 2]
    zero = np.zeros_like(x)
    by_turn = np.stack([np.stack([zero, z, -y], -1), np.stack([-z, zero, x], -1)], axis=2) * scale[:, None, None, None]
    jacobian = np.concatenate([by_turn, turned[:, :, :2, None]], axis=3).reshape(-1, 10, 4)
    normal = jacobian.transpose(0, 2, 1) @ jacobian + 1e-6 * np.eye(4)
    step = np.linalg.solve(normal, (jacobian.transpose(0, 2, 1) @ residual[:, :, None]))[:, :, 0]
    return _rotation(np.clip(step[:, :3], -0.3, 0.3)) @ rotation, scale + step[:, 3]


def _rotation(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation matrices (N, 3, 3) of rotation vectors (Rodrigues)."""
    angle = np.linalg.norm(vectors, axis=1)[:, None, None]
    x, y, z = (vectors / np.maximum(angle[:, :, 0], 1e-12)).T
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def _angles(rotation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Yaw, pitch, roll in degrees of R = Ry(yaw) Rx(pitch) Rz(roll), image axes (y down)."""
    # The face's own axis towards the camera, (0, 0, 1), seen from the camera.
    forward = rotation[:, :, 2]
    yaw = np.arctan2(forward[:, 0], forward[:, 2])
    pitch = np.arctan2(-forward[:, 1], np.hypot(forward[:, 0], forward[:, 2]))
    roll = np.arctan2(rotation[:, 1, 0], rotation[:, 1, 1])
    return np.degrees(np.stack([yaw, pitch, roll], axis=1))
