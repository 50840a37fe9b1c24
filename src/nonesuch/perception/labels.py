"""Labels of photographs for the perception heads, read from the table beside a tar."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nonesuch.core import tables
from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import CROP_SIZE
from nonesuch.formats.image_table import rows_by_name
from nonesuch.formats.photographs import Photograph, plain_name
from nonesuch.formats.readers import find
from nonesuch.formats.tar import table_beside
from nonesuch.perception.alignment import usable
from nonesuch.perception.attributes import AGES, ATTRIBUTES, ETHNICITIES
from nonesuch.perception.pose import head_pose

# Columns of a table of landmarks, in the order of `head_pose`.
LANDMARKS = [f"{point}_{axis}" for point in ("leye", "reye", "nose", "lmouth", "rmouth") for axis in "xy"]
_VALID = ["valid_top", "valid_left", "valid_bottom", "valid_right"]
_FACE = ["age", "gender", "ethnicity"]
_OLDEST = 130  # in a table; the heads know ages up to 100


@dataclass(frozen=True)
class LabelledPhotographs:
    """Aligned crops and what is known about each; NaN where a photograph's table says nothing.

    Attributes:
        photographs: N of them.
        pose: (N, 2) float32 yaw and pitch in degrees, from the landmarks.
        face: (N, 3) float32 age in years up to 100, gender (1 female), ethnicity (index into `ETHNICITIES`).
        attributes: (N, 40) float32, 0 or 1, in the order of `ATTRIBUTES`.
        valid: (N, 4) float32 top, left, bottom, right of the rectangle of real pixels.
    """

    photographs: list[Photograph]
    pose: NDArray[np.float32]
    face: NDArray[np.float32]
    attributes: NDArray[np.float32]
    valid: NDArray[np.float32]

    def chosen(self, rows: NDArray[np.int64]) -> "LabelledPhotographs":
        """Only these rows."""
        photographs = [self.photographs[row] for row in rows]
        return LabelledPhotographs(
            photographs, self.pose[rows], self.face[rows], self.attributes[rows], self.valid[rows]
        )


def labelled(tars: list[Path], split: str | None = None) -> LabelledPhotographs:
    """Photographs of tars with a table beside each.

    A table has a column `file` and any of these groups, each whole: landmarks (`leye_x` ... `rmouth_y`, for the pose);
    `age`, `gender`, `ethnicity`; the 40 attributes by their names; `valid_top` ... `valid_right`.

    Args:
        split: where a table names splits, only the photographs of this one.

    Raises:
        NonesuchError: a tar or table is missing or damaged, or holds none of the labels.
    """
    parts = [_labels_of(tar, split) for tar in tars]
    return LabelledPhotographs(
        [photograph for part in parts for photograph in part.photographs],
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("pose", "face", "attributes", "valid")),
    )


def _labels_of(tar: Path, split: str | None) -> LabelledPhotographs:
    if tar.is_dir():
        raise NonesuchError(f"{tar}: a folder; labelled photographs come as an uncompressed tar with a table beside it")
    if not tar.exists():
        raise NonesuchError(f"{tar}: no such file")
    table = table_beside(tar)
    if table is None:
        raise NonesuchError(f"{tar}: no table of labels beside it ({tar.stem}.parquet, .csv or .csv.gz)")
    photographs = list(find(tar, split))
    columns = tables.read_columns(table, ["file"], numbers=[*LANDMARKS, *_VALID, *_FACE, *_attribute_names(table)])
    lower = {name.lower(): values for name, values in columns.items()}
    rows = rows_by_name(table, columns["file"])
    order = np.array([rows[plain_name(photograph.name)] for photograph in photographs], dtype=np.int64)

    def numbers(names: list[str]) -> NDArray[np.float32]:
        lacking = [name for name in names if name not in lower]
        if len(lacking) == len(names):
            return np.full((len(order), len(names)), np.nan, dtype=np.float32)
        if lacking:
            there = [name for name in names if name in lower]
            raise NonesuchError(f"{table}: has {', '.join(there)} but lacks {', '.join(lacking)}")
        return np.array([lower[name] for name in names], dtype=np.float32).T[order]

    landmarks = numbers(LANDMARKS)
    pose = np.full((len(order), 2), np.nan, dtype=np.float32)
    points = landmarks.reshape(-1, 5, 2).astype(np.float64)
    known = usable(points)
    pose[known] = head_pose(points[known])[:, :2]
    face, attributes = numbers(_FACE), numbers(list(ATTRIBUTES))
    if not any(np.isfinite(part).any() for part in (pose, face, attributes)):
        raise NonesuchError(f"{table}: holds neither landmarks, nor age, gender and ethnicity, nor the attributes")
    _check_range(table, face, attributes)
    face[:, 0] = face[:, 0].clip(max=AGES - 1)
    valid = numbers(_VALID)
    valid = np.where(np.isnan(valid), np.array([0, 0, CROP_SIZE, CROP_SIZE], dtype=np.float32), valid)
    return LabelledPhotographs(photographs, pose, face, attributes, valid)


def _attribute_names(table: Path) -> list[str]:
    """The attributes as the table spells them."""
    return [name for name in tables.column_names(table) if name.lower() in ATTRIBUTES]


def _check_range(table: Path, face: NDArray[np.float32], attributes: NDArray[np.float32]) -> None:
    limits = {"age": _OLDEST, "gender": 1, "ethnicity": len(ETHNICITIES) - 1}
    for column, (name, most) in enumerate(limits.items()):
        if np.any((face[:, column] < 0) | (face[:, column] > most)):
            raise NonesuchError(f"{table}: {name} must be in 0..{most}")
    if np.any((attributes != 0) & (attributes != 1) & np.isfinite(attributes)):
        raise NonesuchError(f"{table}: attributes must be 0 or 1")
