"""Cleaning in blocks and from columns gives what it gives at once and from a list."""

from pathlib import Path

import numpy as np
import pytest

from nonesuch.cleaning import clusters
from nonesuch.cleaning.answers import IMAGE, PEOPLE, PICTURE, Answer, Answered
from nonesuch.cleaning.cast import Settled, clean
from nonesuch.cleaning.cleaned_set import CleanedSet, clean_set
from nonesuch.cleaning.features import Features
from nonesuch.cleaning.uncertain import Thresholds, uncertain
from nonesuch.formats import relabelling
from nonesuch.formats.photographs import Photograph
from nonesuch.formats.readers import find
from nonesuch.formats.shard_rows import ShardRows
from nonesuch.measures.similarity import normalised
from tests.made_dataset import make_dataset

LIMITS = Thresholds(0.5, 0.8, 0.95)
PEOPLE_COUNT, IMAGES = 40, 5


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of ours of 40 people with 5 images each, all of which are one image."""
    folder = tmp_path_factory.mktemp("scale") / "faces"
    make_dataset(folder, PEOPLE_COUNT * IMAGES, IMAGES, 50)
    return folder


def _planted() -> tuple[Features, np.ndarray]:
    """What networks would have seen: ten wrong images, three strangers, a split person and six copies."""
    draws = np.random.default_rng(3)
    labels = np.repeat(np.arange(PEOPLE_COUNT), IMAGES)
    person = labels.copy()
    person[labels == 31] = 30
    wrong = draws.choice(150, 10, replace=False)
    person[wrong] = (person[wrong] + 7) % 30
    centres = normalised(draws.normal(size=(PEOPLE_COUNT, 64)).astype(np.float32))
    vectors = centres[person] + 0.4 * draws.normal(size=(len(labels), 64)).astype(np.float32) / 8
    vectors[[151, 158, 199]] = draws.normal(size=(3, 64))
    hashes = draws.integers(0, 2**63, (len(labels), 19), dtype=np.uint64)
    for row in range(162, 192, 5):
        vectors[row], hashes[row] = vectors[row - 1], hashes[row - 1]
    return Features(np.arange(len(labels)), normalised(vectors), hashes, {}), labels


def _whole(photographs: "list[Photograph] | ShardRows", found: Features, answers: list[Answer]) -> tuple[object, ...]:
    result = clean_set(photographs, found, LIMITS, answers, 10)
    cases = uncertain(found.vectors, result.cleaned, result.pairs, LIMITS, result.answered, 50)
    return result.cleaned.decisions, result.doubles, cases, list(result.labels()), result.numbers


def _asked(result: CleanedSet) -> list[Answer]:
    names, people = [item.name for item in result.photographs], result.identities
    said = [
        (IMAGE, names[3], people[0], True),
        (PEOPLE, people[4], people[5], False),
        (PICTURE, *names[161:163], False),
    ]
    return [Answer(*answer, Path("said")) for answer in said]


def test_columns_and_a_list_are_cleaned_alike(faces: Path) -> None:
    photographs = find(faces)
    assert isinstance(photographs, ShardRows)
    found, _ = _planted()
    answers = _asked(clean_set(photographs, found, LIMITS, [], 10))
    for told in ([], answers):
        by_columns, by_list = _whole(photographs, found, told), _whole(list(photographs), found, told)
        assert by_columns == by_list
    decisions, doubles, *_ = _whole(photographs, found, [])
    assert {decision.image for decision in decisions if decision.action == "drop"} == {151, 158, 199}
    assert sum(decision.action == "move" for decision in decisions) == 10
    assert {(d.before, d.after) for d in decisions if d.action == "merge"} == {(31, 30)}
    assert [double.image for double in doubles] == list(range(162, 192, 5))


def test_small_blocks_change_nothing(faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, labels = _planted()

    def seen() -> tuple[object, ...]:
        cleaned = clean(found.vectors, labels, LIMITS.same, LIMITS.merge, settled=Settled(refused=frozenset({(7, 1)})))
        cases = uncertain(found.vectors, cleaned, [], LIMITS, Answered(), 40)
        decisions = [(d.round, d.image, d.action, d.before, d.after, round(d.cosine, 5)) for d in cleaned.decisions]
        return decisions, [(c.question, c.one, c.other, round(c.margin, 5), c.decided) for c in cases]

    whole = seen()
    for numbers in (1, 100, 300):
        monkeypatch.setattr(clusters, "_NUMBERS", numbers)
        assert seen() == whole


def test_the_nearest_of_all_are_asked_about() -> None:
    """Against every link and every pair of identities, compared one by one."""
    found, labels = _planted()
    cleaned = clean(found.vectors, labels, LIMITS.same, LIMITS.merge)
    cosine = found.vectors.astype(np.float64) @ found.vectors.T.astype(np.float64)
    now, changed = cleaned.identities, {d.image for d in cleaned.decisions if d.action != "merge"}
    expected = []
    for image in range(len(now)):
        others = [other for other in np.flatnonzero(now == now[image]) if other != image]
        if now[image] >= 0 and others and image not in changed:
            expected.append(("it stays", abs(max(cosine[image, others]) - LIMITS.same), image, now[image]))
    means = {name: found.vectors[now == name].mean(0, dtype=np.float64) for name in np.unique(now[now >= 0])}
    unit = {name: mean / np.linalg.norm(mean) for name, mean in means.items()}
    for one in unit:
        for other in unit:
            if one < other and (near := unit[one] @ unit[other]) < LIMITS.merge:
                expected.append(("they stay apart", LIMITS.merge - near, one, other))
    expected.sort(key=lambda case: case[1])
    for most in (1, 12, 60):
        cases = uncertain(found.vectors, cleaned, [], LIMITS, Answered(), 10_000)
        stays = [(c.decided, c.one, c.other) for c in cases if c.decided in ("it stays", "they stay apart")]
        assert stays[:most] == [(words, one, other) for words, _, one, other in expected[:most]]
        few = uncertain(found.vectors, cleaned, [], LIMITS, Answered(), most)
        assert few == cases[:most]


def test_the_manifest_is_written_in_parts(faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relabelling.listing, "BATCH", 30)
    found, _ = _planted()
    result = clean_set(find(faces), found, LIMITS, [], 10)
    relabelling.write(tmp_path / "cleaned.parquet", faces, result.labels(), {})
    kept = find(tmp_path / "cleaned.parquet")
    names = [item.name for item in find(faces)]
    expected = [(names[row], result.identities[label]) for row, label in enumerate(result.after) if label >= 0]
    assert [(item.name, item.identity) for item in kept] == expected
    assert len(expected) == PEOPLE_COUNT * IMAGES - 3 - 6
