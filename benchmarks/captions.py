"""Are captions right, consistent and fast? Thresholds, precision and recall, a reading by another parser, speed.

    python benchmarks/captions.py --celeba celeba112.tar [--utkface utkface112.tar --heads FILE --people LIST]

What is stated is compared with the labels of CelebA's test part: by the thresholds that ship, and by a fixed one of
.85 on positive attributes, as FaceCaption-15M has it. Then 100,000 sets of facts are put into words; 2,000 of these
captions are read back by a grammar that shares nothing with the one that wrote them. Last comes the speed of one core.

--published names the captions that CelebA-HQ's authors ship, one a line: the facts of each are put into our words, and
both are compared; --likelihood names a folder of transformers, whose language model says which are more natural. The
reader of these captions is tried on those of CelebA's photographs whose attributes are known.

With --utkface, --heads and --people the thresholds are made first, and written to the package. --heads are perception
heads that were trained as the shipped ones were, but without the people of the list:

    nonesuch train-perceiver RUN --data celeba112.tar --data utkface112.tar --exclude LIST --allow-unknown
"""

import argparse
import resource
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from nonesuch import load_perceiver
from nonesuch.captions.analysis.caption_texts import read_captions
from nonesuch.captions.analysis.naturalness import Texts, compared
from nonesuch.captions.calibrate_captions import seen_scores, true_columns
from nonesuch.captions.facts import FACTS, NAMES, PLACE, as_bits, as_row, bits, consistent, names, settled
from nonesuch.captions.grammar import DRAWS, LANGUAGES, Grammar
from nonesuch.captions.local_model import LocalModel
from nonesuch.captions.reading import Reader
from nonesuch.captions.sentences import SentenceReader
from nonesuch.captions.thresholds import SHIPPED, measured, read_thresholds, truths
from nonesuch.captions.writing import Captioner
from nonesuch.core import tables
from nonesuch.core.allocator import keep_memory
from nonesuch.core.seeding import Stream, uniform_rows
from nonesuch.formats.photographs import read_names
from nonesuch.measures.texts import growth, self_bleu, text_figures
from nonesuch.perception.attributes import ATTRIBUTES
from nonesuch.perception.labels import labelled
from nonesuch.perception.perceiver import Perceiver

PUBLISHED = 0.85
SETS, READ, WRITTEN = 100_000, 2_000, 1_000_000
LANGUAGES_SHOWN = ("english", "german")
console = Console(highlight=False, width=120)


def make_thresholds(options: argparse.Namespace, shipped: Perceiver) -> None:
    """Measure on people whom heads of the same recipe were not trained on, and on UTKFace's held-out part."""
    people = read_names(options.people)
    train = labelled([options.celeba], "train")
    rows = np.flatnonzero([photograph.identity in people for photograph in train.photographs])
    heldout, ages = train.chosen(rows), labelled([options.utkface], "heldout")
    found = np.concatenate([seen_scores(heldout, load_perceiver(options.heads, "cpu")), seen_scores(ages, shipped)])
    parts = [true_columns(part) for part in (heldout, ages)]
    truth = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    about = (
        f"{len(rows):,} images of {len(people):,} people of CelebA's train part, seen by heads that were trained as "
        f"the shipped ones but without these people, and {len(ages.photographs):,} held-out images of UTKFace"
    )
    measured(found, truth, shipped.card.sha256, about).write(SHIPPED)


def precision_and_recall(held: np.ndarray, known: np.ndarray) -> tuple[int, float, float]:
    """Statements on images whose truth is known, the share that is right, the share of true facts that is stated."""
    there = np.isfinite(known)
    said, true = held & there, (known > 0) & there
    count = int(said.sum())
    right = int((said & true).sum())
    return count, right / count if count else float("nan"), right / true.sum() if true.any() else float("nan")


