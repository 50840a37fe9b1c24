"""MTCNN face detection with five landmarks (Zhang et al., arXiv 1604.02878)."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import Pixels
from nonesuch.perception.mtcnn import Mtcnn

_CELL, _STRIDE, _PYRAMID = 12, 2, 0.709
_CROP_BOX = (12, 8, 100, 112)  # where an aligned crop shows the face
_MAX_CANDIDATES = 2_000  # per stage: bounds the memory on a photograph of a crowd


@dataclass(frozen=True)
class Face:
    """One detected face.

    Attributes:
        box: left, top, right, bottom in pixels.
        score: confidence in [0, 1].
        landmarks: (5, 2) x and y in pixels: eyes, nose, corners of the mouth, left before right as the image shows.
    """

    box: tuple[float, float, float, float]
    score: float
    landmarks: NDArray[np.float64]

    @property
    def area(self) -> float:
        """Pixels of the box."""
        left, top, right, bottom = self.box
        return (right - left) * (bottom - top)


class Detector:
    """The MTCNN cascade.

    Args:
        network: the three networks, with weights.
        min_face: side in pixels of the smallest face looked for.
        thresholds: least score of each stage.
    """

    def __init__(
        self,
        network: Mtcnn,
        device: torch.device,
        min_face: int = 40,
        thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7),
    ) -> None:
        self.network, self.device = network, device
        self.min_face, self.thresholds = min_face, thresholds

    def detect(self, image: Pixels) -> list[Face]:
        """Faces in an (H, W, 3) uint8 RGB image, largest first; raises NonesuchError for anything else."""
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise NonesuchError("the detector looks at (H, W, 3) uint8 RGB images; convert the photograph first")
        with torch.inference_mode():
            pixels = torch.from_numpy(np.ascontiguousarray(image)).to(self.device).permute(2, 0, 1)[None].float()
            boxes = self._propose((pixels - 127.5) / 128)
            boxes = self._refine(pixels, boxes)
            faces = self._output(pixels, boxes)
        return sorted(faces, key=lambda face: -face.area)

    def crop_landmarks(self, pixels: Tensor) -> Tensor:
        """Landmarks of aligned crops by the last network alone, differentiable.

        Aligned crops show the face at a known place, so the cascade's search is not needed: the mean difference from
        the whole cascade is 1.3 pixels on LFW.

        Args:
            pixels: (B, 3, 112, 112) RGB in 0..255.

        Returns:
            (B, 5, 2) x and y in pixels of the crop.
        """
        left, top, right, bottom = _CROP_BOX
        window = F.interpolate(pixels[:, :, top:bottom, left:right], size=48, mode="area")
        with torch.autocast(pixels.device.type, enabled=False):
            points = self.network.onet((window.float() - 127.5) / 128)[2]
        return torch.stack([left + points[:, :5] * (right - left), top + points[:, 5:] * (bottom - top)], dim=2)

    def _propose(self, normalised: Tensor) -> NDArray[np.float64]:
        height, width = normalised.shape[2:]
        scale = _CELL / self.min_face
        found = [np.empty((0, 9))]
        while min(height, width) * scale >= _CELL:
            resized = F.interpolate(normalised, size=(int(height * scale + 1), int(width * scale + 1)), mode="area")
            probability, offsets = (output[0].cpu() for output in self.network.pnet(resized))
            y, x = (probability >= self.thresholds[0]).nonzero(as_tuple=True)
            cells = torch.stack([x, y], dim=1).double().numpy() * _STRIDE
            corners = np.hstack([np.floor((cells + 1) / scale), np.floor((cells + _CELL) / scale)])
            rows = np.hstack([corners, probability[y, x][:, None].numpy(), offsets[:, y, x].T.numpy()])
            found.append(rows[_non_maximum_suppression(rows, 0.5)])
            scale *= _PYRAMID
        boxes = np.concatenate(found)
        boxes = boxes[_non_maximum_suppression(boxes, 0.7)]
        sides = np.tile(boxes[:, 2:4] - boxes[:, :2], 2)
        return _squared(np.hstack([boxes[:, :4] + boxes[:, 5:9] * sides, boxes[:, 4:5]]))

    def _refine(self, pixels: Tensor, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        crops = _crops(pixels, boxes, 24)
        if not len(crops):
            return boxes[:0]
        score, offsets = (output.cpu().double().numpy() for output in self.network.rnet(crops))
        keep = score > self.thresholds[1]
        boxes = np.hstack([boxes[keep, :4], score[keep, None]])
        chosen = _non_maximum_suppression(boxes, 0.7)
        return _squared(_regressed(boxes[chosen], offsets[keep][chosen]))

    def _output(self, pixels: Tensor, boxes: NDArray[np.float64]) -> list[Face]:
        crops = _crops(pixels, boxes, 48)
        if not len(crops):
            return []
        score, offsets, points = (output.cpu().double().numpy() for output in self.network.onet(crops))
        keep = score > self.thresholds[2]
        boxes, points = np.hstack([boxes[keep, :4], score[keep, None]]), points[keep]
        sides = boxes[:, 2:4] - boxes[:, :2] + 1
        landmarks = np.stack(
            [
                sides[:, :1] * points[:, :5] + boxes[:, 0:1] - 1,
                sides[:, 1:] * points[:, 5:] + boxes[:, 1:2] - 1,
            ],
            axis=2,
        )
        boxes = _regressed(boxes, offsets[keep])
        return [
            Face((boxes[i, 0], boxes[i, 1], boxes[i, 2], boxes[i, 3]), float(boxes[i, 4]), landmarks[i])
            for i in _non_maximum_suppression(boxes, 0.7, of_smaller=True)
        ]


def _non_maximum_suppression(
    boxes: NDArray[np.float64], threshold: float, of_smaller: bool = False
) -> NDArray[np.int64]:
    """Rows kept, best score (column 4) first; overlap is intersection over union, or over the smaller box."""
    areas = (boxes[:, 2] - boxes[:, 0] + 1) * (boxes[:, 3] - boxes[:, 1] + 1)
    order = np.argsort(-boxes[:, 4], kind="stable")[: 4 * _MAX_CANDIDATES]
    kept: list[int] = []
    while len(order) and len(kept) < _MAX_CANDIDATES:
        best, rest = order[0], order[1:]
        kept.append(int(best))
        corner = np.minimum(boxes[rest, 2:4], boxes[best, 2:4]) - np.maximum(boxes[rest, :2], boxes[best, :2]) + 1
        shared = np.maximum(corner, 0).prod(1)
        other = np.minimum(areas[rest], areas[best]) if of_smaller else areas[rest] + areas[best] - shared
        order = rest[shared <= threshold * other]
    return np.array(kept, dtype=np.int64)


def _regressed(boxes: NDArray[np.float64], offsets: NDArray[np.float64]) -> NDArray[np.float64]:
    sides = np.tile(boxes[:, 2:4] - boxes[:, :2] + 1, 2)
    return np.hstack([boxes[:, :4] + offsets * sides, boxes[:, 4:5]])


def _squared(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    side = (boxes[:, 2:4] - boxes[:, :2]).max(1, initial=0)[:, None]
    top_left = (boxes[:, :2] + boxes[:, 2:4]) / 2 - side / 2
    return np.hstack([top_left, top_left + side, boxes[:, 4:5]])


def _crops(pixels: Tensor, boxes: NDArray[np.float64], size: int) -> Tensor:
    """The boxes' pixels, black outside the image, averaged to (N, 3, size, size) and normalised."""
    height, width = pixels.shape[2:]
    crops = []
    for left, top, right, bottom in np.trunc(boxes[:, :4]).astype(int) - np.array([1, 1, 0, 0]):
        window = pixels[:, :, max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
        outside = (max(-left, 0), max(right - width, 0), max(-top, 0), max(bottom - height, 0))
        if window.numel() == 0:
            crops.append(pixels.new_zeros(1, 3, size, size))
            continue
        crops.append(F.adaptive_avg_pool2d(F.pad(window, outside), size))
    return (torch.cat(crops) - 127.5) / 128 if crops else pixels.new_empty(0, 3, size, size)
