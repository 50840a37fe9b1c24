"""Published files of Arc2Face and of what it builds on -> tensors of the whole, nothing of which is run.

The U-Net and the ID encoder are Arc2Face's, the VAE is Stable Diffusion 1.5's, and LCM-LoRA is a file of low-rank
changes of the U-Net (arXiv 2311.05556). Which is which, their tensors tell.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from nonesuch.core import weights
from nonesuch.core.errors import NonesuchError
from nonesuch.generators.arc2face.network import Arc2Face

# A tensor that tells a part from the others, and what the part is called.
_TELLTALES = {
    "unet": ("time_embedding.linear_1.weight", "U-Net"),
    "encoder": ("text_model.embeddings.token_embedding.weight", "ID encoder"),
    "vae": ("decoder.conv_in.weight", "VAE"),
}
_DOWN, _UP, _ALPHA = ".lora_down.weight", ".lora_up.weight", ".alpha"
_LORA, _LORA_OF_UNET = "LoRA", "lora_unet_"
# Names of the VAE's attention before diffusers renamed them, in which Stable Diffusion 1.5 was published.
_RENAMED = {".query.": ".to_q.", ".key.": ".to_k.", ".value.": ".to_v.", ".proj_attn.": ".to_out.0."}


@dataclass(frozen=True)
class Parts:
    """A whole Arc2Face out of the files of its parts.

    Attributes:
        tensors: by their names in the network, each of the type that its file holds.
        feature_dim: width of the identity vectors.
        distilled: whether LCM-LoRA was merged.
    """

    tensors: dict[str, Tensor]
    feature_dim: int
    distilled: bool


def read_parts(network: Arc2Face, paths: Sequence[Path]) -> Parts:
    """Read files of the parts, in any order.

    Args:
        network: of the wanted sizes, which nothing is loaded into; it may lie on torch's meta device.
        paths: of U-Net, ID encoder, VAE and perhaps LCM-LoRA, which is merged into the U-Net.

    Raises:
        NonesuchError: a file cannot be read or is of another kind, a part is missing, is there twice or does not fit.
    """
    found: dict[str, tuple[Path, dict[str, Any]]] = {}
    for path in paths:
        content = weights.load_checkpoint(path)
        part = _kind(path, content)
        if part in found:
            raise NonesuchError(f"{path}: is a second {_called(part)} beside {found[part][0]}; give each part once")
        found[part] = path, content
    missing = [_called(part) for part in _TELLTALES if part not in found]
    if missing:
        raise NonesuchError(
            f"{', '.join(map(str, paths))}: no {' and no '.join(missing)}; give U-Net, ID encoder and VAE, one as the "
            "checkpoint, the others by --part"
        )
    tensors: dict[str, Tensor] = {}
    for part in _TELLTALES:
        path, content = found[part]
        own = _fitting(getattr(network, part), _renamed(content) if part == "vae" else content, path)
        tensors |= {f"{part}.{name}": tensor for name, tensor in own.items()}
    if _LORA in found:
        _merge(network.unet, tensors, *found[_LORA])
    return Parts(tensors, network.feature_dim, _LORA in found)


def _kind(path: Path, content: Mapping[str, Any]) -> str:
    if any(name.endswith(_DOWN) for name in content):
        return _LORA
    for part, (tensor, _) in _TELLTALES.items():
        if tensor in content:
            return part
    raise NonesuchError(f"{path}: is no U-Net, ID encoder, VAE or LCM-LoRA with the published tensors")


def _called(part: str) -> str:
    return _TELLTALES[part][1] if part in _TELLTALES else part


def _renamed(content: Mapping[str, Any]) -> dict[str, Any]:
    """A VAE's tensors under the names that diffusers has now."""
    renamed = {}
    for name, tensor in content.items():
        for old, new in _RENAMED.items():
            name = name.replace(old, new) if ".attentions." in name else name
        renamed[name] = tensor
    return renamed


def _fitting(part: nn.Module, content: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
    """The part's tensors; raises NonesuchError where one is missing or has another shape."""
    wanted = {name: tensor.shape for name, tensor in part.state_dict().items()}
    wrong = [name for name, shape in wanted.items() if getattr(content.get(name), "shape", None) != shape]
    if wrong:
        raise NonesuchError(
            f"{path}: does not fit: {len(wrong)} of {len(wanted)} tensors are missing or have another shape, the first "
            f"is {wrong[0]}; Arc2Face's parts have the sizes of Stable Diffusion 1.5"
        )
    return {name: content[name] for name in wanted}


def _merge(unet: nn.Module, tensors: dict[str, Tensor], path: Path, lora: Mapping[str, Any]) -> None:
    """Add a LoRA's changes to the U-Net's tensors, in float32 and then rounded to their type.

    A change is alpha / rank times the product of its two matrices; of convolutions the second one's kernel is 1x1.
    """
    layers = {_LORA_OF_UNET + name.replace(".", "_"): f"unet.{name}.weight" for name, _ in unet.named_modules()}
    for place in sorted(name.removesuffix(_DOWN) for name in lora if name.endswith(_DOWN)):
        name = layers.get(place, "")
        change = _change(*(lora.get(place + end) for end in (_DOWN, _UP, _ALPHA)))
        if name not in tensors or change is None or change.shape != tensors[name].shape:
            raise NonesuchError(f"{path}: its {place} does not fit the U-Net; give LCM-LoRA for Stable Diffusion 1.5")
        tensors[name] = (tensors[name].float() + change).to(tensors[name].dtype)


def _change(down: Any, up: Any, alpha: Any) -> Tensor | None:
    """The float32 change of a layer's weight, (out, in) or (out, in, k, k); None where the parts do not go together."""
    if not all(isinstance(part, Tensor) for part in (down, up, alpha)) or down.ndim < 2 or alpha.numel() != 1:
        return None
    if up.shape[1:] != (len(down), *[1] * (down.ndim - 2)):
        return None
    change: Tensor = float(alpha) / len(down) * (up.float().flatten(1) @ down.float().flatten(1))
    return change.view(len(up), *down.shape[1:])
