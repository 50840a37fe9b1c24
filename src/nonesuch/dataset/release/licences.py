"""Licence terms: what is known of the usual ones, and which of them one dataset cannot carry together.

A rule of thumb for the terms below, not legal advice. A text that names anything else is unknown: it is carried as it
is, and nothing is concluded from it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

ATTRIBUTION, SHARE_ALIKE = "attribution", "share-alike"
NON_COMMERCIAL, RESEARCH = "non-commercial", "research only"
NO_DERIVATIVES, RESTRICTED = "no derivatives", "restricted uses"
PERMISSIVE, UNKNOWN, NOT_RECORDED = "permissive", "unknown", "not recorded"

# Name of the family, what it demands of what is made with it, and the licences that belong to it. Spaces and
# underscores are hyphens here.
_FAMILIES: tuple[tuple[str, frozenset[str], str], ...] = (
    (
        PERMISSIVE,
        frozenset(),
        r"cc0(-1\.0)?|public-domain|unlicense|0bsd|mit(-0)?|isc|bsd(-[234]-clause)?|apache(-license)?(-2\.0)?|zlib"
        r"|pddl(-1\.0)?|cdla-permissive-[12]\.0|boost-software-license|bsl-1\.0",
    ),
    (ATTRIBUTION, frozenset({ATTRIBUTION}), r"cc-by(-\d\.\d)?|odc-by(-1\.0)?"),
    (SHARE_ALIKE, frozenset({ATTRIBUTION, SHARE_ALIKE}), r"cc-by-sa(-\d\.\d)?|odbl(-1\.0)?|cdla-sharing-1\.0"),
    (NON_COMMERCIAL, frozenset({NON_COMMERCIAL}), r"non-?commercial(-use)?(-only)?"),
    ("attribution, non-commercial", frozenset({ATTRIBUTION, NON_COMMERCIAL}), r"cc-by-nc(-\d\.\d)?"),
    (
        "non-commercial, share-alike",
        frozenset({ATTRIBUTION, NON_COMMERCIAL, SHARE_ALIKE}),
        r"cc-by-nc-sa(-\d\.\d)?",
    ),
    (NO_DERIVATIVES, frozenset({NO_DERIVATIVES}), r"cc-by(-nc)?-nd(-\d\.\d)?"),
    (
        "non-commercial research only",
        frozenset({NON_COMMERCIAL, RESEARCH}),
        r"non-?commercial-research(-use)?(-only)?",
    ),
    (RESEARCH, frozenset({RESEARCH}), r"research(-use)?(-only)?"),
    (RESTRICTED, frozenset({RESTRICTED}), r"(creativeml-|bigscience-)?open-?rail(\+\+|-m)?"),
)
# Hugging Face's names for licences, by SPDX's.
_ON_THE_HUB = {
    "MIT": "mit", "Apache-2.0": "apache-2.0", "BSD-2-Clause": "bsd-2-clause", "BSD-3-Clause": "bsd-3-clause",
    "ISC": "isc", "Unlicense": "unlicense", "CC0-1.0": "cc0-1.0", "PDDL-1.0": "pddl", "ODbL-1.0": "odbl",
    "ODC-By-1.0": "odc-by", "CDLA-Permissive-2.0": "cdla-permissive-2.0", "CDLA-Sharing-1.0": "cdla-sharing-1.0",
    **{name: name.lower() for name in (
        "CC-BY-2.0", "CC-BY-2.5", "CC-BY-3.0", "CC-BY-4.0", "CC-BY-SA-3.0", "CC-BY-SA-4.0", "CC-BY-NC-2.0",
        "CC-BY-NC-3.0", "CC-BY-NC-4.0", "CC-BY-NC-SA-2.0", "CC-BY-NC-SA-3.0", "CC-BY-NC-SA-4.0")},
}  # fmt: skip


@dataclass(frozen=True)
class Terms:
    """What a licence text means.

    Attributes:
        text: as it is stated.
        families: names of the families that it names, in its order; `UNKNOWN` among them where a part is unknown.
        demands: what these demand of what is made with it.
        alike: licences that what is made with it must be shared under, without their versions.
    """

    text: str
    families: tuple[str, ...]
    demands: frozenset[str]
    alike: frozenset[str]

    @property
    def known(self) -> bool:
        """Whether every part of the text is known."""
        return UNKNOWN not in self.families


def read_terms(text: str) -> Terms:
    """The terms that a licence text names.

    Remarks in brackets are left out; parts stand between commas, semicolons or "and".
    """
    plain = re.sub(r"\([^)]*\)", " ", text.lower())
    parts = [re.sub(r"[\s_-]+", "-", part.strip()) for part in re.split(r"[,;]|\sand\s", plain)]
    families: list[str] = []
    demands: set[str] = set()
    alike: set[str] = set()
    for part in filter(None, parts):
        for name, wanted, pattern in _FAMILIES:
            if re.fullmatch(pattern, part):
                families.append(name)
                demands |= wanted
                if SHARE_ALIKE in wanted:
                    alike.add(re.sub(r"-\d\.\d$", "", part))
                break
        else:
            families.append(UNKNOWN)
    return Terms(text, tuple(families or [UNKNOWN]), frozenset(demands), frozenset(alike))


def conflict(first: Terms, second: Terms) -> str:
    """Why one dataset cannot carry both terms, in words; "" where nothing known speaks against it."""
    for one, other in ((first, second), (second, first)):
        if NO_DERIVATIVES in one.demands:
            return f"{one.text} allows nothing that is made from it to be shared"
        if one.alike and (added := sorted(other.demands - one.demands)):
            return f"{one.text} asks for the same terms, without {other.text}'s '{added[0]}'"
    if first.alike and second.alike and first.alike != second.alike:
        return f"{first.text} and {second.text} both ask for their own terms"
    return ""


def lost(wished: Terms, terms: Terms) -> str:
    """What a wished licence drops of terms that went in, in words; "" where it keeps them."""
    if wished.text.strip().lower() == terms.text.strip().lower():
        return ""
    if terms.demands and not wished.known:
        return "is not known here, so nobody can tell whether it keeps them"
    if not terms.alike <= wished.alike:
        return "is another licence than they ask for"
    dropped = sorted(terms.demands - wished.demands)
    return f"drops '{dropped[0]}'" if dropped else ""


def together(stated: Sequence[str]) -> str:
    """The licence of what carries all of these terms, which do not conflict: each text that adds a demand, once.

    Texts that are not known are named too. Where nothing is demanded, the first text stands for all.
    """
    terms = [read_terms(text) for text in dict.fromkeys(stated)]
    chosen: list[Terms] = []
    for item in terms:
        rest = frozenset[str]().union(*(other.demands for other in chosen if other.known))
        if item.known and item.demands <= rest:
            continue
        chosen = [other for other in chosen if not (other.known and item.known and other.demands <= item.demands)]
        chosen.append(item)
    return "; ".join(item.text for item in chosen) or stated[0]


def spdx(text: str) -> str:
    """SPDX's name of a licence, "" where the text is none of the usual ones."""
    return next((name for name in _ON_THE_HUB if name.lower() == text.strip().lower()), "")


def on_the_hub(text: str) -> str:
    """Hugging Face's name of a licence; "other" where it has none."""
    return _ON_THE_HUB.get(spdx(text), "other")
