"""Published checkpoints of IDiff-Face, in the forms in which they were released, become one weight file."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from nonesuch import create_model, load_generator
from nonesuch.generators.idiff.network import LatentDiffusion
from tests.conftest import Cli
from tests.filling import fill


@pytest.fixture(scope="module")
def network() -> LatentDiffusion:
    network = create_model("idiff_tiny")
    fill(network)
    assert isinstance(network, LatentDiffusion)
    return network


@pytest.fixture
def files(network: LatentDiffusion, tmp_path: Path) -> dict[str, Path]:
    """The first release of the U-Net, the second with its schedule, and the first stage in two files and in one."""
    unet, first = network.unet.state_dict(), network.first_stage.state_dict()
    encoder = {name: tensor for name, tensor in first.items() if name.startswith(("encoder.", "quant_conv."))}
    decoder = {name: tensor for name, tensor in first.items() if name not in encoder}
    contents: dict[str, object] = {
        "bare": unet,
        "ema": {"betas": torch.zeros(1000), **{f"eps_model.{name}": tensor for name, tensor in unet.items()}},
        "encoder": encoder,
        "decoder": decoder,
        "whole": {"state_dict": {**first, "loss.logvar": torch.zeros(1)}, "epoch": 3},
    }
    for name, content in contents.items():
        torch.save(content, tmp_path / f"{name}.ckpt")
    return {name: tmp_path / f"{name}.ckpt" for name in contents}


@pytest.mark.parametrize("parts", [("ema", "encoder", "decoder"), ("bare", "whole"), ("whole", "ema")])
def test_released_files(
    cli: Cli, network: LatentDiffusion, files: dict[str, Path], tmp_path: Path, parts: tuple[str, ...]
) -> None:
    out = tmp_path / "idiff.safetensors"
    given = [option for name in parts[1:] for option in ("--part", files[name])]
    options = ["--out", out, "--architecture", "idiff_tiny", "--decodes", "mobilefacenet"]
    outcome = cli("import-weights", files[parts[0]], *given, *options)
    assert outcome.status == 0, outcome.err
    generator = load_generator(out, "cpu")
    loaded: dict[str, Tensor] = generator.network.state_dict()  # type: ignore[attr-defined]
    for name, tensor in network.state_dict().items():
        assert torch.equal(loaded[name], tensor), name


def test_files_that_are_not_enough(cli: Cli, files: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "idiff.safetensors"
    options = ["--out", out, "--architecture", "idiff_tiny", "--decodes", "mobilefacenet"]
    assert "give U-Net and first stage" in cli("import-weights", files["whole"], *options).error
    assert "give U-Net and first stage" in cli("import-weights", files["ema"], *options).error
    twice = cli("import-weights", files["whole"], "--part", files["decoder"], *options).error
    assert "two of the files hold" in twice
    assert "no such weight file" in cli("import-weights", files["ema"], "--part", tmp_path / "no", *options).error
    published = ["--out", out, "--architecture", "idiff_unet", "--decodes", "mobilefacenet"]
    assert "of a kind that is not imported" in cli("import-weights", files["ema"], *published).error
    assert not out.exists()
