"""FLIP while it learns: momentum twins, queues of what they saw, and the losses of a batch."""

import copy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nonesuch.flip.losses import Said, belonging, contrast, hard_negatives, matching
from nonesuch.flip.network import Flip
from nonesuch.flip.text import TextEncoder
from nonesuch.loop import distributed
from nonesuch.loop.trainer import Batch

_TWINS = ("visual_encoder", "vision_proj", "text_encoder", "text_proj")
FACTS = 63  # bits of a number that says which facts hold
_COLDEST, _HOTTEST = 0.001, 0.5  # limits of the temperature
Pair = tuple[Tensor, Tensor]
POSITIVES = ("facts", "equal", "diagonal")


@dataclass(frozen=True, kw_only=True)
class FlipLosses:
    """How FLIP learns.

    Attributes:
        queue: image and text vectors that are remembered; at least as many as a batch holds.
        momentum: of the twins.
        twins_after: images seen before twins and queue take part; until then the batch is compared with itself. Fresh
            encoders change so fast that the age of a remembered vector says more than what it shows.
        alpha: share of the twins' opinion in a target; it grows from 0 over the `ramp` images that follow.
        facts: weight of naming the known facts from either encoder's output, which teaches them what there is to tell
            apart; published FLIP has no such loss.
        matching: weight of the matching loss; 0 leaves it out.
        matched: share of a batch that the matching loss is of, to save time.
        matching_after: images seen before the matching loss begins; until then pairs that are hard to tell are few.
        positives: `diagonal`: only its own text is an image's, as published; `equal`: equal texts are too; `facts`: and
            texts that are true of it, since all facts that they state hold, are not held against it.
    """

    queue: int
    momentum: float = 0.995
    twins_after: int = 0
    alpha: float = 0.4
    ramp: int = 1
    facts: float = 0.0
    matching: float = 1.0
    matched: float = 1.0
    matching_after: int = 0
    positives: str = "facts"


