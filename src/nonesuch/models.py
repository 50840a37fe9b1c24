"""Every model by its name: bare torch modules, and modules with their weights and card."""

import fnmatch
import reprlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from nonesuch.core import files, weights
from nonesuch.core.arguments import LEAST_FACE, Number, checked
from nonesuch.core.devices import pick_device, pick_dtype
from nonesuch.core.errors import NonesuchError
from nonesuch.core.network_size import outlined
from nonesuch.core.weights import Card
from nonesuch.embedders.adapters import AdaptedNetwork
from nonesuch.embedders.dlib_resnet import DlibResNet
from nonesuch.embedders.embedder import Embedder, EmbedderCard, freeze
from nonesuch.embedders.iresnet import DEPTHS, IResNet
from nonesuch.embedders.mobilefacenet import MobileFaceNet
from nonesuch.embedders.onnx import OnnxNetwork
from nonesuch.embedders.presets import IRESNETS, VITS
from nonesuch.embedders.vit import FaceViT
from nonesuch.flip.card import FlipCard
from nonesuch.flip.model import FlipModel
from nonesuch.flip.network import Flip
from nonesuch.flip.presets import FLIPS
from nonesuch.generators.arc2face.checkpoints import Parts, read_parts
from nonesuch.generators.arc2face.generator import Arc2FaceCard, Arc2FaceGenerator
from nonesuch.generators.arc2face.network import Arc2Face
from nonesuch.generators.arc2face.presets import ARC2FACE
from nonesuch.generators.generator import Generator, GeneratorCard
from nonesuch.generators.idiff.first_stage import IDiffFirstStage
from nonesuch.generators.idiff.generator import IDiffCard, IDiffGenerator
from nonesuch.generators.idiff.kl_first_stage import KlFirstStage
from nonesuch.generators.idiff.network import LatentDiffusion, PartCard
from nonesuch.generators.idiff.presets import FIRST_STAGES, IDIFF, KL_FIRST_STAGES
from nonesuch.generators.idiff.unet import IDiffUNet
from nonesuch.generators.vec2face.generator import Vec2FaceCard, Vec2FaceGenerator
from nonesuch.generators.vec2face.network import Vec2Face
from nonesuch.generators.vec2face.presets import VEC2FACE
from nonesuch.perception.aligned_images import LEAST_FACE as LEAST_SHARE
from nonesuch.perception.aligned_images import ImageAligner
from nonesuch.perception.attributes import AttributeHeads
from nonesuch.perception.detection import Detector
from nonesuch.perception.mtcnn import Mtcnn
from nonesuch.perception.perceiver import Perceiver, PerceiverCard
from nonesuch.perception.presets import PERCEIVERS

ASSETS = Path(__file__).parent / "assets"

CardType = TypeVar("CardType", bound=Card)


@dataclass(frozen=True)
class _Model:
    build: Callable[..., nn.Module]
    card: type[Card]
    generator: Callable[..., Generator] | None = None  # from card, network, device, dtype
    crop: int = 112  # side of the crops that an embedder takes, in pixels


def _arc2face(card: Arc2FaceCard, network: Arc2Face, device: torch.device, dtype: torch.dtype) -> Arc2FaceGenerator:
    least = int(LEAST_SHARE * network.image_side)
    return Arc2FaceGenerator(card, network, device, dtype, ImageAligner(load_detector(str(device), max(least, 20))))