def correctness(celeba: Path, perceiver: Perceiver) -> None:
    """The table of precision and recall on the test part."""
    test = labelled([celeba], "test")
    found, known = seen_scores(test, perceiver), truths(true_columns(test), len(test.photographs))
    thresholds = read_thresholds(SHIPPED, perceiver.card.sha256)
    least = thresholds.at("0.9")
    grammar = Grammar(LANGUAGES / "english.txt")
    ours = settled(
        (found >= [least.get(name, np.inf) for name in NAMES]) & as_row(grammar.can_say), np.nan_to_num(found)
    )
    fixed = np.zeros_like(ours)
    fixed[:, : len(ATTRIBUTES)] = found[:, : len(ATTRIBUTES)] > PUBLISHED
    shown = Table("fact", "share", "stated", "precision", "recall", f"stated at {PUBLISHED}", "precision", "recall")
    for name in (*NAMES, "all", "all of 40 attributes"):
        columns = {
            "all": slice(None),
            "all of 40 attributes": slice(0, len(ATTRIBUTES)),
        }.get(name) or slice(PLACE[name], PLACE[name] + 1)
        cells = []
        for part in (ours, fixed):
            count, precision, recall = precision_and_recall(part[:, columns], known[:, columns])
            cells += [f"{count:,}", f"{precision:.0%}", f"{recall:.0%}"] if count else ["-", "", ""]
        if cells[0] != "-" or cells[3] != "-":
            shown.add_row(name, f"{np.nanmean(known[:, columns]):.0%}", *cells)
    console.print(shown)
    for name, part in (("ours", ours), ("fixed", fixed)):
        counts = part.sum(1)
        console.print(
            f"{name}: {counts.mean():.1f} facts an image, {np.mean(counts >= 6):.0%} of images have six or more"
        )
    denied = found <= [thresholds.most["0.9"].get(name, -np.inf) for name in NAMES]
    count, right, recall = precision_and_recall(denied, 1 - known)
    each = {name: precision_and_recall(denied[:, place], 1 - known[:, place]) for name, place in PLACE.items()}
    low = ", ".join(f"{name} {one[1]:.0%} of {one[0]:,}" for name, one in each.items() if one[1] < 0.9)
    console.print(
        f"{sum(one[0] > 0 for one in each.values())} facts may be denied, {count:,} times: right in {right:.1%}; "
        f"{recall:.0%} of what does not hold is denied. Below 90%: {low or 'none'}"
    )


def drawn_facts(grammar: Grammar, count: int, seed: int) -> list[int]:
    """Consistent sets of facts; the share of facts that hold is drawn for each set."""
    draws = np.random.default_rng(seed)
    held = draws.random((count, len(FACTS))) < draws.random((count, 1))
    held &= as_row(grammar.can_say)
    return as_bits(settled(held, draws.random(held.shape)))


def consistency() -> None:
    """Each fact is stated once, and a second parser reads the same."""
    for language in LANGUAGES_SHOWN:
        grammar, reader = Grammar(LANGUAGES / f"{language}.txt"), Reader(LANGUAGES / f"{language}.lark")
        facts = drawn_facts(grammar, SETS, 0)
        draws = uniform_rows(np.arange(SETS, dtype=np.uint64), Stream.CAPTION, DRAWS)
        wrong = misread = 0
        different = set()
        for place, (held, row) in enumerate(zip(facts, draws.tolist(), strict=True)):
            text, clauses = grammar.say(held, row)
            stated = [name for _, _, part in clauses for name in names(part)]
            wrong += sorted(stated) != sorted(names(held))
            different.add(text)
            if place < READ:
                misread += reader.read(text) != frozenset(names(held))
        console.print(
            f"{language}: {SETS:,} sets, {len(set(facts)):,} different, {len(different):,} different captions; {wrong} "
            f"state other facts than theirs; of {READ:,} read back {misread} are misread"
        )


def speed(perceiver: Perceiver) -> None:
    """Captions per second of one core, columns as they are stored included, and the memory of a million."""
    least = read_thresholds(SHIPPED, perceiver.card.sha256).at("0.9")
    captioner = Captioner(Grammar(LANGUAGES / "english.txt"), least, 6, 0)
    draws = np.random.default_rng(0)
    rows = 10_000
    columns = {name: draws.beta(0.4, 0.6, rows) for name in ATTRIBUTES}
    columns |= {"yaw": draws.normal(0, 15, rows), "age": draws.uniform(18, 90, rows)}
    captioner.table(columns, np.arange(rows, dtype=np.uint64))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    written, bare = 0, 0.0
    began = time.process_time()
    while written < WRITTEN:
        table: pa.Table = captioner.table(columns, np.arange(written, written + rows, dtype=np.uint64))
        written += len(table)
    whole = time.process_time() - began
    facts = as_bits(captioner.held(columns, None))
    says = uniform_rows(np.arange(rows, dtype=np.uint64), Stream.CAPTION, DRAWS).tolist()
    began = time.process_time()
    for held, row in zip(facts, says, strict=True):
        captioner.grammar.say(held, row)
    bare = time.process_time() - began
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    console.print(
        f"{rows / bare:,.0f} raw captions a second and core, {written / whole:,.0f} with their columns; {written:,} "
        f"took {grown:.0f} MB more memory than {rows:,}; {np.mean([held.bit_count() for held in facts]):.1f} facts each"
    )


