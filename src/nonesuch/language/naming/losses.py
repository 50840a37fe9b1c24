"""SECLA's losses: an image's faces and its caption's names agree better than those of two different records.

Source: SECLA, WACV 2023, with padding left out of every maximum and mean, and means over what is there.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

_EQUAL = 0.15  # weight of the difference between the two agreements of a record


def agreements(faces: Tensor, names: Tensor, face_there: Tensor, name_there: Tensor) -> tuple[Tensor, Tensor]:
    """How well each image fits each caption, seen from the names and seen from the faces.

    Args:
        faces: (B, F, D) of each image, padded.
        names: (C, N, D) of each caption, padded.
        face_there, name_there: (B, F) and (C, N) bool, false for padding; each row has one that is true.

    Returns:
        (B, C) mean over a caption's names of the best face's score, and (B, C) mean over an image's faces of the best
        name's score.
    """
    scores = torch.einsum("ifd,jnd->ijfn", faces, names)
    face = face_there[:, None, :, None]
    name = name_there[None, :, None, :]
    lowest = torch.finfo(scores.dtype).min
    of_names = scores.masked_fill(~face, lowest).amax(2)
    of_faces = scores.masked_fill(~name, lowest).amax(3)
    by_name = (of_names * name[:, :, 0]).sum(2) / name_there.sum(1)
    by_face = (of_faces * face[..., 0]).sum(2) / face_there.sum(1)[:, None]
    return by_name, by_face


def alignment_losses(faces: Tensor, names: Tensor, face_there: Tensor, name_there: Tensor) -> dict[str, Tensor]:
    """The terms of SECLA's loss for a batch of records, image i with caption i; arguments as in `agreements`.

    Returns:
        by_name, by_face: cross-entropy of each image's own caption, in nats; equal: .15 times the mean square of the
        difference between both agreements of a record.
    """
    by_name, by_face = agreements(faces, names, face_there, name_there)
    own = torch.arange(len(by_name), device=by_name.device)
    return {
        "by_name": F.cross_entropy(by_name, own),
        "by_face": F.cross_entropy(by_face, own),
        "equal": _EQUAL * F.mse_loss(by_name.diagonal(), by_face.diagonal()),
    }
