"""How natural a language model finds captions, beside others of the same facts.

Likelihood falls with each word, so only texts that state the same facts are compared.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from nonesuch.captions.local_model import LocalModel

_SETS = 300  # of facts that are compared, at most

Texts = dict[frozenset[str], str]  # by the facts that it states, a text


@dataclass(frozen=True)
class Naturalness:
    """Texts beside others of the same facts.

    Attributes:
        sets: sets of facts that both have a text for, up to 300.
        nats: mean of how much more improbable these texts are than the others, in nats; below 0 they are more natural.
        likelier: share of the sets whose text is more probable than the other; the same text counts half.
    """

    sets: int
    nats: float
    likelier: float


def compared(
    texts: Sequence[Texts], model: LocalModel, on_text: Callable[[int, int], None] = lambda done, total: None
) -> list[Naturalness | None]:
    """Each group of texts beside the first one; None for that and where no set of facts is in both.

    Args:
        texts: at least one group.
        on_text: told how many texts the model has read, and of how many.
    """
    first, *others = texts
    both = [[facts for facts in first if facts in other][:_SETS] for other in others]
    wanted = dict.fromkeys(first[facts] for sets in both for facts in sets)
    wanted |= dict.fromkeys(other[facts] for other, sets in zip(others, both, strict=True) for facts in sets)
    nats = {}
    for number, text in enumerate(wanted):
        on_text(number, len(wanted))
        nats[text] = model.nats(text)
    found: list[Naturalness | None] = [None]
    for other, sets in zip(others, both, strict=True):
        more = [nats[other[facts]] - nats[first[facts]] for facts in sets]
        found.append(Naturalness(len(more), fmean(more), fmean(_won(one) for one in more)) if more else None)
    return found


def _won(nats: float) -> float:
    return 0.5 if nats == 0.0 else float(nats < 0.0)