_MODELS: dict[str, _Model] = {
    "mtcnn": _Model(Mtcnn, Card),
    "mobilefacenet": _Model(MobileFaceNet, EmbedderCard),
    "dlib_resnet": _Model(DlibResNet, EmbedderCard, crop=150),
    **{f"iresnet{depth}": _Model(partial(IResNet, depth), EmbedderCard) for depth in DEPTHS},
    **{f"se_iresnet{depth}": _Model(partial(IResNet, depth, squeeze=True), EmbedderCard) for depth in DEPTHS},
    **{name: _Model(partial(IResNet, **sizes), EmbedderCard) for name, sizes in IRESNETS.items()},
    **{name: _Model(partial(FaceViT, **sizes), EmbedderCard) for name, sizes in VITS.items()},
    **{name: _Model(partial(AttributeHeads, **sizes), PerceiverCard) for name, sizes in PERCEIVERS.items()},
    **{name: _Model(partial(Flip, **sizes), FlipCard) for name, sizes in FLIPS.items()},
    **{name: _Model(partial(Vec2Face, **sizes), Vec2FaceCard, Vec2FaceGenerator) for name, sizes in VEC2FACE.items()},
    **{name: _Model(partial(LatentDiffusion, **sizes), IDiffCard, IDiffGenerator) for name, sizes in IDIFF.items()},
    **{name: _Model(partial(Arc2Face, **sizes), Arc2FaceCard, _arc2face) for name, sizes in ARC2FACE.items()},
    "idiff_unet": _Model(IDiffUNet, PartCard),
    **{name: _Model(partial(IDiffFirstStage, **sizes), PartCard) for name, sizes in FIRST_STAGES.items()},
    **{name: _Model(partial(KlFirstStage, **sizes), PartCard) for name, sizes in KL_FIRST_STAGES.items()},
}


def list_models(pattern: str = "*") -> list[str]:
    """Names that `create_model` takes, sorted.

    Args:
        pattern: as in a shell, such as "vec2face*".
    """
    return sorted(fnmatch.filter(_MODELS, pattern))


def list_backbones() -> list[str]:
    """Networks that a recogniser can be trained with: embedders of 112x112 crops, sorted."""
    return sorted(name for name, model in _MODELS.items() if model.card is EmbedderCard and model.crop == 112)


def create_model(name: str, pretrained: bool | str | Path | Sequence[str | Path] = False, **sizes: Any) -> nn.Module:
    """Build a network.

    Args:
        name: one of `list_models()`.
        pretrained: True for the weights that ship with the package, or a checkpoint file (`.safetensors`, `.pth`) in
            the published tensor names, or several that together hold a model.
        sizes: arguments that differ from the preset, as the network's class names them.

    Returns:
        The torch module, in training mode. It takes preprocessed tensors; perception heads take feature maps.

    Raises:
        NonesuchError: the name or a size is unknown, the package ships no weights of that name, or a checkpoint does
            not fit.
    """
    if sizes:
        _outlined(name, sizes)
    try:
        network = _find(name).build(**sizes)
    except RuntimeError as error:  # no memory for it
        raise NonesuchError(f"{name}: cannot be built ({error})") from error
    if pretrained is True:
        path = shipped_weights(name)
        card = weights.read_card(path, _find(name).card)
        weights.load_into(network, weights.load_checked(path, card), name)
    elif pretrained:
        paths = [Path(pretrained)] if isinstance(pretrained, str | Path) else list(map(Path, pretrained))
        if isinstance(network, Arc2Face):
            network.load_state_dict(read_arc2face(name, paths, **sizes).tensors)
        else:
            _load_published(network, paths)
    return network


def read_arc2face(name: str, paths: Sequence[Path], **sizes: Any) -> Parts:
    """What `read_parts` gives, without memory for the network; arguments as of `create_model`."""
    network = _outlined(name, sizes)
    assert isinstance(network, Arc2Face)
    return read_parts(network, paths)


def _outlined(name: str, sizes: dict[str, Any], adapter_rank: int = 0) -> nn.Module:
    """A network as `outlined` gives it; raises NonesuchError for sizes that make no sense or too large a network."""

    def build() -> nn.Module:
        network = model.build(**sizes)
        return AdaptedNetwork(network, adapter_rank) if adapter_rank else network

    model = _find(name)
    try:
        return outlined(build, sizes)
    except Exception as error:  # sizes come from cards, too, and torch has many kinds for those that make no sense
        raise NonesuchError(f"{name}: {f'sizes {reprlib.repr(sizes)}: ' if sizes else ''}{error}") from error


