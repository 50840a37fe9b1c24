"""What a person answered about the uncertain cases of a cleaning, and what follows from it for the next one."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nonesuch.cleaning.cast import Settled
from nonesuch.core.errors import NonesuchError

COLUMNS = ("question", "one", "other", "answer")
# What is asked, and of what: a file and an identity, two identities, two files.
IMAGE, PEOPLE, PICTURE = "image", "people", "picture"


@dataclass(frozen=True)
class Answer:
    """One row of an answers file.

    Attributes:
        question: "image" (is the file `one` of the identity `other`?), "people" (are the identities one person?) or
            "picture" (are the files one picture?).
        one, other: names of files and identities, as the dataset has them.
        yes: the answer.
        source: the file that says so, for messages.
    """

    question: str
    one: str
    other: str
    yes: bool
    source: Path


@dataclass(frozen=True)
class Answered:
    """The answers in rows and labels.

    Attributes:
        settled: for `clean`.
        same_picture, other_picture: pairs of rows, the smaller first, for `doubles`.
        heeded: the answers about images with a face; an answer about another one changes nothing.
    """

    settled: Settled = field(default_factory=Settled)
    same_picture: frozenset[tuple[int, int]] = frozenset()
    other_picture: frozenset[tuple[int, int]] = frozenset()
    heeded: list[Answer] = field(default_factory=list)


def read_answers(paths: Iterable[Path]) -> list[Answer]:
    """The answers of CSV files (question, one, other, answer: yes or no); the later of two to one question counts.

    Raises:
        NonesuchError: a file cannot be read, lacks a column, or holds something else.
    """
    found: dict[tuple[str, str, str], Answer] = {}
    for path in paths:
        try:
            with path.open(encoding="utf-8-sig", newline="") as handle:
                reader = csv.DictReader(handle, strict=True)
                missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
                if missing:
                    raise NonesuchError(f"{path}: not a file of answers: it lacks the column {missing[0]}")
                for row in reader:
                    answer = _answer(path, reader.line_num, row)
                    names = (answer.one, answer.other)
                    first, second = names if answer.question == IMAGE else sorted(names)
                    found[(answer.question, first, second)] = answer
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise NonesuchError(f"{path}: not a readable file of answers ({error})") from error
    return list(found.values())


def _answer(path: Path, line: int, row: dict[str, str]) -> Answer:
    question, one, other, answer = (row[name] for name in COLUMNS)
    if question not in (IMAGE, PEOPLE, PICTURE) or not one or not other or answer not in ("yes", "no"):
        raise NonesuchError(
            f"{path}: line {line} is not an answer; write image, people or picture, two names, and yes or no"
        )
    return Answer(question, one, other, answer == "yes", path)


def settle(answers: Sequence[Answer], images: Mapping[str, int | None], identities: Sequence[str]) -> Answered:
    """Answers in rows and labels.

    Args:
        images: by name, the row of each image of the dataset that an answer may be about; None for one without a face.
        identities: name of each label.

    Raises:
        NonesuchError: an answer is about a file or an identity that is not there, or answers contradict each other.
    """
    rows = {name: row for name, row in images.items() if row is not None}
    labels = {name: label for label, name in enumerate(identities)}
    _check_known(answers, set(images), labels)
    heeded = [
        answer
        for answer in answers
        if answer.question == PEOPLE or (answer.one in rows and (answer.question == IMAGE or answer.other in rows))
    ]
    one = _merged([answer for answer in heeded if answer.question == PEOPLE and answer.yes], labels)
    held: dict[int, int] = {}
    refused, two = set(), set()
    pictures: dict[bool, set[tuple[int, int]]] = {True: set(), False: set()}
    for answer in heeded:
        if answer.question == PICTURE:
            first, second = sorted((rows[answer.one], rows[answer.other]))
            pictures[answer.yes].add((first, second))
        elif answer.question == PEOPLE and not answer.yes:
            first, second = sorted(one.get(label, label) for label in (labels[answer.one], labels[answer.other]))
            if first == second:
                raise _contradiction(answer, "other answers make them one person")
            two.add((first, second))
        elif answer.question == IMAGE:
            image, label = rows[answer.one], one.get(labels[answer.other], labels[answer.other])
            if answer.yes and held.setdefault(image, label) != label:
                raise _contradiction(answer, f"another says that it is of {identities[held[image]]}")
            if not answer.yes:
                refused.add((image, label))
            if held.get(image) == label and (image, label) in refused:
                raise _contradiction(answer, "another says the opposite of an identity that is one with it")
    # An identity that has an image which another cannot have is a different person.
    two |= {(min(held[i], label), max(held[i], label)) for i, label in refused if i in held and held[i] != label}
    return Answered(
        Settled(one, frozenset(two), held, frozenset(refused)),
        frozenset(pictures[True]),
        frozenset(pictures[False]),
        heeded,
    )


def _check_known(answers: Sequence[Answer], files: set[str], identities: dict[str, int]) -> None:
    for answer in answers:
        for name, is_file in ((answer.one, answer.question != PEOPLE), (answer.other, answer.question == PICTURE)):
            if name not in (files if is_file else identities):
                what = "image" if is_file else "identity"
                raise NonesuchError(
                    f"{answer.source}: is about the {what} {name}, which the dataset does not hold; give "
                    "answers about this dataset"
                )
        if answer.one == answer.other and answer.question != IMAGE:
            raise NonesuchError(f"{answer.source}: compares {answer.one} with itself; take the line out")


def _merged(answers: Sequence[Answer], labels: dict[str, int]) -> dict[int, int]:
    """What each label that is one person with a smaller one becomes."""
    groups: list[set[int]] = []
    for answer in answers:
        joined = {labels[answer.one], labels[answer.other]}
        for group in [group for group in groups if group & joined]:
            groups.remove(group)
            joined |= group
        groups.append(joined)
    return {label: min(group) for group in groups for label in sorted(group) if label != min(group)}


def _contradiction(answer: Answer, why: str) -> NonesuchError:
    said = "yes" if answer.yes else "no"
    return NonesuchError(
        f"{answer.source}: {answer.one}, {answer.other}: {said}, but {why}; take one of the answers out"
    )