def reader_of_published(celeba: Path) -> None:
    """Are the facts that are read in published captions those of the labels?"""
    reader = SentenceReader(["celebahq"])
    table = celeba.with_suffix(".csv.gz")
    labels = [name for name in tables.column_names(table) if name.lower() in ATTRIBUTES]
    found = tables.read_columns(table, ["caption"], numbers=labels)
    held = {name.lower(): np.array(found[name]) for name in labels}
    held |= {"female": 1 - held["male"]}
    facts = [(row, reader.whole(text)) for row, text in enumerate(found["caption"]) if text]
    right = [bool(held[name][row]) for row, one in facts for name in one or ()]
    unread = sum(one is None for _, one in facts)
    console.print(
        f"published captions of {len(facts):,} labelled photographs: {unread} not understood; {len(right):,} facts "
        f"read, {len(right) - sum(right)} of them not so"
    )


def beside_published(published: Path, language_model: Path | None) -> None:
    """The same facts in our words and in those of CelebA-HQ's authors."""
    reader, grammar = SentenceReader(["celebahq"]), Grammar(LANGUAGES / "english.txt")
    theirs: list[str] = []
    ours: list[str] = []
    equal: tuple[Texts, Texts] = {}, {}
    draws = uniform_rows(np.arange(SETS, dtype=np.uint64), Stream.CAPTION, DRAWS)
    for text, row in zip(read_captions(published, SETS).texts, draws.tolist(), strict=False):
        if len(ours) == READ:
            break
        facts = reader.whole(text)
        held = bits((facts or frozenset()) - {"attractive"})
        if facts is None or not held or not consistent(held):
            continue
        theirs.append(text)
        ours.append(grammar.say(held, row).text)
        if "attractive" not in facts:
            equal[0].setdefault(facts, text)
            equal[1].setdefault(facts, ours[-1])
    shown = Table("", "CelebA-HQ's authors", "ours, of the same facts")
    both = [
        (text_figures(texts), growth(texts, [len(texts)])[0][0], self_bleu(texts[:500])) for texts in (theirs, ours)
    ]
    shown.add_row("captions", *(f"{one.texts:,}" for one, _, _ in both))
    shown.add_row("words each (standard deviation)", *(f"{one.words:.1f} ({one.words_sd:.1f})" for one, _, _ in both))
    shown.add_row("words in a sentence", *(f"{one.sentence_words:.1f}" for one, _, _ in both))
    shown.add_row("LIX", *(f"{one.lix:.0f}" for one, _, _ in both))
    shown.add_row("different words", *(f"{one.vocabulary}" for one, _, _ in both))
    shown.add_row("different runs of four words", *(f"{runs:,}" for _, runs, _ in both))
    shown.add_row("self-BLEU", *(f"{bleu:.3f}" for _, _, bleu in both))
    console.print(shown)
    if language_model is not None:
        _, told = compared(equal, LocalModel(language_model, "cpu", "--likelihood"))
        console.print(f"by {language_model.name}, ours beside theirs: {told}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--celeba", type=Path, required=True)
    for name in ("utkface", "heads", "people", "published", "likelihood"):
        parser.add_argument(f"--{name}", type=Path)
    options = parser.parse_args()
    keep_memory()
    perceiver = load_perceiver(device="cpu")
    if options.heads:
        make_thresholds(options, perceiver)
    correctness(options.celeba, perceiver)
    consistency()
    if options.published:
        reader_of_published(options.celeba)
        beside_published(options.published, options.likelihood)
    speed(perceiver)


if __name__ == "__main__":
    main()