def _load_published(network: nn.Module, paths: Sequence[Path]) -> None:
    """Load checkpoints; those of a latent diffusion hold one of its two networks each, or a part of one."""
    names, checkpoint = ", ".join(map(str, paths)), weights.merged([weights.load_checkpoint(path) for path in paths])
    if not isinstance(network, LatentDiffusion) or "unet.image_proj.weight" in checkpoint:
        weights.load_into(network, checkpoint, names)
        return
    for part in (network.unet, network.first_stage):
        try:
            weights.load_into(part, checkpoint, names)
        except NonesuchError as error:
            raise NonesuchError(
                f"{error}; give U-Net and first stage, one as the checkpoint, others by --part"
            ) from error


def card_type(name: str) -> type[Card]:
    """The kind of card that weights of a model have; raises NonesuchError for an unknown model."""
    return _find(name).card


def shipped_names() -> list[str]:
    """Names of the weights that ship with the package."""
    return sorted(path.stem for path in ASSETS.glob("*.safetensors") if path.stem in _MODELS)


def shipped_weights(name: str) -> Path:
    """The weight file of that name in the package.

    Raises:
        NonesuchError: there is none.
    """
    if name not in shipped_names():  # names come from cards, too: none may lead elsewhere
        raise NonesuchError(f"the package ships no weights named {name!r}; it ships {', '.join(shipped_names())}")
    return ASSETS / f"{name}.safetensors"


@checked(threads=Number(0, whole=True))
def load_embedder(name_or_file: str | Path, device: str = "auto", dtype: str = "float32", threads: int = 0) -> Embedder:
    """An embedder with its weights and card.

    Args:
        name_or_file: a name the package ships ("mobilefacenet", "dlib_resnet"), or a `.safetensors` or `.onnx` file
            with its JSON card beside it.
        device: "auto", "cpu", "cuda", ...
        dtype: "float32", "bfloat16" or (on a GPU) "float16".
        threads: of an ONNX session on a CPU, 0 for as many as torch has; torch has its own setting.

    Raises:
        NonesuchError: unknown name, missing or damaged weights, weights that are not an embedder's.
    """
    place = pick_device(device)
    precision = pick_dtype(dtype, place)
    path = weights_path(name_or_file)
    card = read_model_card(path, EmbedderCard)
    if path.suffix == ".onnx":
        weights.check_hash(path, card)
        return Embedder(card, OnnxNetwork(path, threads, place.type != "cpu"), place, torch.float32)
    return Embedder(card, freeze(_network(path, card), place), place, precision)


def load_embedder_of(generator: GeneratorCard, name_or_file: str | Path | None, device: str = "auto") -> Embedder:
    """The embedder whose vectors a generator decodes.

    Args:
        generator: its card.
        name_or_file: as in `load_embedder`; None for the one that ships under the name on the card.
        device: as in `load_embedder`.

    Raises:
        NonesuchError: as `load_embedder`, it is another embedder than the card's, or none is named and none ships.
    """
    if name_or_file is None and generator.embedder not in shipped_names():
        raise NonesuchError(
            f"{generator.name} decodes vectors of {generator.embedder}, which does not ship with the package; name its "
            "file with --embedder"
        )
    found = load_embedder(name_or_file or generator.embedder, device)
    if found.card.sha256 != generator.embedder_sha256:
        raise NonesuchError(f"{generator.name} decodes vectors of {generator.embedder}, not of {found.name}")
    return found


@checked(min_face=LEAST_FACE)
def load_detector(device: str = "auto", min_face: int = 40) -> Detector:
    """The MTCNN detector that ships with the package; errors as in `load_embedder`."""
    place = pick_device(device)
    network = freeze(create_model("mtcnn", pretrained=True), place)
    assert isinstance(network, Mtcnn)
    return Detector(network, place, min_face)


def load_perceiver(name_or_file: str | Path = "perceiver", device: str = "auto", dtype: str = "float32") -> Perceiver:
    """Perception heads with the embedder whose feature maps they read, which must ship with the package.

    Arguments and errors as in `load_embedder`.
    """
    place = pick_device(device)
    path = weights_path(name_or_file)
    card = read_model_card(path, PerceiverCard)
    heads = freeze(_network(path, card), place)
    assert isinstance(heads, AttributeHeads)
    if shipped_embedder_card(card.embedder, card.embedder_sha256) is None:
        raise NonesuchError(f"{path}: its heads read feature maps of {card.embedder}, whose weights do not ship")
    return Perceiver(card, heads, load_embedder(card.embedder, device, dtype))


