"""Records of faces and names -> a table that says who is who."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from nonesuch.core import files, parquet
from nonesuch.core.arguments import Choice, checked
from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import AnyPath, as_path
from nonesuch.language.naming.deciding import ROUNDS, Named, combined
from nonesuch.language.naming.em import name_by_em
from nonesuch.language.naming.records import FaceVectors, Record, read_records, read_vectors
from nonesuch.language.naming.secla import SECLA, SECLA_B, name_by_secla
from nonesuch.loop.progress import OnProgress, no_progress
from nonesuch.loop.runs import LIMITS, RunOptions, Schedule
from nonesuch.measures.naming import NOBODY, LinkFigures, link_figures

BOTH, EM = "both", "em"
METHOD = Choice((BOTH, SECLA, SECLA_B, EM))
TABLE = "names.parquet"
_SCHEMA = pa.schema(
    [
        ("image", pa.string()),
        ("face", pa.int32()),
        ("file", pa.string()),
        ("name", pa.string()),
        ("score", pa.float32()),
    ]
)
_LIMITS = {name: LIMITS[name] for name in ("epochs", "batch", "lr", "seed", "dtype")}


@dataclass(frozen=True)
class NamedFaces:
    """What was named.

    Attributes:
        table: the Parquet file of names.
        images, faces: how many records and faces there are.
        named: faces that got a name.
        learned_from: records that were learned from.
        figures: how right the names are, where records hold the truth: of those that were not learned from if there
            are any, otherwise of all. None where no truth is known.
        held_out: whether the figures are of records that were not learned from.
    """

    table: Path
    images: int
    faces: int
    named: int
    learned_from: int
    figures: LinkFigures | None
    held_out: bool


@checked(method=METHOD, **_LIMITS)
def name_faces(
    records: AnyPath,
    vectors: AnyPath,
    out: AnyPath,
    *,
    method: str = BOTH,
    epochs: float | None = None,
    batch: int | None = None,
    lr: float | None = None,
    seed: int = 0,
    device: str = "auto",
    dtype: str = "float32",
    on_progress: OnProgress = no_progress,
) -> NamedFaces:
    """Give the names of captions to the faces of their images, as `nonesuch name` does; a repeated call resumes.

    No face needs a label: that names and faces come back together is what is learned from. Names are those of the
    records alone.

    Args:
        records: JSON lines or Parquet, an image each, see `nonesuch.language.naming.records.read_records`.
        vectors: table of the faces' vectors, as `nonesuch embed` writes it.
        out: folder to write: OUT/names.parquet has a row for each face with image, face (its number), file, name (null
            for nobody of the caption) and score (log-odds in nats of the name over nobody; of the best name where
            there is none; null without names).
        method: "secla", "secla-b" (the records of one face and one name first), "em" (mean face of each name), or
            "both", secla's evidence beside em's.
        epochs: passes over the records, in each stage; None here and below for what the method's recipe says.
        batch, lr: records per step, peak learning rate.
        seed: of everything random.
        device, dtype: "auto", "cpu", "cuda", ...; "float32", "bfloat16", "float16" (GPU only).
        on_progress: told how far the training is.

    Returns:
        The table, counts, and figures where the records hold the truth.

    Raises:
        NonesuchError: records or vectors cannot be used, do not fit together, `out` holds a run of others, or the
            training diverges.

    Source:
        SECLA, WACV 2023; EM: Berg et al., "Names and Faces in the News", CVPR 2004.

    Example:
        nonesuch.name_faces("records.jsonl", "vectors.parquet", "named").table
    """
    source, place = as_path(records), as_path(out)
    faces = read_vectors(as_path(vectors))
    known = read_records(source, faces)
    if place.exists() and not place.is_dir():
        raise NonesuchError(f"{place}: a file; --out names a folder")
    schedule = Schedule(epochs=epochs, batch=batch, lr=lr)
    run = RunOptions(schedule=schedule, seed=seed, device=device, dtype=dtype)
    # What other captions or another embedder's vectors taught is not gone on with.
    what = {
        "embedder": faces.embedder_sha256,
        "records": files.sha256(source),
        "vectors": files.sha256(as_path(vectors)),
    }
    named = _named(known, faces, place, run, method, what, on_progress)
    files.make_folder(place)
    _write(place / TABLE, known, faces, named, method)
    figures, held_out = _figures(known, named)
    return NamedFaces(
        table=place / TABLE,
        images=len(known),
        faces=sum(len(record.faces) for record in known),
        named=sum(name != NOBODY for given in named.found for name in given),
        learned_from=sum(record.learned and bool(record.faces and record.names) for record in known),
        figures=figures,
        held_out=held_out,
    )


def _named(
    records: list[Record],
    faces: FaceVectors,
    out: Path,
    run: RunOptions,
    method: str,
    what: dict[str, str],
    on_progress: OnProgress,
) -> Named:
    """Name all faces by one method; arguments as in `name_by_secla`."""
    if method == EM:
        return name_by_em(records, faces.units, lambda done: on_progress("naming", done, ROUNDS))
    made = not out.exists()
    try:
        named = name_by_secla(records, faces.units, out, run, SECLA if method == BOTH else method, what, on_progress)
    except NonesuchError:
        if made and out.is_dir() and not any(out.iterdir()):
            out.rmdir()
        raise
    if method != BOTH:
        return named
    by_means = name_by_em(records, faces.units, lambda done: on_progress("naming", done, ROUNDS))
    return combined(by_means, named, records)


def _write(path: Path, records: list[Record], faces: FaceVectors, named: Named, method: str) -> None:
    rows = []
    for number, record in enumerate(records):
        for place, face in enumerate(record.faces):
            name, score = named.found[number][place], named.score(number, place)
            rows.append(
                {
                    "image": record.image,
                    "face": record.numbers[place],
                    "file": faces.files[face],
                    "name": None if name == NOBODY else record.names[name],
                    "score": score if np.isfinite(score) else None,
                }
            )
    about = {b"method": method.encode(), b"embedder": faces.embedder.encode()}
    with files.replacing(path) as temporary:
        parquet.write_table(pa.Table.from_pylist(rows, _SCHEMA.with_metadata(about)), temporary)


def _figures(records: list[Record], named: Named) -> tuple[LinkFigures | None, bool]:
    """Figures of the records whose truth is known, and whether none of them was learned from."""
    judged = [number for number, record in enumerate(records) if record.truth is not None]
    held_out = [number for number in judged if not records[number].learned]
    judged = held_out or judged
    links = [number for number in judged if records[number].faces or records[number].names]
    if not links:
        return None, False
    truth = [records[number].truth or () for number in links]
    names = [len(records[number].names) for number in links]
    return link_figures([named.found[number] for number in links], truth, names), bool(held_out)
