"""Files of U-Net, ID encoder, VAE and LCM-LoRA, as they are published, become one weight file."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from nonesuch import NonesuchError, create_model, load_generator
from tests.conftest import Cli
from tests.generators.arc2face.conftest import low_rank

pytest.importorskip("diffusers", reason="needs nonesuch[diffusers]")


def _options(published: Path, out: Path, *more: str) -> list[Any]:
    parts = [option for name in ("encoder", "vae", *more) for option in ("--part", published / name)]
    return [published / "unet", *parts, "--out", out, "--architecture", "arc2face_tiny", "--decodes", "mobilefacenet"]


def test_three_folders(cli: Cli, network: nn.Module, published: Path, tmp_path: Path) -> None:
    out = tmp_path / "a2f.safetensors"
    outcome = cli("import-weights", *_options(published, out), "--licence", "MIT")
    assert outcome.status == 0, outcome.err
    stored = load_file(out)
    assert stored.keys() == network.state_dict().keys()
    for name, tensor in network.state_dict().items():
        assert stored[name].dtype == torch.float16
        assert torch.equal(stored[name], tensor.half()), name
    card = json.loads(out.with_suffix(".json").read_text())
    assert card["sampling"] == {"sampler": "dpm", "steps": 25, "guidance": 3.0}
    assert (card["feature_dim"], card["distilled"], card["licence"]) == (192, False, "MIT")
    assert "encoder/pytorch_model.bin (SHA-256 " in card["source"]
    generator = load_generator(out, "cpu")
    assert generator.sampler == "dpm,steps=25,eta=0,guidance=3,negative=0,least_cosine=1"
    paths = [published / "vae" / "diffusion_pytorch_model.safetensors", published / "encoder", published / "unet"]
    other = create_model("arc2face_tiny", pretrained=paths).state_dict()
    assert all(torch.equal(other[name], tensor.float()) for name, tensor in stored.items())


def test_a_lora_is_merged(cli: Cli, network: nn.Module, published: Path, tmp_path: Path) -> None:
    """The merged U-Net gives what the layers give with the low-rank branches beside them."""
    out = tmp_path / "fast.safetensors"
    assert cli("import-weights", *_options(published, out, "lora.safetensors")).status == 0
    card = json.loads(out.with_suffix(".json").read_text())
    assert card["distilled"]
    assert card["sampling"] == {"sampler": "lcm", "steps": 4, "guidance": 1.0}
    merged = load_generator(out, "cpu").network.unet  # type: ignore[attr-defined]
    unet: Any = create_model("arc2face_tiny", pretrained=[published / name for name in ("unet", "encoder", "vae")]).unet
    lora = low_rank(unet)

    def beside(down: torch.Tensor, up: torch.Tensor) -> Any:
        def add(layer: nn.Module, given: tuple[torch.Tensor, ...], found: torch.Tensor) -> torch.Tensor:
            if isinstance(layer, nn.Conv2d):
                middle = nn.functional.conv2d(given[0], down, stride=layer.stride, padding=layer.padding)
                return found + 4.0 * nn.functional.conv2d(middle, up)  # alpha 8 of rank 2
            return found + 4.0 * given[0] @ down.T @ up.T

        return add

    changed = 0
    for name, layer in unet.named_modules():
        place = "lora_unet_" + name.replace(".", "_")
        if f"{place}.alpha" in lora:
            layer.register_forward_hook(beside(lora[f"{place}.lora_down.weight"], lora[f"{place}.lora_up.weight"]))
            changed += 1
    assert changed * 3 == len(lora)
    given = torch.randn(2, 4, 8, 8), torch.tensor([10.0, 700.0]), torch.randn(2, 77, 192)
    with torch.inference_mode():
        expected, found = unet(*given).sample, merged(*given).sample
        plain = create_model("arc2face_tiny", pretrained=[published / n for n in ("unet", "encoder", "vae")]).unet
        assert (plain(*given).sample - expected).abs().max() > 0.1
    torch.testing.assert_close(found, expected, atol=0.03, rtol=0.01)  # the file is in half precision


def test_what_is_refused(cli: Cli, published: Path, tmp_path: Path) -> None:
    out = tmp_path / "a2f.safetensors"
    options = ["--out", out, "--architecture", "arc2face_tiny", "--decodes", "mobilefacenet"]

    def said(*names: str) -> str:
        first, *parts = (published / name for name in names)
        return cli("import-weights", first, *(o for part in parts for o in ("--part", part)), *options).error

    assert "no ID encoder and no VAE; give U-Net, ID encoder and VAE" in said("unet")
    assert "is a second U-Net beside" in said("unet", "vae", "unet/diffusion_pytorch_model.safetensors")
    assert "this folder holds none of" in said(".", "vae", "encoder")
    assert "no such weight file" in said("unet", "nothing", "encoder")
    save_file({"head.weight": torch.zeros(3)}, published / "other.safetensors")
    assert "is no U-Net, ID encoder, VAE or LCM-LoRA" in said("unet", "other.safetensors", "encoder", "vae")
    torch.save({"code": sys.exit}, published / "code.bin")
    assert "refused" in said("unet", "code.bin", "vae")
    vae = published / "vae" / "diffusion_pytorch_model.safetensors"
    save_file({**load_file(vae), "decoder.conv_in.weight": torch.zeros(1)}, vae)
    assert "model.safetensors: does not fit: 1 of" in said("unet", "encoder", "vae")
    assert not out.exists()


@pytest.mark.parametrize("change", ["lora_up.weight", "alpha", "place"])
def test_a_lora_of_another_model(cli: Cli, published: Path, tmp_path: Path, change: str) -> None:
    lora = load_file(published / "lora.safetensors")
    place = "lora_unet_mid_block_attentions_0_proj_in"
    if change == "place":
        lora = {name.replace("mid_block", "mid_blocks"): tensor for name, tensor in lora.items()}
    else:
        lora[f"{place}.{change}"] = torch.zeros(5, 5, 1, 1)
    save_file(lora, published / "lora.safetensors")
    outcome = cli("import-weights", *_options(published, tmp_path / "a2f.safetensors", "lora.safetensors"))
    assert "does not fit the U-Net; give LCM-LoRA for Stable Diffusion 1.5" in outcome.error


def test_the_published_sizes() -> None:
    """The numbers of weights that Stable Diffusion 1.5's parts are known to have."""
    from nonesuch.models import _outlined

    outline = _outlined("arc2face", {})
    counted = {name: sum(p.numel() for p in part.parameters()) for name, part in outline.named_children()}
    assert counted == {"encoder": 123_060_480, "unet": 859_520_964, "vae": 83_653_863}
    with pytest.raises(NonesuchError, match="latent_side 999: a latent has sides of 1 to 256"):
        create_model("arc2face_tiny", latent_side=999)
