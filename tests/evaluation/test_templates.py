"""Templates by hand and by brute force, and metadata files that are wrong."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_curve

from nonesuch.core.errors import NonesuchError
from nonesuch.evaluation.ijb import template_benchmark
from nonesuch.evaluation.probes import Embedded
from nonesuch.evaluation.templates import template_vectors
from nonesuch.formats.readers import find
from nonesuch.measures.similarity import normalised

TEMPLATES, WIDTH = 80, 8


def test_templates_by_hand() -> None:
    embeddings = np.array([[1, 0], [3, 0], [0, 4], [5, 0], [0, 1]], dtype=np.float32)
    numbers, vectors = template_vectors(embeddings, np.array([9, 9, 9, 2, 2]), np.array([1, 1, 2, 1, 1]))
    assert numbers.tolist() == [2, 9]
    # Template 9: a video (1 0, 3 0 -> 2 0) and a photograph 0 4; template 2: one medium of two.
    expected = [np.array([2.5, 0.5]), np.array([2.0, 4.0])]
    assert np.allclose(vectors, [row / np.linalg.norm(row) for row in expected])
    with pytest.raises(NonesuchError, match="sum to zero"):
        template_vectors(np.array([[1, 0], [-1, 0]], np.float32), np.zeros(2, int), np.arange(2))
    with pytest.raises(NonesuchError, match="NaN"):
        template_vectors(np.array([[np.nan, 0]], np.float32), np.zeros(1, int), np.zeros(1, int))


class _Ijb:
    """Images, metadata files and embeddings of 80 templates of 16 people, 10 of them in gallery G1, 4 in G2."""

    def __init__(self, folder: Path) -> None:
        draws = np.random.default_rng(3)
        self.images, self.meta = folder / "loose_crop", folder / "meta"
        self.images.mkdir()
        self.meta.mkdir()
        self.people = np.concatenate([np.arange(16), draws.integers(0, 16, TEMPLATES - 16)])
        self.numbers = draws.permutation(900)[:TEMPLATES] + 1
        self.lines = [
            (f"{number}.jpg", template, draws.integers(1, 3) + 10 * template)
            for number, template in enumerate(np.repeat(np.arange(TEMPLATES), 4), start=1)
        ]
        for name, _, _ in self.lines:
            Image.new("RGB", (8, 8)).save(self.images / name)
        centres = draws.normal(size=(16, WIDTH))
        of_image = self.people[[template for _, template, _ in self.lines]]
        raw = centres[of_image] + 2.0 * draws.normal(size=(len(of_image), WIDTH))
        raw[self.rows(7)] = 0.0  # a template without a face
        raw[self.rows(3)[:2]] = 0.0
        self.raw = raw.astype(np.float32)
        listed = [f"{name} {self.numbers[template]} {medium}" for name, template, medium in self.lines]
        (self.meta / "ijbc_face_tid_mid.txt").write_text("\n".join(draws.permutation(listed)))
        self.pairs = [(a, b) for a in range(TEMPLATES) for b in range(a)]
        labels = [int(self.people[a] == self.people[b]) for a, b in self.pairs]
        text = [
            f"{self.numbers[a]} {self.numbers[b]} {label}" for (a, b), label in zip(self.pairs, labels, strict=True)
        ]
        (self.meta / "ijbc_template_pair_label.txt").write_text("\n".join(text))
        self.galleries = {"gallery_G1": range(10), "gallery_G2": range(12, 16)}
        for name, templates in (*self.galleries.items(), ("probe_mixed", range(16, TEMPLATES))):
            rows = [f"{self.numbers[t]},{self.people[t]},img/{t}.jpg,0,1" for t in templates for _ in range(4)]
            header = "TEMPLATE_ID,SUBJECT_ID,FILENAME,SIGHTING_ID,FACE_X"
            (self.meta / f"ijbc_1N_{name}.csv").write_text("\n".join([header, *rows]))

    def rows(self, template: int) -> list[int]:
        return [row for row, line in enumerate(self.lines) if line[1] == template]

    def vectors(self) -> list[np.ndarray | None]:
        found: list[np.ndarray | None] = []
        for template in range(TEMPLATES):
            rows = [row for row in self.rows(template) if self.raw[row].any()]
            media: dict[int, list[np.ndarray]] = {}
            for row in rows:
                media.setdefault(self.lines[row][2], []).append(self.raw[row])
            total = np.sum([np.mean(frames, axis=0) for frames in media.values()], axis=0)
            found.append(total / np.linalg.norm(total) if rows else None)
        return found


@pytest.fixture
def ijb(tmp_path: Path) -> _Ijb:
    return _Ijb(tmp_path)


def test_templates_by_brute_force(ijb: _Ijb) -> None:
    test = template_benchmark(find(ijb.images), ijb.meta)
    by_name = {name: ijb.raw[row] for row, (name, _, _) in enumerate(ijb.lines)}
    raw = np.stack([by_name[photograph.name] for photograph in test.photographs])
    figures = test.figures(Embedded(normalised(raw), np.linalg.norm(raw, axis=1)))

    vectors = ijb.vectors()

    def cosine(a: int, b: int) -> float:
        first, second = vectors[a], vectors[b]
        return -1.0 if first is None or second is None else float(first @ second)

    scores = np.array([cosine(a, b) for a, b in ijb.pairs])
    mated = np.array([ijb.people[a] == ijb.people[b] for a, b in ijb.pairs])
    false_match, true_match, _ = roc_curve(mated, scores, drop_intermediate=False)
    assert list(figures["tar"]) == ["0.1", "0.01", "0.001"]  # 2,900 non-mated comparisons resolve no finer rate
    for rate in (0.1, 0.01, 0.001):
        assert figures["tar"][f"{rate:g}"]["value"] == pytest.approx(true_match[false_match <= rate].max())
    at = np.argmin(np.abs(false_match - (1 - true_match)))
    assert figures["eer"]["value"] == pytest.approx((false_match[at] + 1 - true_match[at]) / 2)
    assert (figures["mated"], figures["non_mated"]) == (mated.sum(), (~mated).sum())
    assert figures["templates_refused"] == 1

    of_each = []
    for gallery in ijb.galleries.values():
        known, alarms = [], []
        for probe in range(16, TEMPLATES):
            others = [cosine(probe, t) for t in gallery if ijb.people[t] != ijb.people[probe]]
            own = [t for t in gallery if ijb.people[t] == ijb.people[probe]]
            if own:
                refused = vectors[probe] is None or vectors[own[0]] is None
                known.append((99 if refused else 1 + sum(o >= cosine(probe, own[0]) for o in others), probe, own[0]))
            else:
                alarms.append(max(others))
        threshold = sorted(alarms)[-1 - int(0.1 * len(alarms))]
        of_each.append(
            {
                **{k: np.mean([rank <= k for rank, _, _ in known]) for k in (1, 5, 10)},
                "tpir": np.mean([rank == 1 and cosine(probe, own) > threshold for rank, probe, own in known]),
            }
        )
    for k in (1, 5, 10):
        assert figures["rank"][str(k)]["value"] == pytest.approx(np.mean([part[k] for part in of_each]))
    assert figures["rank"]["10"]["value"] < 1.0  # template 7 cannot be found in a gallery of ten
    assert figures["tpir"]["0.1"]["value"] == pytest.approx(np.mean([part["tpir"] for part in of_each]))
    assert [part["templates"] for part in figures["galleries"]] == [10, 4]


def test_one_to_one_alone_and_one_to_many_alone(ijb: _Ijb) -> None:
    def keys() -> set[str]:
        test = template_benchmark(find(ijb.images), ijb.meta)
        draws = np.random.default_rng(0)
        raw = draws.normal(size=(len(test.photographs), WIDTH)).astype(np.float32)
        return set(test.figures(Embedded(normalised(raw), np.linalg.norm(raw, axis=1))))

    for path in ijb.meta.glob("*_1N_*"):
        path.rename(ijb.meta.parent / path.name)
    assert {"eer", "tar"} <= keys()
    assert "rank" not in keys()
    for path in ijb.meta.parent.glob("*_1N_*"):
        path.rename(ijb.meta / path.name)
    (ijb.meta / "ijbc_template_pair_label.txt").unlink()
    assert {"rank", "tpir"} <= keys()
    assert "eer" not in keys()


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("ijbc_face_tid_mid.txt", None, r"no \*_face_tid_mid\.txt there"),
        ("ijbc_face_tid_mid.txt", "", "the file is empty"),
        ("ijbc_face_tid_mid.txt", "1.jpg 1 1\n2.jpg 1\n", "line 2 is not 'image template medium'"),
        ("ijbc_face_tid_mid.txt", "1.jpg one 1\n", "line 1 is not 'image template medium'"),
        ("ijbc_face_tid_mid.txt", "999.jpg 1 1\n", r"999\.jpg is not among the images"),
        ("ijbc_face_tid_mid.txt", "1.jpg 9999 1\n", r"has no images in \*_face_tid_mid\.txt"),
        ("ijbb_face_tid_mid.txt", "1.jpg 1 1\n", "are both there"),
        ("ijbc_template_pair_label.txt", "", "not lines of 'template template label'"),
        ("ijbc_template_pair_label.txt", "1 2\n", "not lines of 'template template label'"),
        ("ijbc_template_pair_label.txt", "1 2 x\n", "not lines of 'template template label'"),
        ("ijbc_template_pair_label.txt", "1 2 7\n", "with a label of 1 or 0"),
        ("ijbc_template_pair_label.txt", "98765 98765 1\n98765 98766 0", "template 98765 has no images"),
        ("ijbc_template_pair_label.txt", "98765 98765 1\n", "all comparisons are mated"),
        ("ijbc_1N_probe_mixed.csv", None, r"no \*_1N_probe_mixed\.csv there"),
        ("ijbc_1N_gallery_G1.csv", "a,b\n1,2\n", "lacks the columns TEMPLATE_ID and SUBJECT_ID"),
        ("ijbc_1N_gallery_G1.csv", "TEMPLATE_ID,SUBJECT_ID\n", "lists no templates"),
        ("ijbc_1N_gallery_G1.csv", "TEMPLATE_ID,SUBJECT_ID\n1\n", "line 2 has no template and subject numbers"),
        ("ijbc_1N_gallery_G1.csv", "TEMPLATE_ID,SUBJECT_ID\n5,1\n5,2\n", "template 5 is of two subjects"),
        ("ijbc_name_5pts_score.txt", "1.jpg 1 2 3\n", "line 1 is not a name with five points"),
        ("ijbc_name_5pts_score.txt", "1.jpg 1 2 3 4 5 6 7 8 9 10 0.9\n", "319 of 320 images have no landmarks"),
    ],
)
def test_wrong_metadata(ijb: _Ijb, file: str, text: str | None, message: str) -> None:
    if text is None:
        (ijb.meta / file).unlink()
    else:
        (ijb.meta / file).write_text(text)
    with pytest.raises(NonesuchError, match=message):
        template_benchmark(find(ijb.images), ijb.meta)


def test_a_folder_without_any_test(ijb: _Ijb) -> None:
    for path in ijb.meta.iterdir():
        if "tid_mid" not in path.name:
            path.unlink()
    with pytest.raises(NonesuchError, match="neither"):
        template_benchmark(find(ijb.images), ijb.meta)