def load_flip(name_or_file: str | Path = "flip_small", device: str = "auto", dtype: str = "float32") -> FlipModel:
    """A text-image model; arguments and errors as in `load_embedder`.

    The embedder whose feature maps it reads, if it reads any, must ship with the package.
    """
    place = pick_device(device)
    path = weights_path(name_or_file)
    card = read_model_card(path, FlipCard)
    network = freeze(_network(path, card), place)
    assert isinstance(network, Flip)
    below = None
    if card.embedder:
        if shipped_embedder_card(card.embedder, card.embedder_sha256) is None:
            raise NonesuchError(f"{path}: it reads feature maps of {card.embedder}, whose weights do not ship")
        below = load_embedder(card.embedder, device, dtype)
    return FlipModel(card, network, below, place, pick_dtype(dtype, place))


def shipped_embedder_card(name: str, sha256: str) -> EmbedderCard | None:
    """The card of an embedder that ships with the package, if it has that hash."""
    if name not in shipped_names() or _find(name).card is not EmbedderCard:
        return None
    card = weights.read_card(shipped_weights(name), EmbedderCard)
    return card if card.sha256 == sha256 else None


def load_generator(name_or_file: str | Path, device: str = "auto", dtype: str = "float32") -> Generator:
    """A generator with its weights and card; arguments and errors as in `load_embedder`."""
    place = pick_device(device)
    precision = pick_dtype(dtype, place)
    path = weights_path(name_or_file)
    card = read_model_card(path, GeneratorCard)
    make = _find(card.architecture).generator
    if make is None:
        raise NonesuchError(f"{path}: {card.architecture} is not a generator")
    return make(card, freeze(_network(path, card), place), place, precision)


def read_model_card(path: Path, kind: type[CardType]) -> CardType:
    """The card beside a weight file, as the subclass of `kind` that its model's weights have.

    Raises:
        NonesuchError: as `nonesuch.core.weights.read_card`, or the model is of another kind.
    """
    place = weights.card_path(path)
    told = files.read_json(place).get("architecture") if path.is_file() and place.is_file() else None
    own = _MODELS[str(told)].card if str(told) in _MODELS else kind  # what is unknown is told when its network is built
    if not issubclass(own, kind):
        raise NonesuchError(
            f"{path}: {told} is of the kind {own.kind!r}, where a {kind.kind} is needed; name another file"
        )
    return weights.read_card(path, own)


def _find(name: str) -> _Model:
    if name not in _MODELS:
        raise NonesuchError(f"unknown model {name!r}; the known ones are {', '.join(list_models())}")
    return _MODELS[name]


def weights_path(name_or_file: str | Path) -> Path:
    """The weight file that a name or path means; raises NonesuchError where there is none."""
    path = files.as_path(name_or_file)
    if path.suffix in (".safetensors", ".onnx"):
        return path
    if path.suffix in (".pth", ".pt", ".ckpt", ".bin"):
        raise NonesuchError(f"{path}: a bare checkpoint has no card; make one with 'nonesuch import-weights {path}'")
    if str(name_or_file) in _MODELS or path.parent == Path():
        return shipped_weights(str(name_or_file))
    raise NonesuchError(f"{path}: not a weight file (.safetensors or .onnx)")


def _network(path: Path, card: Card) -> nn.Module:
    rank = card.adapter_rank if isinstance(card, EmbedderCard) else 0
    if card.sizes:  # nothing is allocated for what the file does not hold
        weights.load_into(_outlined(card.architecture, card.sizes, rank), weights.outline(path), str(path))
    network = create_model(card.architecture, **card.sizes)
    if rank:
        try:
            network = AdaptedNetwork(network, rank)
        except NonesuchError as error:
            raise NonesuchError(f"{path}: {error}") from error
    weights.load_into(network, weights.load_checked(path, card), str(path))
    return network
