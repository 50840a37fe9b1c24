"""EM, priors, and the towers on an accelerator."""

from pathlib import Path

import numpy as np
import pytest
import torch

import nonesuch
from nonesuch.language.naming.deciding import Prior, combined, decided, prior_of
from nonesuch.language.naming.em import name_by_em
from nonesuch.language.naming.network import NamingTowers
from nonesuch.language.naming.records import Record
from nonesuch.language.naming.training import Learned, NamingSamples, NamingTask, Vectors
from nonesuch.measures.naming import NOBODY
from tests.accelerator import DEVICE, accelerator
from tests.language.naming.planted import plant


def _record(image: str, faces: tuple[int, ...], *names: str, learned: bool = True) -> Record:
    return Record(image, faces, faces, names, None, learned)


def test_a_prior_counts_records_that_are_learned_from() -> None:
    records = [
        _record("a", (0, 1), "Ann", "Bo", "Cleo"),
        _record("b", (2,), "Ann"),
        _record("c", (), "Dag", "Eve"),  # nobody could be pictured
        _record("d", (3,), "Ann", learned=False),
    ]
    prior = prior_of([[0, NOBODY], [0], [], [0]], records)
    assert prior == Prior(pictured=2 / 4, nameless=1 / 2)
    assert prior.log_odds == pytest.approx(np.log(2.0))


def test_the_prior_decides_where_nothing_is_known() -> None:
    """With names that are mostly pictured, a face without evidence has the name; in doubt nobody has it twice."""
    records = [_record(str(row), (row,), "Ann") for row in range(4)] + [_record("x", (4, 5), "Ann")]
    evidence = [np.full((1, 1), 5.0)] * 3 + [np.zeros((1, 1)), np.array([[0.1], [0.2]])]
    assert decided(evidence, records).found == [[0], [0], [0], [0], [NOBODY, 0]]


def test_two_kinds_of_evidence_add_up_the_second_by_half() -> None:
    records = [_record(str(row), (row,), "Ann", "Bo") for row in range(3)]
    by_means = decided([np.array([[3.0, 0.0]]), np.zeros((1, 2)), np.array([[1.0, 0.0]])], records)
    by_towers = decided([np.zeros((1, 2)), np.array([[0.0, 4.0]]), np.array([[0.0, 4.0]])], records)
    both = combined(by_means, by_towers, records)
    assert [one.tolist() for one in both.evidence] == [[[3.0, 0.0]], [[0.0, 2.0]], [[1.0, 2.0]]]
    assert both.found == [[0], [1], [1]]


def test_em_leaves_the_record_out_that_it_judges() -> None:
    """A name that occurs once has no mean: its face is no evidence for itself."""
    rng = np.random.default_rng(0)
    people = np.eye(3, 16)
    rows, records = [], []
    for image in range(30):
        rows.append(people[image % 2] + 0.05 * rng.normal(size=16))
        records.append(_record(str(image), (image,), "Ann" if image % 2 else "Bo"))
    rows.append(people[2])
    records.append(_record("last", (30,), "Ann", "Cleo"))
    units = np.array(rows, dtype=np.float32)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    named = name_by_em(records, units)
    assert [one[0] for one in named.found] == [0] * 30 + [1]
    prior = prior_of(named.found, records)
    assert named.gains[-1][0, 1] == pytest.approx(prior.log_odds, abs=0.2)  # Cleo: nothing but the prior
    assert named.gains[-1][0, 0] < named.gains[-1][0, 1] - 3.0  # Ann looks otherwise


def test_losses_are_the_same_on_an_accelerator() -> None:
    rng = np.random.default_rng(0)
    vectors = Vectors(rng.normal(size=(5, 6)).astype(np.float32), rng.normal(size=(4, 7)).astype(np.float32))
    records = [Learned((0, 1), (0,)), Learned((2,), (1, 2)), Learned((3, 4), (0, 1))]
    batch = NamingSamples(records, vectors, {0: vectors.faces[0]}).load(np.arange(3), [0, 0, 0])
    torch.manual_seed(0)
    towers = NamingTowers(6, 7).eval()
    here = NamingTask(towers).losses(batch, 0)
    with accelerator() as device:
        moved = {key: value.to(device) for key, value in batch.items()}
        there = NamingTask(towers.to(device)).losses(moved, 0)
        found = {key: value.cpu() for key, value in there.items()}
    torch.testing.assert_close(found, here, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("method", ["secla", "secla-b"])
def test_naming_on_an_accelerator(tmp_path: Path, method: str) -> None:
    plant(tmp_path, 30)
    with accelerator():
        found = nonesuch.name_faces(
            tmp_path / "records.jsonl",
            tmp_path / "vectors.parquet",
            tmp_path / "out",
            method=method,
            epochs=1,
            batch=8,
            device=str(DEVICE),
        )
    assert found.table.is_file()
