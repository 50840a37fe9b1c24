"""What an audit said of a dataset, taken out of its folder without the names of photographs and places."""

from pathlib import Path
from typing import Any

from nonesuch.core import files
from nonesuch.core.errors import NonesuchError
from nonesuch.dataset.release.record import Verdict

AUDIT = "audit.json"
COLOURS = ("red", "amber", "grey", "green")


def read_verdict(place: Path, images_sha256: str) -> Verdict:
    """The verdict on the dataset with these images.

    Args:
        place: an audit's folder, or its audit.json.
        images_sha256: see `nonesuch.formats.manifest.images_sha256`.

    Raises:
        NonesuchError: there is no readable audit, or it is about other images.
    """
    path = place / AUDIT if place.is_dir() else place
    found = files.read_json(path)
    try:
        about: list[dict[str, Any]] = [
            figures for figures in found["datasets"].values() if figures.get("images_sha256") == images_sha256
        ]
        if not about:
            raise NonesuchError(
                f"{path}: not about the images that are here now; run 'nonesuch audit' on the dataset again"
            )
        lights = [
            {key: str(light[key]) for key in ("about", "by", "colour", "told", "rule")} for light in about[0]["verdict"]
        ]
        embedders = {str(name): str(sha256) for name, sha256 in found["made_by"].items()}
        compared = _compared(found.get("against"))
    except (KeyError, TypeError, AttributeError) as error:
        raise NonesuchError(f"{path}: not an audit of this version; run 'nonesuch audit' again") from error
    if any(light["colour"] not in COLOURS for light in lights):
        raise NonesuchError(f"{path}: damaged: a light of unknown colour; run 'nonesuch audit' again")
    return Verdict(files.sha256(path), str(found["nonesuch"]), embedders, compared, lights)


def counted(verdict: Verdict) -> str:
    """How many lights there are of each colour, in words, the worst first."""
    counts = {colour: sum(light["colour"] == colour for light in verdict.lights) for colour in COLOURS}
    return ", ".join(f"{count} {colour}" for colour, count in counts.items() if count)


def _compared(against: dict[str, Any] | None) -> str:
    if against is None:
        return "not compared with photographs"
    sets = [("training set", against["training"]), ("control", against["control"])]
    told = [f"a {name} of {of['images']:,} images of {of['people']:,} people" for name, of in sets if of is not None]
    return f"compared with {' and '.join(told)}"
