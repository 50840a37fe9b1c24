"""What licence texts mean, and which of them contradict each other, against a table written by hand."""

import re

import pytest

from nonesuch.dataset.release.ledger import shipped_cards
from nonesuch.dataset.release.licences import conflict, lost, on_the_hub, read_terms, spdx, together
from tests.test_docs import ROOT


@pytest.mark.parametrize(
    ("text", "families"),
    [
        ("MIT", ["permissive"]),
        ("MIT (as its npm package states)", ["permissive"]),
        ("CC0-1.0 (placed in the public domain by its author, Davis King)", ["permissive"]),
        ("Apache-2.0", ["permissive"]),
        ("CC BY 4.0", ["attribution"]),
        ("CC_BY_SA_4.0", ["share-alike"]),
        ("ODbL-1.0", ["share-alike"]),
        ("CC-BY-NC-4.0", ["attribution, non-commercial"]),
        ("CC-BY-NC-SA-3.0", ["non-commercial, share-alike"]),
        ("CC-BY-NC-ND-4.0", ["no derivatives"]),
        ("non-commercial research only (LICENSE-WEIGHTS.md)", ["non-commercial research only"]),
        ("noncommercial", ["non-commercial"]),
        ("research use only", ["research only"]),
        ("research and non-commercial use only", ["research only", "non-commercial"]),
        ("MIT, CreativeML OpenRAIL-M", ["permissive", "restricted uses"]),
        ("OpenRAIL++", ["restricted uses"]),
        ("MIT and CC-BY-4.0", ["permissive", "attribution"]),
        ("MIT-like", ["unknown"]),
        ("not MIT", ["unknown"]),
        ("not stated", ["unknown"]),
        ("ask the author; MIT", ["unknown", "permissive"]),
        ("", ["unknown"]),
    ],
)
def test_families(text: str, families: list[str]) -> None:
    assert list(read_terms(text).families) == families


def test_the_terms_of_all_weights_that_ship_are_known() -> None:
    assert all(read_terms(card["licence"]).known for card in shipped_cards().values())


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        ("CC-BY-SA-4.0", "CC-BY-NC-4.0", "'non-commercial'"),
        ("CC-BY-SA-4.0", "CC-BY-NC-SA-4.0", "'non-commercial'"),
        ("CC-BY-SA-4.0", "ODbL-1.0", "their own terms"),
        ("CC-BY-SA-4.0", "OpenRAIL++", "'restricted uses'"),
        ("CC-BY-NC-SA-4.0", "non-commercial research only", "'research only'"),
        ("CC-BY-ND-4.0", "MIT", "made from it"),
        ("CC-BY-SA-4.0", "CC-BY-4.0", ""),
        ("CC-BY-SA-4.0", "CC-BY-SA-3.0", ""),
        ("CC-BY-SA-4.0", "MIT", ""),
        ("CC-BY-NC-SA-4.0", "CC-BY-NC-4.0", ""),
        ("CC-BY-NC-4.0", "non-commercial research only", ""),
        ("CC-BY-SA-4.0", "not stated", ""),  # nothing is concluded from what is not known
    ],
)
def test_conflicts_both_ways(first: str, second: str, why: str) -> None:
    for one, other in ((first, second), (second, first)):
        found = conflict(read_terms(one), read_terms(other))
        assert why in found
        assert bool(found) == bool(why)


@pytest.mark.parametrize(
    ("wished", "stated", "why"),
    [
        ("MIT", "non-commercial research only", "drops 'non-commercial'"),
        ("CC-BY-NC-4.0", "non-commercial research only", "drops 'research only'"),
        ("MIT", "CC-BY-4.0", "drops 'attribution'"),
        ("CC-BY-NC-SA-4.0", "CC-BY-SA-4.0", "another licence"),
        ("ours", "CC-BY-NC-4.0", "is not known here"),
        ("ours", "MIT", ""),
        ("ours", "ours", ""),
        ("CC-BY-NC-4.0", "CC-BY-4.0", ""),
        ("CC-BY-4.0, non-commercial research only", "non-commercial research only (LICENSE-WEIGHTS.md)", ""),
        ("MIT", "not stated", ""),
    ],
)
def test_a_wished_licence_keeps_every_demand(wished: str, stated: str, why: str) -> None:
    found = lost(read_terms(wished), read_terms(stated))
    assert why in found
    assert bool(found) == bool(why)


@pytest.mark.parametrize(
    ("stated", "whole"),
    [
        (["MIT", "CC0-1.0"], "MIT"),
        (["MIT", "CC-BY-4.0"], "CC-BY-4.0"),
        (["CC-BY-4.0", "CC-BY-NC-4.0", "MIT"], "CC-BY-NC-4.0"),
        (["non-commercial research only", "CC-BY-4.0"], "non-commercial research only; CC-BY-4.0"),
        (["MIT", "whatever"], "whatever"),
        (["CC-BY-4.0", "whatever"], "CC-BY-4.0; whatever"),
    ],
)
def test_what_carries_all_terms(stated: list[str], whole: str) -> None:
    assert together(stated) == whole
    assert all(not lost(read_terms(together(stated)), read_terms(text)) for text in stated if "whatever" not in whole)


def test_names_of_licences_elsewhere() -> None:
    assert (spdx("cc-by-4.0"), on_the_hub("CC-BY-4.0")) == ("CC-BY-4.0", "cc-by-4.0")
    assert (spdx("research only"), on_the_hub("research only")) == ("", "other")


def test_every_weight_file_of_the_package_is_in_the_table_of_its_licences() -> None:
    table = (ROOT / "LICENSE-WEIGHTS.md").read_text()
    for card in shipped_cards().values():
        assert re.search(rf"`{card['name'].removesuffix('.statistics')}`", table), card["name"]
