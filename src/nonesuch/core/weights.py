"""Weight files: safetensors with a JSON card beside them, and published `.pth` checkpoints read without running code.

A card says what the weights are (architecture, sizes), where they come from (training data, licence), what was
measured, and the SHA-256 of the tensors, which is checked at every load.
"""

import argparse
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

import torch
from msgspec import Meta
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from safetensors.torch import save as serialize
from torch import Tensor, nn

from nonesuch.core import files
from nonesuch.core.checkpoint_budget import TooCostlyError, check_checkpoint
from nonesuch.core.errors import NonesuchError

# Limits of fields of cards.
Width = Annotated[int, Meta(ge=1, le=1 << 16)]
Positive = Annotated[float, Meta(gt=0)]
Cosine = Annotated[float, Meta(ge=-1, le=1)]

# What a checkpoint may hold besides tensors: a class, or what stands for a full name in it.
Named = type | tuple[Callable[..., Any], str]

# Prefixes that wrappers of training code put before a network's own tensor names.
_WRAPPERS = ("", "module.", "model.", "backbone.", "features.module.", "module.features.", "features.", "eps_model.")
# Keys under which training code nests a network's state dict.
_NESTS = ("model_vec2face", "state_dict", "model", "ema")
# Names of weight files in the folders of diffusers and transformers; those that run no code first, larger ones first.
_IN_FOLDERS = (
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.fp16.safetensors",
    "model.safetensors",
    "model.fp16.safetensors",
    "pytorch_lora_weights.safetensors",
    "diffusion_pytorch_model.bin",
    "pytorch_model.bin",
)


@dataclass(frozen=True, kw_only=True)
class Card:
    """What every weight file says about itself.

    Attributes:
        name: the name the weights go by.
        architecture: a name of `nonesuch.list_models()`, or "onnx".
        sizes: arguments that differ from the architecture's preset.
        sha256: of the weight file.
        licence: of the weights, which may differ from the code's.
        source: where the weights come from.
        training_data: what they were trained on, and what is known of its licence and consent.
        measured: figures measured on these weights, each with what was measured.
        limits: what they cannot do.
    """

    kind: ClassVar[str] = "detector"  # of model, as `nonesuch models` names it

    name: Annotated[str, Meta(min_length=1)]
    architecture: str
    sha256: str
    licence: str
    source: str
    training_data: str
    sizes: dict[str, Any] = field(default_factory=dict)
    measured: dict[str, Any] = field(default_factory=dict)
    limits: str = ""

    def record(self) -> dict[str, Any]:
        """The card as its file holds it, in that order and JSON-ready."""
        return dataclasses.asdict(self)


CardType = TypeVar("CardType", bound=Card)


def card_path(weights: Path) -> Path:
    """The card's place: the weight file's name with `.json`."""
    return weights.with_suffix(".json")


def read_card(weights: Path, kind: type[CardType]) -> CardType:
    """Read the card beside a weight file.

    Raises:
        NonesuchError: the weights or the card are missing, or the card lacks a field, has an unknown one, or is for
            another kind of model, or a field is of another type or out of its limits.
    """
    if not weights.is_file():
        raise NonesuchError(f"{weights}: no such weight file")
    path = card_path(weights)
    if not path.is_file():
        raise NonesuchError(f"{path}: the weights have no card; make one with 'nonesuch import-weights'")
    return files.typed(files.read_json(path), kind, f"{path}: not a card of {kind.__name__}")


def check_card(card: Card) -> None:
    """Raises NonesuchError where a card would not be read again: a field is of another type or out of its limits."""
    files.typed(card.record(), type(card), f"the card of {card.name}")


def save(weights: Path, tensors: dict[str, Tensor], card: CardType) -> CardType:
    """Write tensors and card; returns the card with the SHA-256 of what was written.

    Raises:
        NonesuchError: the place cannot be written, or a field of the card is out of its limits.
    """
    check_card(card)
    with files.replacing(weights) as temporary:
        # safetensors refuses channels_last tensors and shared memory; its own writer hides the cause of a failure.
        plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
        temporary.write_bytes(serialize(plain))
    return write_card(weights, card)


