"""Labelled images of any source, made a dataset of ours."""

from pathlib import Path

from nonesuch.core.arguments import AT_LEAST_1, Choice, Number, checked
from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import AnyPath, as_path
from nonesuch.core.images import CODECS
from nonesuch.core.notices import notice
from nonesuch.dataset.collected.collecting import CollectedDataset, check_apart, collect
from nonesuch.dataset.collected.copied import SourceDataset
from nonesuch.dataset.collected.copying import carried_columns, write_copy
from nonesuch.dataset.collected.imported import PhotographContents
from nonesuch.dataset.collected.people import with_own_labels
from nonesuch.dataset.collected.provenance import draft, imported_part
from nonesuch.formats import manifest as manifests
from nonesuch.formats.labels import LABEL
from nonesuch.formats.photograph_lists import signature
from nonesuch.formats.readers import find
from nonesuch.loop.progress import OnProgress, no_progress
from nonesuch.models import load_detector
from nonesuch.perception.faces import ELSEWHERE, LARGEST, tell_several

_WHAT = "importing"


@checked(
    label=LABEL,
    codec=Choice(tuple(CODECS)),
    quality=Number(1, 100, whole=True),
    shard_images=AT_LEAST_1,
)
def import_images(
    source: AnyPath,
    out: AnyPath,
    *,
    align: bool = False,
    label: str | None = None,
    licence: str | None = None,
    codec: str | None = None,
    quality: int = 95,
    shard_images: int = 10_000,
    device: str = "auto",
    on_progress: OnProgress = no_progress,
) -> CollectedDataset:
    """Make labelled images a dataset of ours, or go on with an import that was interrupted.

    A 112x112 image that is a JPEG (or whatever `codec` says) keeps its bytes. Images that are damaged or show no face
    are left out and named in the folder `left_out`. Unless the source is a dataset of ours, the new one says that it
    may show real people.

    Args:
        source: an image, a folder, an uncompressed tar, an LMDB set, a manifest of `clean_labels`, or a dataset, which
            is copied with its seeds, vectors and columns.
        out: folder: new, empty, or of the same import.
        align: find and align the face of images that are not 112x112; otherwise such an image is refused.
        label: the folder that names the identity where images lie several folders deep: "first", "second" or "last".
        licence: of the images, as text for the manifest; None for what a dataset says, otherwise "not stated".
        codec: of all images, "jpeg" or "png"; None for that of a dataset of ours, otherwise "jpeg".
        quality: of JPEG that is encoded anew, 1 to 100.
        shard_images: images per shard.
        device: of the detector.
        on_progress: told how many images are done.

    Raises:
        NonesuchError: there are no images, one cannot be taken, a folder that holds something else, or a full disk.
            Complete shards stay as they are.

    Example:
        nonesuch.import_images("photographs", "people", align=True).manifest.images
    """
    place, folder = as_path(source), as_path(out)
    check_apart(folder, [place])
    if manifests.is_dataset(place):
        own = manifests.read(place).render["codec"]
        if licence is not None:
            raise NonesuchError(f"--licence: {place} is a dataset, which says its own; leave it out")
        if codec in (None, own):
            return _copied(place, folder, shard_images, on_progress)
        notice(f"{place}: its images become {codec}; their seeds, vectors and columns do not come along")
    codec = codec or "jpeg"
    found = find(place, label=label)
    options = {
        "made_by": "import",
        "source_sha256": signature(found),
        "align": align,
        "label": label,
        "licence": licence,
        "shard_images": shard_images,
    }
    render = {"codec": codec, "quality": quality}
    contents = PhotographContents(place, found, load_detector(device) if align else None, codec, quality)
    manifest = draft([imported_part(place, licence)], options, render)
    made = collect(folder, manifest, contents, shard_images, _WHAT, on_progress)
    tell_several(place, contents.faces, contents.unclear, LARGEST, ELSEWHERE)
    if others := made.manifest.images - made.kept:
        notice(
            f"{folder}: {made.kept:,} of {made.manifest.images:,} images kept their bytes; {others:,} were aligned or "
            f"of another kind than {codec}, and were encoded anew"
        )
    return made


def _copied(place: Path, folder: Path, shard_images: int, on_progress: OnProgress) -> CollectedDataset:
    """The whole of a dataset; raises NonesuchError as `import_images`."""
    source = SourceDataset.at(place)
    options = {"made_by": "import", "source_sha256": source.sha256, "shard_images": shard_images}
    people, columns = with_own_labels(source), carried_columns(folder, [source])
    return write_copy(folder, [source], people, columns, options, _WHAT, on_progress)
