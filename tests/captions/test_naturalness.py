"""How natural texts are beside others of the same facts."""

from typing import cast

import pytest

from nonesuch.captions.analysis.naturalness import compared
from nonesuch.captions.local_model import LocalModel


class _ByLength:
    """A language model to which each letter is as improbable as the next."""

    def nats(self, text: str) -> float:
        return float(len(text))


def test_the_same_text_on_both_sides_is_no_loss() -> None:
    facts = [frozenset({name}) for name in ("male", "female", "smiling", "bangs")]
    first = dict(zip(facts, ("a man", "a woman", "a smile", "bangs"), strict=True))
    other = dict(zip(facts, ("a man", "a woman", "a big smile", "ab"), strict=True))
    _, found = compared([first, other], cast(LocalModel, _ByLength()))
    assert found is not None
    assert (found.sets, found.likelier) == (4, pytest.approx((0.5 + 0.5 + 0.0 + 1.0) / 4))
    assert found.nats == pytest.approx((0 + 0 + 4 - 3) / 4)