def halved(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Floating-point tensors in half precision, the others as they are."""
    return {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}


def mean(files_tensors: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of several files' tensors by name, in float32 and then the first one's type; integers as in the first.

    Raises:
        NonesuchError: they hold different tensors.
    """
    first = files_tensors[0]
    shapes = [{name: tensor.shape for name, tensor in tensors.items()} for tensors in files_tensors]
    if any(other != shapes[0] for other in shapes):
        raise NonesuchError("the weight files hold different tensors; average one network's runs")
    return {
        name: torch.stack([tensors[name].float() for tensors in files_tensors]).mean(0).to(tensor.dtype)
        if tensor.is_floating_point()
        else tensor
        for name, tensor in first.items()
    }


def write_card(weights: Path, card: CardType) -> CardType:
    """Write the card of an existing weight file, with the file's SHA-256; returns that card. Errors as in `save`."""
    check_card(card)
    card = dataclasses.replace(card, sha256=files.sha256(weights))
    files.write_json(card_path(weights), card.record())
    return card


def check_hash(weights: Path, card: Card) -> None:
    """Raises NonesuchError unless the file's SHA-256 is the one on its card."""
    if files.sha256(weights) != card.sha256:
        raise NonesuchError(f"{weights}: its SHA-256 is not the one on its card; copy both files again")


def load_checked(weights: Path, card: Card) -> dict[str, Tensor]:
    """The tensors of a safetensors file, if they are those that the card is about.

    Raises:
        NonesuchError: the file is damaged, or its hash is not the card's.
    """
    check_hash(weights, card)
    return _load_safetensors(weights)


def checkpoint_file(path: Path) -> Path:
    """The file that holds the weights: the path itself, or of a folder as diffusers and transformers write it.

    Raises:
        NonesuchError: there is no such file, or no one file with a usual name in the folder.
    """
    if not path.is_dir():
        if not path.is_file():
            raise NonesuchError(f"{path}: no such weight file")
        return path
    found = next((path / name for name in _IN_FOLDERS if (path / name).is_file()), None)
    if found is None:
        raise NonesuchError(f"{path}: this folder holds none of {', '.join(_IN_FOLDERS)}; name the file")
    return found


def load_checkpoint(path: Path, classes: Sequence[Named] = (argparse.Namespace,)) -> dict[str, Any]:
    """Read `.safetensors`, or a PyTorch checkpoint with only tensors and plain values (`weights_only=True`).

    Args:
        classes: see `read_pickled`. Published checkpoints hold their command line as a Namespace, which is plain data.

    Raises:
        NonesuchError: the file is missing, damaged, or would run code.
    """
    path = checkpoint_file(path)
    if path.suffix == ".safetensors":
        return dict(_load_safetensors(path))
    content = read_foreign(path, classes, "a PyTorch checkpoint", "convert it to safetensors where it comes from")
    if not isinstance(content, dict):
        raise NonesuchError(f"{path}: holds no state dict")
    return content


def read_foreign(path: Path, classes: Sequence[Named], what: str, advice: str) -> Any:
    """`read_pickled` of a file of strangers.

    Args:
        what, advice: what it should be and what to do if it is not, for the message.

    Raises:
        NonesuchError: it is damaged, would run code, or would take very long or much memory.
    """
    try:
        return read_pickled(path, classes)
    except TooCostlyError as error:
        reason = f"reading it would take very long or much memory: {error}"
        raise NonesuchError(f"{path}: refused: {reason}; {advice}") from error
    except Exception as error:
        reason = f"it is damaged, not {what}, or holds objects that would run code"
        raise NonesuchError(f"{path}: refused: {reason}; {advice}") from error


def read_pickled(path: Path, classes: Sequence[Named] = (), mmap: bool = False) -> Any:
    """What `torch.save` wrote: tensors, plain values, and what is of these classes.

    Args:
        classes: also let through; one with a name stands for what the file calls by that name.
        mmap: leave the tensors in the file.

    Raises:
        TooCostlyError: reading it would take very long or much memory.
        Exception: it is damaged, or would run code.
    """
    check_checkpoint(path)
    with torch.serialization.safe_globals(list(classes)):
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)


def merged(checkpoints: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Checkpoints as one, each taken out of the key under which training code nests a state dict.

    Raises:
        NonesuchError: two of them hold a tensor of the same name.
    """
    if len(checkpoints) == 1:
        return dict(checkpoints[0])
    whole: dict[str, Any] = {}
    for checkpoint in checkpoints:
        nest = next((checkpoint[key] for key in _NESTS if isinstance(checkpoint.get(key), dict)), checkpoint)
        both = sorted(whole.keys() & nest.keys())
        if both:
            raise NonesuchError(f"two of the files hold {both[0]}; give each part of the model once")
        whole |= nest
    return whole


def load_into(
    module: nn.Module, checkpoint: Mapping[str, Any], name: str, optional: Callable[[str], bool] = lambda name: False
) -> None:
    """Load a checkpoint's tensors into a network, whatever wrapper saved them.

    The network's state dict may be nested under a usual key and every tensor may carry one wrapper prefix; a prefix
    is accepted only if all of the network's tensors are found under it. Further tensors (a classification head, a
    discriminator) are left out. `name` is for the error message. Tensors whose names are `optional` keep their values
    where a checkpoint has none of them.

    Raises:
        NonesuchError: a tensor is missing or has another shape.
    """
    wanted = {key: tensor for key, tensor in module.state_dict().items() if not key.endswith("num_batches_tracked")}
    best: tuple[int, str] = (len(wanted) + 1, "")
    for candidate in [checkpoint, *(checkpoint[key] for key in _NESTS if isinstance(checkpoint.get(key), dict))]:
        for prefix in _WRAPPERS:
            whole = any(prefix + key in candidate for key in wanted if optional(key))
            needed = {key: tensor for key, tensor in wanted.items() if whole or not optional(key)}
            wrong = [
                key
                for key, tensor in needed.items()
                if not isinstance(found := candidate.get(prefix + key), Tensor) or found.shape != tensor.shape
            ]
            if not wrong:
                module.load_state_dict({key: candidate[prefix + key] for key in needed}, strict=False)
                return
            best = min(best, (len(wrong), wrong[0]))
    raise NonesuchError(
        f"{name}: does not fit {type(module).__name__}: {best[0]} of {len(wanted)} tensors are missing or have another "
        f"shape, the first is {best[1]}; name the preset that it was trained with"
    )


def outline(path: Path) -> dict[str, Tensor]:
    """Names and shapes of a safetensors file, as tensors without memory; only the file's header is read.

    Raises:
        NonesuchError: the file is damaged.
    """
    try:
        with safe_open(path, "pt") as file:
            shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError, ValueError) as error:
        raise NonesuchError(f"{path}: not a readable safetensors file ({error})") from error
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


def _load_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise NonesuchError(f"{path}: not a readable safetensors file ({error})") from error
