"""What the audit says about each image, image by image."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from nonesuch.audit.auditing import write_image_columns
from nonesuch.audit.looking import Eyes, Seen
from nonesuch.formats.photographs import Photograph
from nonesuch.formats.source import Source
from nonesuch.models import load_detector


def test_values_stand_beside_their_image_and_nulls_beside_those_that_were_not_used(tmp_path: Path) -> None:
    """Also where two images of a tar have one name."""
    names = ["a/1.png", "a/2.png", "b/1.png", "b/1.png"]
    images = [Photograph(name, name[0], tmp_path / "faces.tar", 512 * row, 9) for row, name in enumerate(names)]
    used = [images[0], images[2], images[3]]
    seen = Seen(used, np.array([0, 1, 1]), ["a", "b"], {}, {"yaw": np.array([1.0, 2.0, 3.0])}, ["a/2.png: bad"], 0)
    source = Source(tmp_path / "faces.tar", images)
    told = {"own_x": np.array([np.nan, 0.5, 0.75])}
    out = write_image_columns(source, seen, told, Eyes({}, load_detector("cpu"), ""), None, tmp_path / "out.parquet")
    table = pq.read_table(out)
    assert table["file"].to_pylist() == names
    assert table["identity"].to_pylist() == list("aabb")
    assert table["yaw"].to_pylist() == [1.0, None, 2.0, 3.0]
    assert table["own_x"].to_pylist() == [None, None, 0.5, 0.75]
