"""What `export` writes of an imported set is the set that was imported."""

from pathlib import Path

import pytest
from PIL import Image

from nonesuch.formats.readers import find
from tests.conftest import succeed


@pytest.mark.parametrize("format", ["imagefolder", "recordio", "lmdb", "webdataset", "parquet"])
def test_names_and_bytes_come_back(tmp_path: Path, format: str) -> None:
    for number, name in enumerate(["bob", "anna", "zoë"]):
        (tmp_path / "crops" / name).mkdir(parents=True)
        for image in range(2):
            Image.new("RGB", (112, 112), (90 * number, 60 * image, 7)).save(tmp_path / "crops" / name / f"{image}.jpg")
    succeed("import", tmp_path / "crops", tmp_path / "people")
    succeed("export", tmp_path / "people", tmp_path / "out", "--format", format)
    before = sorted((item.identity, item.read_bytes()) for item in find(tmp_path / "crops"))
    after = sorted((item.identity, item.read_bytes()) for item in find(tmp_path / "out"))
    assert [data for _, data in after] == [data for _, data in before]
    if format in ("imagefolder", "webdataset", "parquet"):  # the others hold numbers, and names beside them
        assert [name for name, _ in after] == [name for name, _ in before]
    else:
        told = (tmp_path / "out" / "identities.csv").read_text(encoding="utf-8").split()
        assert told == ["label,identity", "0,anna", "1,bob", "2,zoë"]
