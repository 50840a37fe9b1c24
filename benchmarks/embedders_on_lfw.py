"""How good are the two shipped embedders on real faces, and which cosine gives which FMR?

    python benchmarks/embedders_on_lfw.py lfw112.tar lfw_pairs.txt

lfw112.tar holds all 13,233 LFW images as aligned 112x112 crops; lfw_pairs.txt is the official View 2. Thresholds are
from all pairs of all images. Accuracy is measured as usual: ten folds, the threshold chosen on nine and measured on the
tenth, no flip. The figures are those of the embedders' cards.
"""

import sys
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from nonesuch import load_embedder
from nonesuch.core.allocator import keep_memory
from nonesuch.formats.readers import find
from nonesuch.identities.embedding import embed_each
from nonesuch.measures.metrics import equal_error_rate
from nonesuch.measures.similarity import normalised

RATES = (1e-3, 1e-4, 1e-5)


def view2_accuracy(vectors: dict[str, np.ndarray], pairs: Path) -> float:
    lines = [line.split("\t") for line in pairs.read_text().splitlines()[1:]]
    scores, same = [], []
    for line in lines:
        first, one, second, two = line if len(line) == 4 else (line[0], line[1], line[0], line[2])
        names = [f"{person}/{person}_{int(number):04d}.jpg" for person, number in ((first, one), (second, two))]
        scores.append(float(vectors[names[0]] @ vectors[names[1]]))
        same.append(len(line) == 3)
    score, mated = np.array(scores).reshape(10, -1), np.array(same).reshape(10, -1)
    accuracies = []
    for fold in range(10):
        others = np.arange(10) != fold
        thresholds = np.unique(score[others])
        correct = [((score[others] >= threshold) == mated[others]).mean() for threshold in thresholds]
        best = thresholds[int(np.argmax(correct))]
        accuracies.append(((score[fold] >= best) == mated[fold]).mean())
    return float(np.mean(accuracies))


def all_pairs(unit: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cosines of mated pairs, and of non-mated pairs."""
    mated, non_mated = [], []
    for start in range(0, len(unit), 1000):
        rows = slice(start, start + 1000)
        cosines = unit[rows] @ unit.T
        later = np.arange(len(unit)) > np.arange(start, start + len(cosines))[:, None]
        same = labels[rows, None] == labels
        mated.append(cosines[later & same])
        non_mated.append(cosines[later & ~same])
    return np.concatenate(mated), np.concatenate(non_mated)


def main() -> None:
    keep_memory()
    photographs = find(Path(sys.argv[1]))
    labels = np.unique([photograph.identity for photograph in photographs], return_inverse=True)[1]
    table = Table(
        "embedder", "View 2", "mated", "non-mated (sd)", "EER", *[f"cosine at FMR {r:g} (TAR)" for r in RATES]
    )
    for name in ("mobilefacenet", "dlib_resnet"):
        embedder = load_embedder(name, "cpu")
        results = list(embed_each(photographs, embedder, None))
        unit = normalised(np.stack([result.vector for result in results if result.vector is not None]))
        named = {photograph.name: row for photograph, row in zip(photographs, unit, strict=True)}
        mated, non_mated = all_pairs(unit, labels)
        thresholds = np.quantile(non_mated, [1 - rate for rate in RATES])
        table.add_row(
            name,
            f"{view2_accuracy(named, Path(sys.argv[2])):.2%}",
            f"{mated.mean():.3f}",
            f"{non_mated.mean():.3f} ({non_mated.std():.3f})",
            f"{equal_error_rate(mated, non_mated):.2%}",
            *[f"{threshold:.3f} ({(mated >= threshold).mean():.1%})" for threshold in thresholds],
        )
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
