"""The folder that belongs to one training run: whose it is, and what a later call may change."""

import contextlib
import dataclasses
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nonesuch.core import files, locks
from nonesuch.core.errors import NonesuchError
from nonesuch.core.notices import notice
from nonesuch.loop import distributed
from nonesuch.loop.settings import AtLeast0, TrainSettings

SETTINGS, STATE, LOG, IMAGES = "settings.json", "state.pt", "log.jsonl", "images.parquet"
BAD_IMAGES = "bad_images.txt"  # names of those that cannot be used, for --exclude
VECTORS = "vectors.parquet"  # of a generator's photographs, made before there is a state
LATENTS = "latents.npy"  # of a diffusion's photographs, likewise
_CLAIM = {SETTINGS, IMAGES, locks.LOCK}  # all that a claim leaves
_DIVERGED, _FIXED = "diverged", "length_fixed"
_FOLLOW_THE_LENGTH = ("warmup", "milestones", "tenth_off", "ema_images")


@dataclass(frozen=True, kw_only=True)
class _Kept:
    """The settings file: fields of `TrainSettings`, what the run is, the step at which it diverged, if it did, and
    whether a time budget fixed its length."""

    settings: dict[str, Any]
    what: dict[str, Any]
    diverged: AtLeast0 | None = None
    length_fixed: bool = False


@contextlib.contextmanager
def claimed(folder: Path, settings: TrainSettings, what: dict[str, Any], may_extend: bool = False) -> Iterator[None]:
    """Inside the block the folder belongs to this run, and to no second process but those of its own group.

    A folder that was made for it goes again where bad input ends the block before anything came of it.

    Arguments and errors as in `claim_folder`.

    Raises:
        NonesuchError: another process is at work there.
    """
    made = not folder.exists()
    try:
        with contextlib.ExitStack() as held:

            def claim() -> None:
                files.make_folder(folder)
                _check_ours(folder)
                held.enter_context(locks.exclusive(folder))
                claim_folder(folder, settings, what, may_extend)

            distributed.first_does(claim)
            yield
    except NonesuchError:
        if made and folder.is_dir() and distributed.rank() == 0 and {path.name for path in folder.iterdir()} <= _CLAIM:
            shutil.rmtree(folder)
        raise


def claim_folder(folder: Path, settings: TrainSettings, what: dict[str, Any], may_extend: bool = False) -> None:
    """Make a run's folder, or make sure that it holds this run; a claim without a saved state may be replaced.

    A run that is resumed may split its batches into other parts. Once it has diverged, it may have a lower rate.

    Args:
        what: names the data, preset and losses, JSON-ready.
        may_extend: whether it may have become longer.

    Raises:
        NonesuchError: it holds a run with other settings, or other files and no run; nothing was changed.
    """
    files.make_folder(folder)
    _check_ours(folder)
    path = folder / SETTINGS
    now = json.loads(json.dumps({"settings": dataclasses.asdict(settings), "what": what}))
    if not (folder / STATE).exists():
        if path.exists() and _read(path)["what"] != now["what"]:
            (folder / VECTORS).unlink(missing_ok=True)
            (folder / LATENTS).unlink(missing_ok=True)
        files.write_json(path, now)
        return
    before = _read(path)
    usual = {"settings": {field.name: field.default for field in dataclasses.fields(TrainSettings)}}
    changed = {}
    for part in now:
        for key in now[part] | before[part]:
            # A setting that the run's release did not have yet had what is now its default.
            old, new = before[part].get(key, usual.get(part, {}).get(key)), now[part].get(key)
            old = list(old) if isinstance(old, tuple) else old
            if old != new:
                changed[key] = (old, new)
    longer = may_extend and "images" in changed and changed["images"][1] > changed["images"][0]
    for key, (old, new) in changed.items():
        if not (
            key == "accumulate"
            or (key == "lr" and _DIVERGED in before and new < old)
            or (longer and key in ("images", *_FOLLOW_THE_LENGTH))
        ):
            raise NonesuchError(
                f"{folder}: holds a run with {key} {old}, not {new}; "
                "repeat its options to resume, or name another folder"
            )
    if longer:
        notice(f"{folder}: the run of {changed['images'][0]:,} images goes on to {changed['images'][1]:,}")
    if changed:
        files.write_json(path, now)


def keep_length(folder: Path, images: int) -> None:
    """Keep how many images a run sees, where that was found out on the way."""
    kept = _read(folder / SETTINGS)
    files.write_json(folder / SETTINGS, {**kept, "settings": {**kept["settings"], "images": images}, _FIXED: True})


def fixed_length(folder: Path) -> int | None:
    """The images of a run that has a saved state and whose length was found out on the way; None for any other."""
    if not (folder / STATE).exists() or not (folder / SETTINGS).exists():
        return None
    kept = _read(folder / SETTINGS)
    return int(kept["settings"]["images"]) if kept.get(_FIXED) else None


def note_divergence(folder: Path, step: int) -> None:
    """Keep that a run diverged, so that it may go on with a lower rate."""
    files.write_json(folder / SETTINGS, {**_read(folder / SETTINGS), _DIVERGED: step})


def _check_ours(folder: Path) -> None:
    """Raises NonesuchError where a folder holds files and no run, so that nobody's files are taken for a run's."""
    if (folder / SETTINGS).exists():
        _read(folder / SETTINGS)
    elif any(path.name != locks.LOCK and not files.is_half_written(path) for path in folder.iterdir()):
        raise NonesuchError(f"{folder}: holds other files and no run; name a new or empty folder")


def _read(path: Path) -> dict[str, Any]:
    try:
        content = files.read_json(path)
        kept = files.typed(content, _Kept, path.name)
        files.typed(kept.settings, TrainSettings, path.name)
    except NonesuchError as error:
        raise NonesuchError(
            f"{path}: not the settings of a run ({error}); put back the right file, or name a new or empty folder"
        ) from error
    return content
