"""Reading captions of others: the text as it stands, and the facts that can be read in it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import shorten

import pyarrow as pa

from nonesuch.captions.exchange.caption_parts import line_parts, table_parts
from nonesuch.captions.exchange.published import CAPTION, FILE, LINES, TABLE, form_of, spellings
from nonesuch.captions.facts import PLACE
from nonesuch.captions.sentences import READERS, Sentence, SentenceReader
from nonesuch.captions.writing import SCHEMA, as_facts, as_lists
from nonesuch.core import files, parquet
from nonesuch.core.arguments import Choice, checked
from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import AnyPath, as_path
from nonesuch.loop.progress import OnProgress, no_progress

FORM = Choice((TABLE, LINES))
_SHOWN, _WIDTH = 3, 200  # sentences that are kept to be shown, and their characters


@dataclass(frozen=True)
class ImportedCaptions:
    """What was read and written.

    Attributes:
        place: the table.
        form: of what was read.
        images: rows of it.
        captioned: rows with a caption.
        wholly: captions of which each sentence was read.
        partly: captions of which some sentences were read.
        unread: captions without a sentence that was read, or whose words fit different kinds of person.
        not_read: the first sentences that were not read.
    """

    place: Path
    form: str
    images: int
    captioned: int
    wholly: int
    partly: int
    unread: int
    not_read: tuple[str, ...]


@checked(form=FORM)
def import_captions(
    table: AnyPath,
    out: AnyPath,
    *,
    form: str | None = None,
    names: str | Mapping[str, str] | None = None,
    on_progress: OnProgress = no_progress,
) -> ImportedCaptions:
    """Take captions of others into a table as `caption_faces` writes it, with the facts that can be read in them.

    A caption is kept as it is. Its facts are those of its sentences that the shipped English reader understands, or the
    one for CelebA-HQ's captions; one sentence is one clause. Nothing is guessed of the other sentences.

    Args:
        table: Parquet as FaceCaption-15M has it, or JSON lines as FaceID-6M has them.
        out: Parquet table to write, a row for each row or line.
        form: "facecaption" or "faceid"; None to tell by the content.
        names: other spellings of columns, published=other, parted by commas, or a mapping.
        on_progress: told how many rows are done.

    Raises:
        NonesuchError: the file is of neither form, damaged, not UTF-8, lacks a column, or holds no caption, or the
            place cannot be written; nothing is then written.

    Example:
        nonesuch.import_captions("FaceCaption-v1.parquet", "captions.parquet").wholly
    """
    place, target = as_path(table), as_path(out)
    form = form or form_of(place)
    spelt = spellings(form, names)
    if target.exists() and place.exists() and target.samefile(place):
        raise NonesuchError(f"{target}: --out would write over what is read; name another file")
    read = table_parts if form == TABLE else line_parts
    parts = read(place, spelt[FILE[form]], spelt[CAPTION[form]])
    counts = _Counts()
    reader = SentenceReader(READERS)
    made_by = f"imported, read by {', '.join(map(files.sha256, reader.files))}"
    schema = pa.schema([("file", pa.string()), *SCHEMA], metadata={b"made_by": made_by.encode()})
    with files.replacing(target) as temporary:
        with parquet.writer(temporary, schema) as writer:
            for part in _read(parts, counts, reader):
                writer.write_table(part.cast(schema))
                on_progress("reading captions", counts.images, 0)
        if not counts.captioned:
            raise NonesuchError(f"{place}: none of its {counts.images:,} rows has a caption")
    return ImportedCaptions(
        target,
        form,
        counts.images,
        counts.captioned,
        counts.wholly,
        counts.partly,
        counts.captioned - counts.wholly - counts.partly,
        tuple(counts.not_read),
    )


@dataclass
class _Counts:
    images: int = 0
    captioned: int = 0
    wholly: int = 0
    partly: int = 0
    not_read: list[str] = field(default_factory=list)

    def add(self, texts: list[str | None], told: list[list[Sentence]]) -> None:
        self.images += len(texts)
        for text, sentences in zip(texts, told, strict=True):
            if text is not None:
                self.captioned += 1
                missed = [text[start:end] for start, end, facts in sentences if facts is None]
                self.wholly += bool(sentences) and not missed
                self.partly += 0 < len(missed) < len(sentences)
                self.not_read += [shorten(sentence, _WIDTH) for sentence in missed[: _SHOWN - len(self.not_read)]]


def _read(parts: Iterator[pa.Table], counts: _Counts, reader: SentenceReader) -> Iterator[pa.Table]:
    """Parts of the table to write, as `SCHEMA` after the column `file`."""
    for part in parts:
        texts = part["caption"].to_pylist()
        told = [[] if text is None else reader.sentences(text) for text in texts]
        counts.add(texts, told)
        yield _columns(part, told)


def _columns(part: pa.Table, told: list[list[Sentence]]) -> pa.Table:
    read = [[(start, end, sorted(PLACE[fact] for fact in facts or ())) for start, end, facts in one] for one in told]
    clauses = [[(start, end, fact) for start, end, stated in one for fact in stated] for one in read]
    facts = [sorted({fact for _, _, fact in one}) for one in clauses]
    flat = [clause for one in clauses for clause in one]
    starts, ends = (pa.array([clause[place] for clause in flat], pa.int32()) for place in (0, 1))
    stretches = pa.StructArray.from_arrays(
        [starts, ends, as_facts([fact for _, _, fact in flat])], names=["start", "end", "fact"]
    )
    nothing = pa.nulls(len(part), pa.string())
    return pa.table(
        [
            part["file"],
            part["caption"],
            as_lists([len(one) for one in facts], as_facts([fact for one in facts for fact in one])),
            as_lists([len(one) for one in clauses], stretches),
            nothing,
            nothing,
        ],
        schema=pa.schema([("file", pa.string()), *SCHEMA]),
    )
