"""The two towers of SECLA: faces and names into one space, where their dot product says how well they fit."""

import torch
from torch import Tensor, nn

_WIDTH, _SPACE = 512, 128
_FORGOTTEN = 0.5  # share of a name's characters that training hides
_NOISE = 0.8  # length of the noise that training adds to a face, by the face's length


class NamingTowers(nn.Module):
    """Frozen vectors of faces and names -> a common space (SECLA, WACV 2023, as in its published code).

    Unlike there, training hides half of what a name is written with, and adds noise to faces. Most names are in one
    caption only, and without this they are learned by heart.

    Attributes:
        null_face: (face_dim,) learned; stands for the face that a name does not have.
    """

    def __init__(self, face_dim: int, text_dim: int) -> None:
        """Args: widths of the two kinds of vectors."""
        super().__init__()
        self.read_name = nn.Sequential(nn.Dropout(_FORGOTTEN), nn.Linear(text_dim, _WIDTH, bias=False), nn.ReLU())
        self.name_tower, self.face_tower = _tower(_WIDTH), _tower(face_dim)
        self.null_face = nn.Parameter(torch.randn(face_dim))

    def of_faces(self, vectors: Tensor) -> Tensor:
        """(..., face_dim), of a mean square of 1 -> (..., 128)."""
        if self.training:
            vectors = vectors + _NOISE * torch.randn_like(vectors)
        return self.face_tower(vectors)

    def of_names(self, vectors: Tensor) -> Tensor:
        """(..., text_dim) -> (..., 128)."""
        return self.name_tower(self.read_name(vectors))


def _tower(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, _WIDTH, bias=False),
        nn.ReLU(),
        nn.Linear(_WIDTH, _SPACE),
        nn.ReLU(),
        nn.Linear(_SPACE, _SPACE),
    )
