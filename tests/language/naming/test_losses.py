"""SECLA's losses against values computed by hand and by loops in float64."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nonesuch.language.naming.losses import agreements, alignment_losses
from nonesuch.language.naming.network import NamingTowers
from nonesuch.language.naming.training import (
    Learned,
    NamingSamples,
    NamingTask,
    Vectors,
    known_faces,
    padded,
)


def test_losses_of_two_records_by_hand() -> None:
    """Image 0 shows (1, 0) and (0, 1), image 1 shows (2, 0); captions name (1, 1), (0, 2) and (1, 0)."""
    faces = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[2.0, 0.0], [9.0, 9.0]]], dtype=torch.float64)
    names = torch.tensor([[[1.0, 1.0], [0.0, 2.0]], [[1.0, 0.0], [9.0, 9.0]]], dtype=torch.float64)
    face_there = torch.tensor([[True, True], [True, False]])
    name_there = torch.tensor([[True, True], [True, False]])
    by_name, by_face = agreements(faces, names, face_there, name_there)
    # Image 0, caption 0: the names' best faces score 1 and 2; the faces' best names 1 and 2.
    assert by_name.tolist() == [[1.5, 1.0], [1.0, 2.0]]
    assert by_face.tolist() == [[1.5, 0.5], [2.0, 2.0]]
    losses = alignment_losses(faces, names, face_there, name_there)
    assert losses["by_name"].item() == pytest.approx(
        (math.log(1 + math.exp(-0.5)) + math.log(1 + math.exp(-1.0))) / 2, abs=1e-12
    )
    assert losses["by_face"].item() == pytest.approx((math.log(1 + math.exp(-1.0)) + math.log(2)) / 2, abs=1e-12)
    assert losses["equal"].item() == 0.0


def _by_loops(images: list[NDArray[np.float64]], captions: list[NDArray[np.float64]]) -> list[float]:
    by_name = np.array([[np.mean([max(f @ n for f in i) for n in c]) for c in captions] for i in images])
    by_face = np.array([[np.mean([max(f @ n for n in c) for f in i]) for c in captions] for i in images])

    def entropy(table: NDArray[np.float64]) -> float:
        return float(np.mean([np.log(np.exp(row).sum()) - row[place] for place, row in enumerate(table)]))

    equal = 0.15 * float(np.mean((np.diag(by_name) - np.diag(by_face)) ** 2))
    return [entropy(by_name), entropy(by_face), equal]


@pytest.mark.parametrize("seed", range(5))
def test_losses_are_those_of_plain_loops_whatever_the_padding_holds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    images, captions = ([rng.normal(size=(rng.integers(1, 5), 3)) for _ in range(4)] for _ in range(2))
    tensors = []
    for parts in (images, captions):
        whole = torch.from_numpy(rng.normal(size=(4, 6, 3)) * 100)
        there = torch.zeros(4, 6, dtype=torch.bool)
        for row, part in enumerate(parts):
            # Padding may stand anywhere and hold anything.
            places = torch.from_numpy(rng.permutation(6)[: len(part)])
            whole[row, places], there[row, places] = torch.from_numpy(part), True
        tensors.append((whole.requires_grad_(), there))
    (faces, face_there), (names, name_there) = tensors
    losses = alignment_losses(faces, names, face_there, name_there)
    assert [value.item() for value in losses.values()] == pytest.approx(_by_loops(images, captions), abs=1e-10)
    torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
    for whole, there in tensors:
        assert whole.grad is not None
        assert not whole.grad[~there].any()


def test_padded_parts_and_what_is_there() -> None:
    whole, there = padded([np.ones((2, 3), np.float32), np.zeros((0, 3), np.float32)])
    assert whole.shape == (2, 2, 3)
    assert there.tolist() == [[True, True], [False, False]]


def test_the_second_stage_is_the_same_loss_with_null_and_known_faces() -> None:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    vectors = Vectors(rng.normal(size=(6, 5)).astype(np.float32), rng.normal(size=(5, 7)).astype(np.float32))
    records = [Learned((0,), (0,)), Learned((1, 2), (0, 1)), Learned((3,), (2, 3)), Learned((4,), (0,))]
    known = known_faces(records, vectors.faces)
    assert list(known) == [0]
    mean = (vectors.faces[0] + vectors.faces[4]) / 2
    np.testing.assert_allclose(known[0], mean / np.sqrt((mean**2).mean()), rtol=1e-6)

    towers = NamingTowers(5, 7).eval()
    rest = [records[1], records[2]]
    batch = NamingSamples(rest, vectors, known).load(np.array([0, 1]), [0, 0])
    losses = NamingTask(towers).losses(batch, 0)

    def face(array: NDArray[np.float32]) -> NDArray[np.float64]:
        return towers.of_faces(torch.from_numpy(array)).detach().double().numpy()

    null = towers.of_faces(towers.null_face).detach().double().numpy()[None]
    images = [face(vectors.faces[list(record.faces)]) for record in rest]
    captions = [
        towers.of_names(torch.from_numpy(vectors.names[[4, *record.names]])).detach().double().numpy()
        for record in rest
    ]
    first = _by_loops([np.concatenate([null, image]) for image in images], captions)
    second = _by_loops(images, [np.concatenate([null, face(known[0][None])]), null])
    assert [value.item() for value in losses.values()] == pytest.approx([*first, *second], abs=1e-5)
