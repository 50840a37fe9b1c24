import argparse
import os
from pathlib import Path

import pytest
import torch
from torch import nn

from nonesuch.core import weights
from nonesuch.core.errors import NonesuchError
from nonesuch.core.weights import Card
from nonesuch.embedders.embedder import EmbedderCard
from nonesuch.models import create_model


def _card() -> Card:
    return Card(name="n", architecture="a", sha256="", licence="l", source="s", training_data="t")


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, Card]:
    path = tmp_path / "w.safetensors"
    tensors = {"weight": torch.arange(24.0).view(1, 2, 3, 4).to(memory_format=torch.channels_last)}
    return path, weights.save(path, tensors, _card())


def test_round_trip(saved: tuple[Path, Card]) -> None:
    path, card = saved
    assert weights.read_card(path, Card) == card
    assert torch.equal(weights.load_checked(path, card)["weight"], torch.arange(24.0).view(1, 2, 3, 4))


def test_tampered_weights_are_refused(saved: tuple[Path, Card]) -> None:
    path, card = saved
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(NonesuchError, match="SHA-256"):
        weights.load_checked(path, card)


def test_cards_that_are_none(saved: tuple[Path, Card], tmp_path: Path) -> None:
    path, _ = saved
    with pytest.raises(NonesuchError, match="lacks embedding_dim"):
        weights.read_card(path, EmbedderCard)
    path.with_suffix(".json").write_text('{"name": "n", "surprise": 1}')
    with pytest.raises(NonesuchError, match="not a card"):
        weights.read_card(path, Card)
    path.with_suffix(".json").unlink()
    with pytest.raises(NonesuchError, match="import-weights"):
        weights.read_card(path, Card)
    with pytest.raises(NonesuchError, match="no such weight file"):
        weights.read_card(tmp_path / "absent.safetensors", Card)


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch executed",)


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": _Evil()}, "evil.pth")
    with pytest.raises(NonesuchError, match="would run code"):
        weights.load_checkpoint(Path("evil.pth"))
    assert not Path("executed").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04garbage", os.urandom(500)])
def test_damaged_checkpoints(tmp_path: Path, content: bytes) -> None:
    for name in ("w.pth", "w.safetensors"):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(NonesuchError, match=name):
            weights.load_checkpoint(path)


def test_a_training_checkpoint_with_its_command_line_loads(tmp_path: Path) -> None:
    network = create_model("vec2face_tiny")
    arguments = argparse.Namespace(lr=0.1, layers=[1, 2], output="x")
    torch.save({"model_vec2face": network.state_dict(), "args": arguments, "epoch": 3}, tmp_path / "c.pth")
    loaded = create_model("vec2face_tiny", pretrained=tmp_path / "c.pth")
    for name, tensor in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name


def test_a_runs_state_may_hold_no_class_at_all(tmp_path: Path) -> None:
    torch.save({"networks": [], "args": argparse.Namespace(lr=0.1)}, tmp_path / "state.pt")
    with pytest.raises(NonesuchError, match="would run code"):
        weights.load_checkpoint(tmp_path / "state.pt", classes=())


@pytest.mark.parametrize("prefix", ["", "module.", "features.module.", "module.features.", "backbone."])
def test_iresnet_checkpoints_of_every_wrapper(tmp_path: Path, prefix: str) -> None:
    network = create_model("iresnet18")
    state = {prefix + name: tensor for name, tensor in network.state_dict().items() if "num_batches" not in name}
    # MagFace's classification head bears the name of a layer of the network.
    state.setdefault("module.fc.weight", torch.zeros(3, 512))
    torch.save({"state_dict": state}, tmp_path / "c.pth")
    loaded = create_model("iresnet18", pretrained=tmp_path / "c.pth")
    # `features` is a layer of the network as well as a wrapper's name.
    assert torch.equal(loaded.state_dict()["features.running_var"], network.state_dict()["features.running_var"])
    assert torch.equal(loaded.state_dict()["fc.weight"], network.state_dict()["fc.weight"])


def test_a_checkpoint_of_another_network_names_what_is_missing() -> None:
    with pytest.raises(NonesuchError, match="1 of 2 tensors are missing or have another shape, the first is bias"):
        weights.load_into(nn.Linear(2, 3), {"weight": torch.zeros(3, 2), "bias": torch.zeros(4)}, "x.pth")


def test_the_mean_of_files() -> None:
    one = {"a": torch.tensor([1.0, 2.0]).half(), "n": torch.tensor(3)}
    other = {"a": torch.tensor([2.0, 6.0]).half(), "n": torch.tensor(9)}
    found = weights.mean([one, other])
    assert (found["a"].tolist(), found["a"].dtype, found["n"].item()) == ([1.5, 4.0], torch.float16, 3)
    for wrong in ({"a": torch.zeros(3), "n": torch.tensor(3)}, {"a": torch.zeros(2)}):
        with pytest.raises(NonesuchError, match="hold different tensors"):
            weights.mean([one, wrong])


def test_half_precision_leaves_whole_numbers() -> None:
    found = weights.halved({"a": torch.tensor([1.5]), "n": torch.tensor(70_000)})
    assert (found["a"].dtype, found["n"].dtype, found["n"].item()) == (torch.float16, torch.int64, 70_000)


def test_parts_of_a_model_are_put_together() -> None:
    parts = [{"state_dict": {"a": torch.zeros(1)}, "epoch": 3}, {"b": torch.ones(1)}]
    assert {name: tensor.item() for name, tensor in weights.merged(parts).items()} == {"a": 0.0, "b": 1.0}
    assert weights.merged(parts[:1]) == parts[0]
    with pytest.raises(NonesuchError, match="two of the files hold a; give each part"):
        weights.merged([parts[0], {"a": torch.ones(1)}])


def test_checkpoints_that_hold_no_tensors(tmp_path: Path) -> None:
    with pytest.raises(NonesuchError, match="no such weight file"):
        weights.load_checkpoint(tmp_path / "absent.pth")
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    with pytest.raises(NonesuchError, match="holds no state dict"):
        weights.load_checkpoint(tmp_path / "list.pth")
