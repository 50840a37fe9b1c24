"""The tiny Arc2Face in the files in which the published one comes, with weights made from the tensors' names."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from nonesuch import create_model
from tests.filling import fill

OLD_NAMES = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


def half(part: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.half() for name, tensor in part.state_dict().items()}


def with_old_names(vae: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """As Stable Diffusion 1.5's VAE was published."""
    renamed = {}
    for name, tensor in vae.items():
        for new, old in OLD_NAMES.items():
            name = name.replace(f".{new}.", f".{old}.") if "attentions" in name else name
        renamed[name] = tensor
    return renamed


def low_rank(unet: nn.Module, rank: int = 2) -> dict[str, Tensor]:
    """A LoRA of every layer that LCM-LoRA changes, under its names."""
    torch.manual_seed(3)
    tensors = {}
    for name, layer in unet.named_modules():
        changed = isinstance(layer, nn.Linear | nn.Conv2d) and "." in name and not name.startswith("time_embedding")
        if not changed:
            continue
        place, kernel = "lora_unet_" + name.replace(".", "_"), layer.weight.shape[2:]
        tensors[f"{place}.alpha"] = torch.tensor(8.0)
        tensors[f"{place}.lora_down.weight"] = 0.1 * torch.randn(rank, layer.weight.shape[1], *kernel)
        tensors[f"{place}.lora_up.weight"] = 0.1 * torch.randn(len(layer.weight), rank, *[1 for _ in kernel])
    return tensors


@pytest.fixture(scope="session")
def network() -> nn.Module:
    network = create_model("arc2face_tiny")
    fill(network)
    return network


@pytest.fixture(scope="session")
def _published(network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    for name in ("unet", "encoder", "vae"):
        (folder / name).mkdir()
    save_file(half(network.unet), folder / "unet" / "diffusion_pytorch_model.safetensors")  # type: ignore[arg-type]
    torch.save(half(network.encoder), folder / "encoder" / "pytorch_model.bin")  # type: ignore[arg-type]
    vae = with_old_names(half(network.vae))  # type: ignore[arg-type]
    save_file(vae, folder / "vae" / "diffusion_pytorch_model.safetensors")
    save_file(low_rank(network.unet), folder / "lora.safetensors")  # type: ignore[arg-type]
    return folder


@pytest.fixture
def published(_published: Path, tmp_path: Path) -> Path:
    """A folder with unet/, encoder/, vae/ and lora.safetensors, half precision but for the last, to change at will."""
    return Path(shutil.copytree(_published, tmp_path / "published"))
