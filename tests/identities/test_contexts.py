"""IDiff-Face's identity contexts, as its authors save them: torch's file of a dictionary, name -> 512 numbers."""

import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from nonesuch import NonesuchError
from nonesuch.core import checkpoint_budget
from nonesuch.identities import table
from tests.conftest import Cli

WIDTH = 192


@pytest.fixture
def contexts() -> dict[str, np.ndarray]:
    """Uniform on the sphere, as published but for the width."""
    drawn = np.random.default_rng(0).standard_normal((3, WIDTH)).astype(np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return dict(zip(("0", "Zoë K", "2"), drawn, strict=True))


@pytest.mark.parametrize("form", ["zip", "before zip", "tensors", "float64", "numpy 1"])
def test_saved_contexts_are_read(contexts: dict[str, np.ndarray], tmp_path: Path, form: str) -> None:
    path = tmp_path / "random_synthetic_uniform_3.npy"  # the published suffix, which is not numpy's format
    content: dict[str, Any] = dict(contexts)
    if form == "tensors":
        content = {name: torch.from_numpy(vector) for name, vector in contexts.items()}
    if form == "float64":
        content = {name: vector.astype(np.float64) for name, vector in contexts.items()}
    torch.save(content, path, _use_new_zipfile_serialization=form != "before zip")
    if form == "numpy 1":  # which calls its core otherwise
        with zipfile.ZipFile(path) as archive:
            parts = {member: archive.read(member) for member in archive.namelist()}
        with zipfile.ZipFile(path, "w") as archive:
            for member, data in parts.items():
                archive.writestr(member, data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
        assert b"numpy.core.multiarray" in path.read_bytes()
    found = table.read(path)
    assert found.identities == list(contexts)
    np.testing.assert_array_equal(found.vectors, np.stack(list(contexts.values())))
    assert found.vectors.dtype == np.float32
    assert (found.embedder, found.embedder_sha256, found.origin) == ("", "", "photographs")


def test_many_of_them_are_not_too_costly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The 15,000 of 512 numbers that are published take more work than the limit, as 500 do of a hundredth of it."""
    drawn = np.random.default_rng(0).standard_normal((500, 512)).astype(np.float32)
    torch.save({str(row): vector for row, vector in enumerate(drawn)}, tmp_path / "c.npy")
    monkeypatch.setattr(checkpoint_budget, "_MOST_WORK", 500_000)
    np.testing.assert_array_equal(table.read(tmp_path / "c.npy").vectors, drawn)


def test_generate_takes_them(cli: Cli, contexts: dict[str, np.ndarray], tiny_generator: Path, tmp_path: Path) -> None:
    torch.save(contexts, tmp_path / "c.npy")
    options = ["--generator", tiny_generator, "--vectors", tmp_path / "c.npy", "--images", 2]
    outcome = cli("generate", tmp_path / "out", *options, "--plan-only")
    assert outcome.status == 0, outcome.err
    assert "note: " in outcome.err
    assert "does not say which embedder made its vectors; they are taken for mobilefacenet's" in outcome.err
    planned = pq.read_table(tmp_path / "out" / "identities.parquet")
    assert planned["name"].to_pylist() == list(contexts)
    vectors = np.array(planned["embedding"].to_pylist(), dtype=np.float32)
    np.testing.assert_allclose(vectors, 70.0 * np.stack(list(contexts.values())), rtol=1e-5)  # the card's vector_norm
    assert json.loads((tmp_path / "out" / "dataset.json").read_text())["shows_real_people"] is True
    assert cli("generate", tmp_path / "out", *options, "--no-summary").status == 0
    assert cli("verify", tmp_path / "out").status == 0


def test_of_another_width_or_for_statistics(
    cli: Cli, contexts: dict[str, np.ndarray], tiny_generator: Path, tmp_path: Path
) -> None:
    torch.save({"a": np.ones(512, np.float32)}, tmp_path / "wide.npy")
    options = ["--generator", tiny_generator, "--vectors", tmp_path / "wide.npy"]
    assert "takes vectors of width 192" in cli("generate", tmp_path / "out", *options).error
    torch.save(contexts, tmp_path / "c.npy")
    outcome = cli("statistics", tmp_path / "c.npy", "--out", tmp_path / "s.safetensors")
    assert "does not say which embedder made its vectors" in outcome.error
    assert not (tmp_path / "out" / "plan.parquet").exists()
    assert not (tmp_path / "s.safetensors").exists()


class _Shell:
    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.place),)


_GOOD = np.ones(4, np.float32)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([_GOOD], "a dictionary of one vector for each name"),
        ({}, "a dictionary of one vector for each name"),
        ({1: _GOOD}, "1 is no name"),
        ({"": _GOOD}, "'' is no name"),
        ({"a\ud800": _GOOD}, "is no name"),
        ({"a": [1.0, 2.0]}, "'a' is no vector of numbers, but list"),
        ({"a": torch.ones(4).to_sparse()}, "'a' is no vector of numbers, but Tensor"),
        ({"a": np.float32(1.0)}, "'a' is no vector of numbers"),
        ({"a": np.ones((2, 4), np.float32)}, "'a' is no vector of numbers, but of shape (2, 4)"),
        ({"a": np.ones((), np.float32)}, "'a' is no vector of numbers, but of shape ()"),
        ({"a": torch.ones(0)}, "'a' is no vector of numbers, but of shape (0,)"),
        ({"a": np.ones(4, np.int64)}, "'a' is no vector of numbers, but of int64"),
        ({"a": torch.ones(4, dtype=torch.complex64)}, "'a' is no vector of numbers, but of complex64"),
        ({"a": _GOOD, "b": np.ones(5, np.float32)}, "'b' has 5 numbers, the first vector 4"),
        ({"a": _GOOD, "b": np.array([1, np.nan, 0, 0], np.float32)}, "'b' is zero or holds NaN or infinity"),
        ({"a": np.zeros(4, np.float32)}, "'a' is zero or holds NaN or infinity"),
        ({"a": np.full(4, 1e300)}, "'a' is zero or holds NaN or infinity"),
        ({"a": np.ones(0, np.float32)}, "refused"),
        ({"a": np.array([None, "x"], dtype=object)}, "refused"),
        ({"a": np.array([(1, 2)], dtype=[("x", "f4"), ("y", "f4")])}, "refused"),
    ],
    ids=str,
)
def test_files_that_hold_none(tmp_path: Path, content: object, said: str) -> None:
    torch.save(content, tmp_path / "c.npy")
    with pytest.raises(NonesuchError) as raised:
        table.read(tmp_path / "c.npy")
    assert str(raised.value).startswith(str(tmp_path / "c.npy"))
    assert said in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("packed", [True, False])
def test_nothing_in_them_is_run(tmp_path: Path, packed: bool) -> None:
    torch.save({"a": _Shell(tmp_path / "made")}, tmp_path / "c.npy", _use_new_zipfile_serialization=packed)
    with pytest.raises(NonesuchError, match="refused"):
        table.read(tmp_path / "c.npy")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("made", "said"),
    [
        # numpy's own maker would set aside any size that a pickle states
        (b"cnumpy\nndarray\nJ\xff\xff\xff\x7f\x85U\x01b\x87R", "but of uint8"),
        (b")\x81", "but of uint8"),
        (b"cnumpy\nndarray\n\x85R(K\x01K\x04\x85cnumpy\ndtype\nU\x02f4\x85R\x89U\x02abtb", "refused"),
    ],
    ids=["huge", "not made", "bytes of another length"],
)
def test_arrays_that_numpy_would_not_write(tmp_path: Path, made: bytes, said: str) -> None:
    with zipfile.ZipFile(tmp_path / "c.npy", "w") as archive:
        archive.writestr(
            "c/data.pkl", b"\x80\x02}X\x01\x00\x00\x00acnumpy.core.multiarray\n_reconstruct\n" + made + b"s."
        )
        archive.writestr("c/version", "3\n")
    with pytest.raises(NonesuchError, match=said):
        table.read(tmp_path / "c.npy")


def test_damaged_ones(contexts: dict[str, np.ndarray], tmp_path: Path) -> None:
    torch.save(contexts, tmp_path / "c.npy")
    whole = (tmp_path / "c.npy").read_bytes()
    for cut in (4, 100, len(whole) // 2, len(whole) - 10):
        (tmp_path / "c.npy").write_bytes(whole[:cut])
        with pytest.raises(NonesuchError, match="refused"):
            table.read(tmp_path / "c.npy")
    (tmp_path / "c.npy").write_bytes(pickle.dumps(contexts, 2))
    with pytest.raises(NonesuchError, match="refused"):
        table.read(tmp_path / "c.npy")
    np.save(tmp_path / "c.npy", np.ones((2, 4)))
    with pytest.raises(NonesuchError, match="not a readable"):
        table.read(tmp_path / "c.npy")
