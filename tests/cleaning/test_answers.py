"""Answers: read, turned into rows and labels, and refused where they are damaged or at odds."""

from pathlib import Path

import pytest

from nonesuch.cleaning.answers import Answered, read_answers, settle
from nonesuch.core.errors import NonesuchError

FILES = ["a1", "a2", "b1", "b2", "c1"]
IDENTITIES = ["A", "B", "C", "D"]
HEADER = "question,one,other,answer\n"


def _settle(folder: Path, *lines: str) -> Answered:
    path = folder / "answers.csv"
    path.write_text(HEADER + "".join(f"{line}\n" for line in lines))
    return settle(
        read_answers([path]), {**dict(zip(FILES, range(len(FILES)), strict=True)), "faceless": None}, IDENTITIES
    )


def test_answers_become_rows_and_labels(tmp_path: Path) -> None:
    found = _settle(
        tmp_path,
        "image,a1,A,yes",
        "image,b1,D,no",
        "image,faceless,A,no",
        "people,C,B,yes",
        "people,D,C,yes",
        "people,A,D,no",
        "picture,b2,a2,yes",
        "picture,c1,a1,no",
    )
    assert found.settled.one == {2: 1, 3: 1}
    assert found.settled.two == {(0, 1)}
    assert found.settled.held == {0: 0}
    assert found.settled.refused == {(2, 1)}
    assert (found.same_picture, found.other_picture) == ({(1, 3)}, {(0, 4)})
    assert len(found.heeded) == 7


def test_an_image_of_one_that_another_cannot_have_keeps_them_apart(tmp_path: Path) -> None:
    assert _settle(tmp_path, "image,a1,B,yes", "image,a1,A,no").settled.two == {(0, 1)}


def test_the_later_answer_counts(tmp_path: Path) -> None:
    first, second = tmp_path / "1.csv", tmp_path / "2.csv"
    first.write_text("\ufeff" + HEADER + "people,A,B,no\nimage,a1,A,no\n", encoding="utf-8")
    second.write_text(HEADER.replace("\n", "\r\n") + '"people","B","A","yes"\r\n')
    assert [(answer.question, answer.yes) for answer in read_answers([first, second])] == [
        ("people", True),
        ("image", False),
    ]


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["image,zz,A,yes"], "is about the image zz"),
        (["image,a1,Z,yes"], "is about the identity Z"),
        (["picture,a1,A,yes"], "is about the image A"),
        (["people,A,A,no"], "compares A with itself"),
        (["image,a1,A,perhaps"], "line 2 is not an answer"),
        (["image,a1"], "line 2 is not an answer"),
        (["image,a1,A,yes", "image,a1,B,yes"], "another says that it is of A"),
        (["people,A,B,yes", "image,a1,A,yes", "image,a1,B,no"], "another says the opposite"),
        (["people,A,B,yes", "people,B,C,yes", "people,A,C,no"], "other answers make them one person"),
    ],
)
def test_what_cannot_be_heeded(tmp_path: Path, lines: list[str], reason: str) -> None:
    with pytest.raises(NonesuchError, match=reason):
        _settle(tmp_path, *lines)


def test_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    for content, reason in ((b"file,identity\n", "lacks the column question"), (b"\xff\xfe\x00", "not a readable")):
        path.write_bytes(content)
        with pytest.raises(NonesuchError, match=reason):
            read_answers([path])
    with pytest.raises(NonesuchError, match="not a readable"):
        read_answers([tmp_path / "absent.csv"])
