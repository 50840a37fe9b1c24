"""Real photographs that a dataset is compared with: those a generator was trained on, and a control."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nonesuch.audit.looking import Eyes, Seen, look, together
from nonesuch.core.errors import NonesuchError
from nonesuch.formats.photograph_lists import exclude
from nonesuch.formats.photographs import names_of
from nonesuch.formats.readers import find
from nonesuch.formats.source import Source


@dataclass(frozen=True)
class Reference:
    """Real photographs as the embedders see them.

    Attributes:
        training: those that the generator may have learned.
        names: of the training photographs, with their source where there are several; people are then named likewise.
        control: photographs of other people, whom it never saw; None where there are none.
    """

    training: Seen
    names: list[str]
    control: Seen | None


def see_reference(
    against: Sequence[Source],
    controls: Sequence[Source],
    held_out: set[str],
    eyes: Eyes,
    on_image: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Reference:
    """Look at real photographs and split them into training set and control.

    The training set is the images of `against` (of the split `train`, where a table beside a tar names splits) without
    the people of `held_out`. The control is the other images of `against` and all of `controls`, but nobody who is in
    the training part of the same source.

    Args:
        against, controls: all images of each.
        held_out: names of people or files of `against` that the generator did not see.

    Raises:
        NonesuchError: a source cannot be read, or no training image is left.
    """
    training, control, sources = [], [], []
    known = {name for source in against for item in source.photographs for name in names_of(item)}
    if unknown := sorted(held_out - known):
        told = f"{len(unknown)} of {len(held_out)} names unknown"
        raise NonesuchError(f"--held-out: --against shows no {unknown[0]} ({told})")
    for source in against:
        learned = {item.name for item in exclude(find(source.path, split="train"), held_out)}
        seen = _seen(source, eyes, on_image)
        is_learned = np.array([item.name in learned for item in seen.photographs])
        if is_learned.any():
            training.append(seen.only(is_learned))
            sources.append(source.path.name)
        people = {item.identity for item in source.photographs if item.name in learned}
        unseen = ~is_learned & np.array([item.identity not in people for item in seen.photographs])
        if unseen.any():
            control.append(seen.only(unseen))
    control += [_seen(source, eyes, on_image) for source in controls]
    if not training:
        raise NonesuchError("--against: --held-out leaves no image that a generator may have learned from")
    names = [item.name for part in training for item in part.photographs]
    if len(training) > 1:
        names = [
            f"{source}: {item.name}"
            for source, part in zip(sources, training, strict=True)
            for item in part.photographs
        ]
        training = [
            replace(part, people=[f"{source}: {person}" for person in part.people])
            for source, part in zip(sources, training, strict=True)
        ]
    return Reference(together(training), names, together(control) if control else None)


def _seen(source: Source, eyes: Eyes, on_image: Callable[[str, int, int], None]) -> Seen:
    what = f"looking at {source.path.name}"
    return look(source, eyes, lambda done: on_image(what, done, len(source.photographs)))
