"""Which identity an image is driven away from."""

from pathlib import Path

import numpy as np
import pytest

from nonesuch.core.errors import NonesuchError
from nonesuch.dataset.others import Others
from nonesuch.dataset.planning import write_plan
from nonesuch.formats.plan import Plan


def _plan(folder: Path, people: int, images_per_shard: int) -> Plan:
    vectors = np.eye(people, 8, dtype=np.float32) + 1.0
    write_plan(folder, vectors, [""] * people, 50, {0.0: 1.0}, 7, images_per_shard)
    return Plan(folder)


def test_it_is_another_one_drawn_by_the_images_seed(tmp_path: Path) -> None:
    found = []
    for number, images_per_shard in enumerate((50, 1_000)):
        folder = tmp_path / str(number)
        folder.mkdir()
        plan = _plan(folder, 4, images_per_shard)
        others = Others(plan)
        rows = [plan.read(shard) for shard in range(plan.shards)]
        drawn = np.concatenate([others.of(part).argmax(1) for part in rows])
        own = np.concatenate([part.identity for part in rows])
        assert np.array_equal(
            np.concatenate([others.of(part.part(slice(3, 9))).argmax(1) for part in rows]),
            np.concatenate([others.of(part)[3:9].argmax(1) for part in rows]),
        )
        assert (drawn != own).all()
        for label in range(4):
            counts = np.bincount(drawn[own == label], minlength=4)
            assert counts[label] == 0
            assert (np.delete(counts, label) >= 8).all()  # of 50, in equal shares 17
        found.append(drawn)
    assert np.array_equal(*found)


def test_many_identities_draw_from_the_first_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nonesuch.dataset.others._MOST", 2)
    plan = _plan(tmp_path, 4, 50)
    others = Others(plan)
    drawn = {label: set(others.of(plan.read(label)).argmax(1).tolist()) for label in range(4)}
    assert drawn == {0: {1}, 1: {0}, 2: {0, 1}, 3: {0, 1}}


def test_one_identity_has_no_other(tmp_path: Path) -> None:
    with pytest.raises(NonesuchError, match="has no other"):
        Others(_plan(tmp_path, 1, 50))
