"""Which shards were found sound, and how their files were then, so that unchanged ones need not be read again.

The record is believed only of files that the system says are the same: size, time of the last writing, time of the last
change of anything (ctime, which no program sets), and number on the disk (inode). Copies have other ones, so nobody can
ship a record with a dataset.
"""

import contextlib
import time
from dataclasses import astuple, dataclass, field
from pathlib import Path

from nonesuch.core import files
from nonesuch.core.errors import NonesuchError
from nonesuch.core.version import VERSION
from nonesuch.dataset.verifying.shard import ShardCheck
from nonesuch.formats.columns import columns_file
from nonesuch.formats.manifest import Manifest
from nonesuch.formats.shards import shard_files

RECORD = ".verified.json"  # in the dataset's folder
# A file that is changed twice within a tick of the file system's clock shows one time; the coarsest ticks take 2 s.
_SETTLED_SECONDS = 2.0


@dataclass
class CheckedShards:
    """The record of a dataset.

    Attributes:
        folder: of the dataset.
        made_for: what every shard was checked against: the plan, and the release of nonesuch that checked.
        shards: by number, the states of its files as `file_states` tells them, and the hash that its tar had.
    """

    folder: Path
    made_for: str
    shards: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path, manifest: Manifest) -> "CheckedShards":
        """The record in a folder; an empty one where there is none, or one of another plan or release."""
        made_for = f"nonesuch {VERSION} {manifest.plan_sha256} {manifest.identities_sha256}"
        with contextlib.suppress(NonesuchError):
            told = files.read_json(folder / RECORD)
            if told.get("made_for") == made_for and isinstance(told.get("shards"), dict):
                return cls(folder, made_for, told["shards"])
        return cls(folder, made_for)

    def has(self, number: int, state: list[str]) -> bool:
        """Whether a shard was found sound in this state."""
        return bool(state) and self.shards.get(f"{number:06d}") == state

    def add(self, number: int, state: list[str]) -> None:
        """A shard was found sound in this state; an empty one takes it out."""
        self.shards[f"{number:06d}"] = state

    def write(self) -> None:
        """Keep the record; raises NonesuchError where it cannot be written."""
        kept = {number: state for number, state in self.shards.items() if state}
        files.write_json(self.folder / RECORD, {"made_for": self.made_for, "shards": kept})


def shard_state(check: ShardCheck, number: int, expected_hash: str | None) -> list[str]:
    """How a shard's files are on the disk: hash of the tar as the manifest says, then size, times, and inode of each.

    Empty where one is missing, was changed in the last two seconds, or where the manifest has no hash yet.
    """
    places = [*astuple(shard_files(check.folder, number))]
    places += [columns_file(check.folder, group, number) for group in check.groups]
    settled = time.time_ns() - int(_SETTLED_SECONDS * 1e9)
    state = [expected_hash or ""]
    for place in places:
        try:
            told = place.stat()
        except OSError:
            return []
        if expected_hash is None or told.st_ctime_ns > settled:
            return []
        state.append(f"{told.st_size} {told.st_mtime_ns} {told.st_ctime_ns} {told.st_ino}")
    return state
