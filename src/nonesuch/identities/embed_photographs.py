"""Photographs -> faces -> vectors, into a table."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

from nonesuch.core.arguments import DTYPE, LEAST_FACE, Choice, checked
from nonesuch.core.files import AnyPath, as_path, path_or_none
from nonesuch.formats.labels import LABEL
from nonesuch.formats.readers import find
from nonesuch.identities.crops import check_places
from nonesuch.identities.embedding import embed_closest_to_label, embed_each, write_embeddings
from nonesuch.loop.progress import OnProgress, no_progress
from nonesuch.models import load_detector, load_embedder
from nonesuch.perception.faces import Rule

FACES = (*get_args(Rule), "closest-to-label")


@dataclass(frozen=True)
class EmbeddedPhotographs:
    """The results for photographs.

    Attributes:
        table: the Parquet file of vectors.
        photographs: how many there are.
        embedder: name of the embedder.
        faces: vectors in the table.
        problems: in words, why a photograph gave no vector, for each that gave none.
    """

    table: Path
    photographs: int
    embedder: str
    faces: int
    problems: tuple[str, ...]


@checked(face=Choice(FACES), label=LABEL, min_face=LEAST_FACE, dtype=DTYPE)
def embed_photographs(
    source: AnyPath,
    out: AnyPath,
    *,
    align: bool = False,
    face: str = "largest",
    label: str | None = None,
    crops: AnyPath | None = None,
    min_face: int = 40,
    embedder: str = "mobilefacenet",
    device: str = "auto",
    dtype: str = "float32",
    on_progress: OnProgress = no_progress,
) -> EmbeddedPhotographs:
    """Find, align and embed a face of each photograph, or all of them.

    The table has a row per photograph: `file`, `identity`, `embedding` (raw float32, null where there is no face),
    `detected`, `faces` (how many it shows).

    Args:
        source: an image, a folder, an uncompressed tar, or a dataset.
        out: Parquet file to write.
        align: detect and align 112x112 images too, which otherwise count as aligned.
        face: which of several: the "largest", the "central" one, the one "closest-to-label", see
            `nonesuch.identities.embedding.embed_closest_to_label`, or "all", a row and a crop each.
        label: the folder that names the identity where images lie several folders deep: "first" or "last", the
            innermost; None for the first, unless that is called train or the like.
        crops: folder for the aligned crops, as PNG in a folder per identity, which other functions take.
        min_face: side of the smallest face to find, in pixels.
        embedder: a shipped embedder, or a file with its card.
        device, dtype: of the networks.
        on_progress: told how many are done.

    Raises:
        NonesuchError: there are no images, none gives a vector, a place cannot be written, or a photograph's name leads
            out of `crops`.

    Example:
        nonesuch.embed_photographs("holiday", "people.parquet", crops="crops")
    """
    found, folder = find(as_path(source), label=label), path_or_none(crops)
    if folder is not None:
        check_places(folder, found)
    model = load_embedder(embedder, device, dtype)
    detector = load_detector(device, min_face)
    if face == "closest-to-label":
        results = embed_closest_to_label(
            found, model, detector, align, lambda done: on_progress("comparing faces", done, 0)
        )
    else:
        results = embed_each(found, model, detector, align, cast(Rule, face))
    faces, problems = write_embeddings(
        results, model, as_path(out), folder, lambda done: on_progress("embedding", min(done, len(found)), len(found))
    )
    return EmbeddedPhotographs(as_path(out), len(found), model.name, faces, tuple(problems))