class FlipPretraining(nn.Module):
    """The network with its twins and queues, and the layers that name facts; only the network is kept in the end.

    Args:
        network: to be trained.
        losses: the settings.
        joint_token: the token that begins a text which is read together with an image.
    """

    image_queue: Tensor
    text_queue: Tensor
    said_queue: Tensor
    ptr_queue: Tensor

    def __init__(self, network: Flip, losses: FlipLosses, joint_token: int) -> None:
        super().__init__()
        self.network, self.losses, self.joint_token = network, losses, joint_token
        self.twins = nn.ModuleDict({name: copy.deepcopy(getattr(network, name)) for name in _TWINS})
        self.twins.requires_grad_(False)
        widths = {"image": network.vision_proj.in_features, "text": network.text_proj.in_features}
        self.namers = nn.ModuleDict({name: nn.Linear(width, FACTS) for name, width in widths.items()})
        dim = network.text_proj.out_features
        # Nothing has been seen: such rows are left out of every loss.
        self.register_buffer("image_queue", torch.zeros(losses.queue, dim))
        self.register_buffer("text_queue", torch.zeros(losses.queue, dim))
        self.register_buffer("said_queue", torch.zeros(len(Said._fields), losses.queue, dtype=torch.int64))
        self.register_buffer("ptr_queue", torch.zeros(2, dtype=torch.int64))  # the next place; how many are filled

    def train(self, mode: bool = True) -> "FlipPretraining":
        """As `nn.Module.train`, but the twins never drop anything."""
        super().train(mode)
        self.twins.eval()
        return self

    @torch.no_grad()
    def _move_twins(self, momentum: float) -> None:
        for name, twin in self.twins.items():
            ours = list(getattr(self.network, name).parameters())
            torch._foreach_lerp_(list(twin.parameters()), ours, 1.0 - momentum)

    @torch.no_grad()
    def _remember(self, images: Tensor, texts: Tensor, said: Said) -> None:
        place, filled = self.ptr_queue.tolist()
        rows = (place + torch.arange(len(images), device=images.device)) % self.losses.queue
        self.image_queue[rows], self.text_queue[rows] = images, texts
        self.said_queue[:, rows] = torch.stack(said)
        self.ptr_queue[0] = (place + len(images)) % self.losses.queue
        self.ptr_queue[1] = min(filled + len(images), self.losses.queue)

    def forward(self, batch: Batch, seen: int) -> dict[str, Tensor]:
        """The loss terms of a batch: `images`, `tokens`, `said` (B, 4) int64 (see `Said`), `draws` (B, 2) of [0, 1).

        Under torchrun each process holds a part of the batch; vectors and encodings of all parts are gathered, so the
        losses of several processes average to those of one.
        """
        network, settings = self.network, self.losses
        first = seen < settings.twins_after
        with torch.no_grad():
            network.temp.clamp_(_COLDEST, _HOTTEST)
            self._move_twins(0.0 if first else settings.momentum)
        tokens = batch["tokens"]
        places = network.visual_encoder(batch["images"])
        read = network.text_encoder.first(tokens)
        images, texts = network.image_vectors(places), network.text_vectors(read)
        mine = Said(*batch["said"].unbind(1))
        alls = Said(*(distributed.parts_of_all(part) for part in mine))
        own = distributed.rank() * len(tokens) + torch.arange(len(tokens), device=tokens.device)
        if first:
            all_images, all_texts = distributed.parts_of_all(images), distributed.parts_of_all(texts)
            terms = {"itc": self._contrast((images, texts), (images, texts), (all_images, all_texts), mine, alls, own)}
        else:
            with torch.no_grad():
                twins = self._twin_vectors(batch["images"], tokens)
                all_images, all_texts = (distributed.parts_of_all(part) for part in twins)
                filled = int(self.ptr_queue[1])
                known = Said(*(torch.cat(pair) for pair in zip(alls, self.said_queue[:, :filled], strict=True)))
                candidates = (
                    torch.cat([all_images, self.image_queue[:filled]]),
                    torch.cat([all_texts, self.text_queue[:filled]]),
                )
            alpha = settings.alpha * min(1.0, (seen - settings.twins_after) / settings.ramp)
            terms = {"itc": self._contrast((images, texts), twins, candidates, mine, known, own, alpha)}
            self._remember(all_images, all_texts, alls)
        if settings.facts:
            terms["facts"] = settings.facts * self._facts(places[:, 0], read, mine)
        if settings.matching and seen >= settings.matching_after:
            terms["itm"] = settings.matching * self._matching(batch, places, (images, texts), mine, alls, own)
        return terms

    def _facts(self, seen: Tensor, read: Tensor, said: Said) -> Tensor:
        """Cross-entropy of naming each fact from the image, and from the text; what is not known of does not count."""
        known = said.holds != 0
        bits = torch.arange(FACTS, device=said.holds.device)
        total = seen.new_zeros(())
        for name, outputs, facts in (("image", seen, said.holds), ("text", read, said.states)):
            wanted = (facts[:, None] >> bits & 1).float()
            each = F.binary_cross_entropy_with_logits(self.namers[name](outputs).float(), wanted, reduction="none")
            total = total + (each.mean(1) * known).sum() / known.sum().clamp(min=1)
        return total

    def _contrast(
        self, ours: Pair, teachers: Pair, candidates: Pair, mine: Said, known: Said, own: Tensor, alpha: float = 0.0
    ) -> Tensor:
        """Of each image with all texts, and of each text with all images; pairs are of image and text vectors."""
        temperature = self.network.temp
        right_texts, true_texts = (part.T for part in self._right_and_true(known, mine, own))  # (B, candidates)
        right_images, true_images = self._right_and_true(mine, known, own)
        total = ours[0].new_zeros(())
        for side, right, true in ((0, right_texts, true_texts), (1, right_images, true_images)):
            others = candidates[1 - side].T
            with torch.no_grad():
                teacher = teachers[side] @ others / temperature
            total = total + contrast(ours[side] @ others / temperature, teacher, right, true & ~right, alpha)
        return total / 2

    def _right_and_true(self, texts: Said, images: Said, own: Tensor) -> tuple[Tensor, Tensor]:
        """(T, I) bool: which texts are the images' own, or equal to theirs; and which are true of them."""
        if self.losses.positives == "diagonal":
            right = _diagonal(len(texts.number), len(images.number), own)
            return right, right
        right = texts.number[:, None] == images.number[None, :]
        return right, belonging(texts, images) if self.losses.positives == "facts" else right

    def _twin_vectors(self, images: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        twins = self.twins
        seen = twins["vision_proj"](twins["visual_encoder"](images)[:, 0]).float()
        encoder = twins["text_encoder"]
        assert isinstance(encoder, TextEncoder)
        read = twins["text_proj"](encoder.first(tokens)).float()
        return F.normalize(seen, dim=1), F.normalize(read, dim=1)

    def _matching(
        self, batch: Batch, places: Tensor, vectors: tuple[Tensor, Tensor], mine: Said, alls: Said, own: Tensor
    ) -> Tensor:
        """Each text with its own image, with a hard negative image; each image with a hard negative text."""
        count = max(round(self.losses.matched * len(own)), 1)
        images, texts = vectors
        tokens = batch["tokens"].clone()
        tokens[:, 0] = self.joint_token
        all_places, all_tokens = distributed.parts_of_all(places), distributed.parts_of_all(tokens)
        with torch.no_grad():
            all_images, all_texts = distributed.parts_of_all(images), distributed.parts_of_all(texts)
            alike = mine.person[:, None] == alls.person[None, :]
            true_texts = self._right_and_true(alls, mine, own)[1].T | alike
            true_images = self._right_and_true(mine, alls, own)[1] | alike
            draws = batch["draws"].unbind(1)
            other_text = hard_negatives(images @ all_texts.T / self.network.temp, true_texts, draws[0])[:count]
            other_image = hard_negatives(texts @ all_images.T / self.network.temp, true_images, draws[1])[:count]
            ones = torch.ones_like(other_text)
            counts = torch.cat([ones.bool(), ~true_texts.all(1)[:count], ~true_images.all(1)[:count]])
        tokens, places = tokens[:count], places[:count]
        logits = self.network.match(
            torch.cat([tokens, all_tokens[other_text], tokens]),
            torch.cat([places, places, all_places[other_image]]),
        )
        return matching(logits, torch.cat([ones, 0 * ones, 0 * ones]), counts)


def _diagonal(texts: int, images: int, own: Tensor) -> Tensor:
    found = torch.zeros(texts, images, dtype=torch.bool, device=own.device)
    mine = torch.arange(len(own), device=own.device)
    if texts == len(own):
        found[mine, own] = True
    else:
        found[own, mine] = True
    return found


def own_tensors(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The network's tensors out of the state dict of a `FlipPretraining`."""
    prefix = "network."
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
