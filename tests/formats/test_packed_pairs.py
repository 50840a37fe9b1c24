"""insightface's packed pairs as a source: images without identities."""

import lzma
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nonesuch.core import images
from nonesuch.core.errors import NonesuchError
from nonesuch.core.notices import Notice
from nonesuch.formats.readers import find

CROPS = [images.encode(np.full((112, 112, 3), level, np.uint8), "png", 1) for level in range(4)]


@pytest.mark.parametrize("packed", [False, True])
def test_each_image_is_of_a_person_of_its_own(tmp_path: Path, packed: bool) -> None:
    data = pickle.dumps((CROPS, [True, False]), 2)
    path = tmp_path / ("pairs.xz" if packed else "lfw.bin")
    path.write_bytes(lzma.compress(data) if packed else data)
    with pytest.warns(Notice, match="pairs name no identities"):
        found = find(path)
    assert [item.name for item in found] == [f"image {number}" for number in range(4)]
    assert len({item.identity for item in found}) == 4
    assert [item.read_bytes() for item in found] == CROPS


class Evil:
    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return exec, ("raise SystemExit('ran')",)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (([Evil()] * 4, [True, False]), "a pickle can run code"),
        ((CROPS, [True]), "4 images for 1 pairs"),
        ((CROPS, [True, b"no"]), "its labels are not truth values"),
        (([*CROPS[:3], 7], [True, False]), "image 3 is not an encoded image"),
        (CROPS, "not a list of images and a list of labels"),
    ],
)
def test_what_is_refused(tmp_path: Path, content: object, says: str) -> None:
    (tmp_path / "lfw.bin").write_bytes(pickle.dumps(content, 2))
    with pytest.raises(NonesuchError, match=says):
        find(tmp_path / "lfw.bin")
