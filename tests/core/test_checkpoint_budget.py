"""Checkpoints of a few bytes that would cost hours or gigabytes are told at once; what torch writes is read."""

import argparse
import collections
import pickle
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from nonesuch.core.errors import NonesuchError
from nonesuch.core.weights import load_checkpoint, read_pickled
from tests.conftest import Cli

LEVELS = 200


def _doubled(levels: int) -> bytes:
    """A tuple that holds itself of the level below twice, in a memo place of its own."""
    return b"N" + b"".join(b"q\x00h\x00\x86" for _ in range(levels))


def _text(letters: int) -> bytes:
    return b"X" + struct.pack("<I", letters) + b"x" * letters


HOSTILE: dict[str, Callable[[int], bytes]] = {
    "a key": lambda levels: b"}" + _doubled(levels) + b"Ns",
    "keys": lambda levels: b"}(" + _doubled(levels) + b"Nu",
    "a set": lambda levels: b"cbuiltins\nset\n](" + _doubled(levels) + b"e\x85R",
    "an ordered dictionary": lambda levels: b"ccollections\nOrderedDict\n](" + _doubled(levels) + b"N\x86e\x85R",
    "a list that grows in its tuple": lambda levels: (
        b"](]q\x01h\x01\x85q\x02h\x01" + _doubled(levels) + b"acbuiltins\nset\nh\x02\x85Re"
    ),
    "text copied a million times": lambda levels: (
        b"](" + _text(100_000) + b"q\x01" + b"c_codecs\nencode\nh\x01X\x06\x00\x00\x00latin1\x86R" * levels * 100 + b"e"
    ),
    "a set copied again and again": lambda levels: (
        b"](](" + b"N" * 100_000 + b"eq\x01" + b"cbuiltins\nset\nh\x01\x85R" * levels * 100 + b"e"
    ),
    "bytes of any length": lambda levels: b"cbuiltins\nbytearray\n\x8a\x06\x00\x00\x00\x00\x00\x01\x85R",
    "a storage of a trillion numbers": lambda levels: (
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
        b"\x8a\x06\x00\x00\x00\x00\x00\x01tQ"
    ),
}


def _written(path: Path, content: bytes) -> Path:
    data = b"\x80\x02" + content + b"."
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/version", b"3\n")
    return path


def _legacy(path: Path, content: bytes) -> Path:
    about = [0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}]
    path.write_bytes(
        b"".join(pickle.dumps(part, 2) for part in about) + b"\x80\x02" + content + b"." + pickle.dumps([])
    )
    return path


@pytest.mark.parametrize("write", [_written, _legacy])
@pytest.mark.parametrize("name", HOSTILE)
def test_what_costs_hours_is_told_at_once(tmp_path: Path, name: str, write: Callable[[Path, bytes], Path]) -> None:
    path = write(tmp_path / "net.pth", HOSTILE[name](LEVELS))
    start = time.process_time()
    with pytest.raises(NonesuchError, match=r"net\.pth: refused: reading it would take very long or much memory"):
        load_checkpoint(path)
    assert time.process_time() - start < 5


def test_a_command_tells_it(cli: Cli, tmp_path: Path) -> None:
    path = _written(tmp_path / "net.pth", HOSTILE["keys"](LEVELS))
    outcome = cli("import-weights", path, "--out", tmp_path / "net.safetensors", "--architecture", "iresnet_tiny")
    assert outcome.status == 1
    assert "reading it would take very long" in outcome.error
    assert not (tmp_path / "net.safetensors").exists()


def test_parts_that_are_packed_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "net.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}.")
        archive.writestr("archive/data/0", bytes(10_000_000))
    with pytest.raises(NonesuchError, match="packed to less than their size"):
        load_checkpoint(tmp_path / "net.pth")


@pytest.mark.parametrize("is_zip", [True, False])
def test_what_torch_writes_is_read(tmp_path: Path, is_zip: bool) -> None:
    network = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Linear(8, 4))
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.ones(2, 8)).sum().backward()
    optimizer.step()
    whole = torch.arange(6.0)
    content = {
        "state_dict": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "milestones": collections.Counter([3, 4]),
        "args": argparse.Namespace(lr=0.1, blocks=[1, 2, (3, 4)], name="x" * 1000, seen={1, 2}),
        "views": [whole[:3], whole[3:], whole.reshape(2, 3).T, nn.Parameter(whole)],
        "shape": whole.shape,
        "dtype": whole.dtype,
        "many": list(range(3_000)),
        "names": {f"layer{number}": (number, f"{number}") for number in range(2_500)},
    }
    torch.save(content, tmp_path / "net.pth", _use_new_zipfile_serialization=is_zip)
    found = read_pickled(tmp_path / "net.pth", (argparse.Namespace,))
    assert found.keys() == content.keys()
    assert found["args"] == content["args"]
    assert found["names"] == content["names"]
    assert found["milestones"] == content["milestones"]
    for name, tensor in network.state_dict().items():
        assert torch.equal(found["state_dict"][name], tensor)
    for mine, other in zip(content["views"], found["views"], strict=True):
        assert torch.equal(mine, other)
