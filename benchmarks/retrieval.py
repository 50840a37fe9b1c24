"""Does FLIP find the face that a caption describes, and the caption of a face? Beside a bag of attributes, and chance.

    python benchmarks/retrieval.py --celeba celeba112.tar --captions celeba.parquet [--model FILE ...]
        [--queries benchmarks/queries.csv] [--rerank 32]

The candidates are CelebA's test part (1,153 photographs of 58 people), one caption each, from the table of
`nonesuch caption celeba112.tar --labels celeba112.csv.gz --least 1`. Captions of equal facts count as hits. The bag of
attributes asks the perceiver how probable a caption's facts are: every attribute of the 40 that is stated, and the
absence of those that are not. The untrained model is the first one's network with fresh weights.

--queries are free-worded, each with the attributes that a fair judge would want to see, and were written apart from
the grammars that FLIP learned from. Precision is that among the first ten photographs.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from nonesuch import load_perceiver
from nonesuch.captions.facts import names
from nonesuch.core import tables
from nonesuch.flip.model import FlipModel
from nonesuch.flip.network import Flip
from nonesuch.language.captioned_images import CaptionedImages, read_captioned
from nonesuch.measures.ranking import ceiling_at, chance_at, precision_at, recall_at
from nonesuch.models import create_model, load_flip
from nonesuch.perception.attributes import ATTRIBUTES

console = Console(highlight=False, width=120)
_DENIALS = {"female": "male", "mature": "young", "not_smiling": "smiling", "mouth_closed": "mouth_slightly_open"}
_DENIALS |= {"no_glasses": "eyeglasses", "over_60": "young"}
_SURE = 1e-3  # no probability counts as surer


def bag(probabilities: NDArray[np.float64], facts: list[set[str]]) -> NDArray[np.float64]:
    """(T, I) log-likelihood of what captions say of the 40 attributes, by (I, 40) probabilities."""
    p = probabilities.clip(_SURE, 1.0 - _SURE)
    states = np.zeros((len(facts), len(ATTRIBUTES)), dtype=bool)
    for row, held in enumerate(facts):
        states[row] = [name in held for name in ATTRIBUTES]
    return states @ np.log(p).T + ~states @ np.log(1.0 - p).T


def stated_only(probabilities: NDArray[np.float64], facts: list[set[str]]) -> NDArray[np.float64]:
    """The same of what is stated, or stated to be absent, alone."""
    p = probabilities.clip(_SURE, 1.0 - _SURE)
    place = {name: number for number, name in enumerate(ATTRIBUTES)}
    sides = np.concatenate([np.log(p), np.log(1.0 - p)], axis=1)
    weights = np.zeros((len(facts), sides.shape[1]))
    for row, held in enumerate(facts):
        for name in held:
            if name in place:
                weights[row, place[name]] = 1.0
            elif name in _DENIALS:
                weights[row, len(place) + place[_DENIALS[name]]] = 1.0
    return weights @ sides.T


def shown(figures: dict[int, float]) -> list[str]:
    """Cells of a table."""
    return [f"{value:.1%}" for value in figures.values()]


def judged_best(
    model: FlipModel, texts: list[str], places: torch.Tensor, cosines: NDArray[np.float32], most: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]:
    """(T, I) logits of the judge of pairs for the best `most` of each row and of each column, -100 elsewhere; and which
    are the best of each row, and of each column."""
    wanted = np.zeros(cosines.shape, dtype=bool)
    np.put_along_axis(wanted, np.argsort(-cosines, axis=1)[:, :most], True, axis=1)
    columns = np.zeros(cosines.shape, dtype=bool)
    np.put_along_axis(columns, np.argsort(-cosines, axis=0)[:most], True, axis=0)
    rows, images = np.nonzero(wanted | columns)
    judged = np.full(cosines.shape, -100.0, dtype=np.float32)
    judged[rows, images] = model.matches([texts[row] for row in rows], places[images])
    return judged, wanted, columns


def table_of(rows: list[tuple[str, dict[int, float], dict[int, float]]]) -> Table:
    table = Table("", *(f"text {k}" for k in ("R@1", "R@5", "R@10")), *(f"image {k}" for k in ("R@1", "R@5", "R@10")))
    for name, of_images, of_texts in rows:
        table.add_row(name, *shown(of_images), *shown(of_texts))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--celeba", type=Path, required=True)
    parser.add_argument("--captions", type=Path, required=True)
    parser.add_argument("--model", nargs="+", default=["flip_small"])
    parser.add_argument("--queries", type=Path, default=Path(__file__).parent / "queries.csv")
    parser.add_argument("--rerank", type=int, default=32)
    options = parser.parse_args()
    test = read_captioned([options.celeba], [options.captions], "test")
    crops = np.stack([photograph.read_crop() for photograph in test.photographs])
    perceived = load_perceiver().perceive(crops)
    probabilities = np.stack([perceived[name] for name in ATTRIBUTES], axis=1).astype(np.float64)
    _, groups = np.unique(test.facts, return_inverse=True)
    hits = groups[:, None] == groups[None, :]
    facts = [set(names(int(held))) for held in test.facts]
    rows = [("chance", chance_at(hits), chance_at(hits))]
    models = [load_flip(name) for name in options.model]
    torch.manual_seed(0)
    first = models[0]
    untrained = create_model(first.card.architecture, **first.card.sizes).eval()
    assert isinstance(untrained, Flip)
    fresh = FlipModel(first.card, untrained, first.embedder, first.device)
    found = {}
    for name, model in [("untrained", fresh), *zip(options.model, models, strict=True)]:
        places = model.encode_images(crops)
        cosines = model.text_vectors(test.captions) @ model.vectors_of(places).T
        rows.append((f"{name}, ITC", recall_at(cosines.T, hits), recall_at(cosines, hits)))
        found[name] = model, places
        if options.rerank and model is not fresh:
            judged, of_texts, of_images = judged_best(model, test.captions, places, cosines, options.rerank)
            # As published the logit counts beside the cosine itself; beside the cosine's own logit both are evidence.
            for how, weight in (("re-ranked", 1.0), ("logits added", 1.0 / float(model.network.temp))):
                scores = judged + weight * cosines
                by_text, by_image = (np.where(kept, scores, cosines - 1e3) for kept in (of_texts, of_images))
                rows.append((f"{name}, {how}", recall_at(by_image.T, hits), recall_at(by_text, hits)))
    for name, judge in (("bag of attributes", bag), ("bag, stated ones", stated_only)):
        scores = judge(probabilities, facts)
        rows.append((name, recall_at(scores.T, hits), recall_at(scores, hits)))
    rows.append(("ceiling, where only the own one counts", ceiling_at(groups), ceiling_at(groups)))
    console.print(
        f"{len(crops):,} candidates, {len(np.unique(groups)):,} different facts; `text` finds an image's text"
    )
    console.print(table_of(rows))
    free_words(options, test, found, probabilities)


def free_words(
    options: argparse.Namespace, test: CaptionedImages, found: dict, probabilities: NDArray[np.float64]
) -> None:
    """Precision among the first ten of each free-worded query, judged by the labels."""
    with options.queries.open(encoding="utf-8") as handle:
        asked = list(csv.DictReader(handle))
    truth = label_columns(options.celeba.with_suffix(".csv.gz"), [photograph.name for photograph in test.photographs])
    hits = np.stack([judged_hits(row["condition"], truth) for row in asked])
    table = Table("60 free-worded queries", "P@10", "share of queries with none", "a hit first")
    base = hits.mean(1)
    table.add_row("chance", f"{base.mean():.1%}", "", f"{base.mean():.1%}")
    known = np.stack([wish_scores(row["condition"], probabilities) for row in asked])
    scored = {"the judge's own attributes, by the perceiver": known}
    for name, (model, places) in found.items():
        scored[name] = model.text_vectors([row["query"] for row in asked]) @ model.vectors_of(places).T
    for name, scores in scored.items():
        ten = precision_at(scores, hits, 10)
        table.add_row(
            name, f"{ten.mean():.1%}", f"{(ten == 0).mean():.1%}", f"{precision_at(scores, hits, 1).mean():.1%}"
        )
    console.print(table)
    last = scored[options.model[0]]
    each = Table("query", "condition", "images", "P@10")
    for row, mask, right in zip(asked, hits, precision_at(last, hits, 10), strict=True):
        each.add_row(row["query"], row["condition"], str(mask.sum()), f"{right:.0%}")
    console.print(each)


def label_columns(path: Path, wanted: list[str]) -> dict[str, NDArray[np.bool_]]:
    """CelebA's attributes of these photographs, in lower case."""
    columns = {name.lower(): name for name in tables.column_names(path)}
    found = tables.read_columns(path, ["file"], numbers=[columns[name] for name in ATTRIBUTES])
    row = {name: place for place, name in enumerate(found["file"])}
    order = [row[name] for name in wanted]
    return {name: np.array(found[columns[name]], dtype=float)[order] > 0.5 for name in ATTRIBUTES}


def judged_hits(condition: str, truth: dict[str, NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """Which photographs fulfil a condition: all its parts, of each one alternative."""
    held = np.ones(len(next(iter(truth.values()))), dtype=bool)
    for part in condition.split():
        either = np.zeros_like(held)
        for name in part.split("|"):
            either |= ~truth[name[1:]] if name.startswith("-") else truth[name]
        held &= either
    return held


def wish_scores(condition: str, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """The log-probability of a condition by the perceiver, as if it had understood the query."""
    place = {name: number for number, name in enumerate(ATTRIBUTES)}
    total = np.zeros(len(probabilities))
    for part in condition.split():
        missing = np.ones(len(probabilities))
        for name in part.split("|"):
            p = probabilities[:, place[name.removeprefix("-")]]
            missing *= p if name.startswith("-") else 1.0 - p
        total += np.log((1.0 - missing).clip(_SURE))
    return total


if __name__ == "__main__":
    main()
