"""Photographs -> faces -> vectors, into a table."""

from dataclasses import dataclass
from pathlib import Path

from nonesuch.core.arguments import DTYPE, LEAST_FACE, checked
from nonesuch.core.files import AnyPath, as_path, path_or_none
from nonesuch.formats.labels import LABEL
from nonesuch.formats.readers import find
from nonesuch.identities.crops import check_places
from nonesuch.identities.embedding import Tally, embed_each, write_embeddings
from nonesuch.loop.progress import OnProgress, no_progress
from nonesuch.models import load_detector, load_embedder
from nonesuch.perception.faces import CLOSEST, FACE, tell_several

_OTHERWISE = "the columns faces and unclear say which; --face takes others"


@dataclass(frozen=True)
class EmbeddedPhotographs:
    """The results for photographs.

    Attributes:
        table: the Parquet file of vectors.
        photographs: how many there are.
        embedder: name of the embedder.
        problems: in words, why a photograph gave no vector, for each that gave none.
        vectors: how many the table holds: one per photograph at most, unless all faces are taken.
        several: photographs that show several faces.
        unclear: those of them where another face may as well be the one that is meant.
    """

    table: Path
    photographs: int
    embedder: str
    problems: tuple[str, ...]
    vectors: int
    several: int
    unclear: int


@checked(label=LABEL, face=FACE, min_face=LEAST_FACE, dtype=DTYPE)
def embed_photographs(
    source: AnyPath,
    out: AnyPath,
    *,
    align: bool = False,
    label: str | None = None,
    face: str = CLOSEST,
    crops: AnyPath | None = None,
    min_face: int = 40,
    embedder: str = "mobilefacenet",
    device: str = "auto",
    dtype: str = "float32",
    on_progress: OnProgress = no_progress,
) -> EmbeddedPhotographs:
    """Find, align and embed the face of each photograph.

    The table has a row per photograph: `file`, `identity`, `embedding` (raw float32, null where there is no face),
    `detected`, `faces` (how many were found; null where nothing was detected), `face` (which of them this is, 1 for the
    largest) and `unclear` (another one may as well be meant).

    Args:
        source: an image, a folder, a dataset, or a published set such as RecordIO, see `nonesuch.formats.readers`.
        out: Parquet file to write.
        align: detect and align 112x112 images too, which otherwise count as aligned.
        label: the folder that names the identity where images lie several folders deep: "first", "second", or "last",
            the innermost; None for the first, unless that is called train or the like, or is a letter.
        face: which face of several: "closest-to-label", the one closest to the other photographs of its identity (see
            `nonesuch.identities.closest.Labels`); "largest"; "central", the one nearest to the middle; "all", a row for
            each, under the photograph's identity.
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
    detector, tally, vectors = load_detector(device, min_face), Tally(), 0

    def count(done: int) -> None:
        nonlocal vectors
        vectors = done

    results = embed_each(found, model, detector, align, face, lambda done: on_progress("embedding", done, len(found)))
    problems = write_embeddings(tally.of(results), model, as_path(out), folder, count, face)
    tell_several(as_path(source), tally.faces, tally.unclear, face, _OTHERWISE)
    return EmbeddedPhotographs(
        as_path(out),
        len(found),
        model.name,
        tuple(problems),
        vectors - len(problems),
        tally.several,
        sum(tally.unclear),
    )
