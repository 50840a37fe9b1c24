"""Tables of labels."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nonesuch.core.errors import NonesuchError
from nonesuch.perception.alignment import TEMPLATE
from nonesuch.perception.attributes import ATTRIBUTES
from nonesuch.perception.labels import LANDMARKS, labelled
from nonesuch.perception.pose import head_pose

MakeTar = Callable[[list[str], list[str]], Path]


@pytest.fixture
def make_tar(tmp_path: Path) -> MakeTar:
    """Makes a tar of grey crops named 0.png, 1.png, ... with a CSV of these columns and rows beside it."""

    def make(columns: list[str], rows: list[str]) -> Path:
        path = tmp_path / "faces.tar"
        encoded = io.BytesIO()
        Image.new("RGB", (112, 112), (90, 90, 90)).save(encoded, "PNG")
        with tarfile.open(path, "w") as archive:
            for number in range(len(rows)):
                member = tarfile.TarInfo(f"{number}.png")
                member.size = len(encoded.getvalue())
                archive.addfile(member, io.BytesIO(encoded.getvalue()))
        lines = [",".join(["file", *columns]), *(f"{number}.png,{row}" for number, row in enumerate(rows))]
        (tmp_path / "faces.csv").write_text("\n".join(lines) + "\n")
        return path

    return make


def test_pose_comes_from_the_landmarks(make_tar: MakeTar) -> None:
    turned = TEMPLATE + np.array([[0, 0], [0, 0], [6, 0], [0, 0], [0, 0]])
    tar = make_tar(LANDMARKS, [",".join(map(str, points.reshape(-1))) for points in (TEMPLATE, turned)])
    found = labelled([tar])
    assert np.allclose(found.pose, head_pose(np.stack([TEMPLATE, turned]))[:, :2], atol=1e-3)
    assert found.pose[1, 0] > 10
    rows = [",".join(map(str, TEMPLATE.reshape(-1))), "," * 9]  # nothing is known of the second
    found = labelled([make_tar(LANDMARKS, rows)])
    assert np.isfinite(found.pose).all(1).tolist() == [True, False]
    assert np.isnan(found.face).all()
    assert np.isnan(found.attributes).all()
    assert (found.valid == [0, 0, 112, 112]).all()


def test_landmarks_at_one_place_tell_no_pose(make_tar: MakeTar) -> None:
    rows = [",".join(map(str, points)) for points in (TEMPLATE.reshape(-1), [50.0] * 10, ["nan"] * 10, ["1e30"] * 10)]
    found = labelled([make_tar(LANDMARKS, rows)])
    assert np.isfinite(found.pose).all(1).tolist() == [True, False, False, False]


def test_attributes_keep_their_order_whatever_the_tables(make_tar: MakeTar) -> None:
    names = [name.title() for name in reversed(ATTRIBUTES)]
    tar = make_tar(names, [",".join("1" if name == "Smiling" else "0" for name in names), ",".join(["0"] * 40)])
    found = labelled([tar]).attributes
    assert found.shape == (2, 40)
    assert np.flatnonzero(found[0]).tolist() == [ATTRIBUTES.index("smiling")]
    assert not found[1].any()


def test_faces_and_splits(make_tar: MakeTar) -> None:
    columns = ["age", "gender", "ethnicity", "split", "valid_top", "valid_left", "valid_bottom", "valid_right"]
    tar = make_tar(columns, ["116,1,4,train,30,12,112,100", "20,0,0,test,0,0,112,112"])
    found = labelled([tar], split="train")
    assert [photograph.name for photograph in found.photographs] == ["0.png"]
    assert found.face.tolist() == [[100, 1, 4]]
    assert found.valid.tolist() == [[30, 12, 112, 100]]


@pytest.mark.parametrize(
    ("columns", "row", "message"),
    [
        (["age", "gender", "ethnicity"], "30,2,0", "gender must be in 0..1"),
        (["age", "gender", "ethnicity"], "old,1,0", "must be numbers"),
        (["age", "gender"], "30,1", "has age, gender but lacks ethnicity"),
        (["weight"], "80", "neither landmarks, nor age, gender and ethnicity"),
        (list(ATTRIBUTES), ",".join(["2"] * 40), "attributes must be 0 or 1"),
    ],
)
def test_bad_tables_are_named(make_tar: MakeTar, columns: list[str], row: str, message: str) -> None:
    with pytest.raises(NonesuchError, match=message):
        labelled([make_tar(columns, [row])])


def test_a_tar_without_a_table(make_tar: MakeTar) -> None:
    tar = make_tar(["age"], ["30"])
    (tar.parent / "faces.csv").unlink()
    with pytest.raises(NonesuchError, match="no table of labels beside it"):
        labelled([tar])
