"""FLIP's weights as its authors publish them: the network's tensors out of all that its training keeps."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from nonesuch.core.errors import NonesuchError
from nonesuch.flip.word_pieces import JOINT

_NESTS = ("model", "state_dict")
_WRAPPER = "module."
# Momentum twins, queues and constants, which only training needs.
_TWINS = ("visual_encoder_m.", "vision_proj_m.", "text_encoder_m.", "text_proj_m.")
_OTHERS = ("image_queue", "text_queue", "idx_queue", "ptr_queue")
_SPELLINGS = {"vision_model.post_layernorm.": "vision_model.post_layrnorm."}  # CLIP's and FLIP's
_BEGIN = "[DEC]"  # of a decoder; BLIP's vocabularies have it before [ENC]
WORDS = "text_encoder.embeddings.word_embeddings.weight"


def network_tensors(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of `nonesuch.flip.network.Flip` out of a checkpoint; both spellings of the final norm are read."""
    state = next((checkpoint[key] for key in _NESTS if isinstance(checkpoint.get(key), dict)), checkpoint)
    found = {}
    for name, tensor in state.items():
        name = str(name).removeprefix(_WRAPPER)
        for other, ours in _SPELLINGS.items():
            name = name.replace(other, ours)
        training_only = name.startswith(_TWINS) or name in _OTHERS or name.endswith("position_ids")
        if isinstance(tensor, Tensor) and not training_only:
            found[name] = tensor
    return found


def load_strictly(network: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Load all tensors, no more and no fewer.

    Raises:
        NonesuchError: a tensor is missing, unknown, or of another shape.
    """
    wanted = network.state_dict()
    missing, unknown = sorted(wanted.keys() - tensors.keys()), sorted(tensors.keys() - wanted.keys())
    shapes = sorted(name for name in wanted.keys() & tensors.keys() if wanted[name].shape != tensors[name].shape)
    for what, names in (("lacks", missing), ("has besides", unknown), ("has in other sizes", shapes)):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise NonesuchError(f"{where}: not FLIP of this size: it {what} {names[0]}{more}")
    network.load_state_dict(dict(tensors))


def full_vocabulary(listed: Sequence[str], words: int, where: str) -> list[str]:
    """A list of tokens with those that FLIP adds to BERT's, as many as the weights have words.

    Raises:
        NonesuchError: no addition makes it as many.
    """
    for added in ([], [JOINT], [_BEGIN, JOINT]):
        if len(listed) + len(added) == words and JOINT in [*listed, *added]:
            return [*listed, *added]
    raise NonesuchError(f"{where}: lists {len(listed):,} tokens where the weights have {words:,}; take the model's own")
