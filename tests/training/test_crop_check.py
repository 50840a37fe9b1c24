"""Which images are read before a training begins: all, or of a dataset of ours the first of each shard."""

from pathlib import Path

import pytest

from nonesuch.core.errors import NonesuchError
from nonesuch.formats.photograph_lists import joined
from nonesuch.formats.readers import find
from nonesuch.formats.shard_rows import ShardRows
from nonesuch.formats.shards import shard_files
from nonesuch.loop.progress import no_progress
from nonesuch.training.crop_check import check_every_crop
from tests.made_dataset import make_dataset
from tests.people import planted_person


def test_the_first_image_of_each_shard(tmp_path: Path) -> None:
    make_dataset(tmp_path / "faces", 60, 5, 20)
    found = find(tmp_path / "faces")
    assert isinstance(found, ShardRows)
    told: list[int] = []
    check_every_crop(found, tmp_path, lambda what, done, total: told.append(total))
    assert told[-1] == 3
    _spoil(tmp_path / "faces", found[21].offset)  # all tars are one file: the second image of each
    check_every_crop(found, tmp_path, no_progress)
    _spoil(tmp_path / "faces", found[20].offset)
    planted_person(tmp_path / "folder", 1, range(2))
    both = joined([found, find(tmp_path / "folder")])
    with pytest.raises(NonesuchError, match="3 of 5 images cannot be used"):
        check_every_crop(both, tmp_path, no_progress)
    assert (tmp_path / "bad_images.txt").read_text().split() == [found[row].name for row in (0, 20, 40)]


def _spoil(folder: Path, offset: int) -> None:
    with shard_files(folder, 0).tar.open("r+b") as file:
        file.seek(offset)
        file.write(b"no image")
