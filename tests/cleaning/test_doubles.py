"""Pictures that are there twice: copies are found whatever was done to them, other pictures of a person are not."""

import io

import numpy as np
from PIL import Image

from nonesuch.cleaning.doubles import doubles, pairs
from nonesuch.core.images import Pixels
from nonesuch.measures.duplicates import MOST_BITS, crop_hashes, differing_bits, perceptual_hash
from nonesuch.measures.similarity import normalised
from tests.people import faces_of_no_one

NEAR = 0.95


def _copied(pixels: Pixels) -> Pixels:
    """Cropped by four pixels, half as large and back, darker, JPEG."""
    image = Image.fromarray(pixels).crop((3, 1, 111, 109)).resize((56, 56)).resize((112, 112), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    Image.fromarray((np.asarray(image) * 0.85).astype(np.uint8)).save(buffer, "JPEG", quality=70)
    return np.asarray(Image.open(buffer))


def test_copies_are_near_by_their_crops_and_other_pictures_are_not() -> None:
    faces = faces_of_no_one(8, 3, 2)
    whole = np.stack([crop_hashes(face) for face in faces])
    copies = np.stack([crop_hashes(_copied(face)) for face in faces])
    assert whole.shape == (16, 19)
    assert whole[:, 0].tolist() == [perceptual_hash(face) for face in faces]
    assert (differing_bits(whole, copies) <= MOST_BITS).mean() > 0.9
    assert (differing_bits(whole[::2], whole[1::2]) > MOST_BITS).all()
    reference = [
        min(bin(int(a) ^ int(b)).count("1") for one, other in ((x, y), (y, x)) for a in one[:1] for b in other)
        for x, y in zip(whole, copies, strict=True)
    ]
    assert differing_bits(whole, copies).tolist() == reference


def _set() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    draws = np.random.default_rng(0)
    vectors = draws.normal(size=(12, 64)).astype(np.float32)
    hashes = draws.integers(0, 2**63, (12, 19)).astype(np.uint64)
    return vectors, hashes, np.arange(12) // 4


def test_the_later_one_goes_and_names_the_one_that_stays() -> None:
    vectors, hashes, labels = _set()
    for row in (2, 3, 9, 11):
        vectors[row], hashes[row] = vectors[1] * 1.1, hashes[1]
    labels[11] = -1
    vectors[5] = vectors[4]  # one embedding, two pictures
    hashes[7] = hashes[6]  # one hash, two people
    found = doubles(pairs(normalised(vectors), hashes, labels, NEAR), labels, NEAR)
    assert [(d.image, d.other, d.action) for d in found] == [(n, 1, "duplicate") for n in (2, 3, 9)]
    assert not any(d.person for d in found)


def test_a_chain_of_copies_keeps_the_first() -> None:
    vectors, hashes, labels = _set()
    vectors[1] = vectors[2] = vectors[0]
    hashes[1] = hashes[0] ^ np.uint64(0b111)
    hashes[2] = hashes[0] ^ np.uint64(0b111111)
    found = doubles(pairs(normalised(vectors), hashes, labels, NEAR), labels, NEAR)
    assert [(d.image, d.other) for d in found] == [(1, 0), (2, 0)]


def test_a_person_decides() -> None:
    vectors, hashes, labels = _set()
    vectors[1], hashes[1] = vectors[0], hashes[0]
    asked = {(2, 8)}
    candidates = pairs(normalised(vectors), hashes, labels, NEAR, asked)
    found = doubles(candidates, labels, NEAR, asked, {(0, 1)})
    assert [(d.image, d.other, d.person) for d in found] == [(8, 2, True)]
