"""The table of a sample that takes long: saved now and then, taken up after a kill, extended later."""

import time
from pathlib import Path
from typing import Any

from nonesuch.core.errors import NonesuchError
from nonesuch.core.notices import notice
from nonesuch.identities import table
from nonesuch.identities.sampling import KeptApart

_EVERY_SECONDS = 60
_SHARE_FOR_SAVING = 0.05


class GrowingTable:
    """A table of sampled identities under way.

    Args:
        out: the table when it is finished.
        embedder, embedder_sha256: whose vectors they are.
        record: what determines the sample besides the embedder, JSON-ready.
    """

    def __init__(self, out: Path, embedder: str, embedder_sha256: str, record: dict[str, Any]) -> None:
        self.out, self.embedder, self.embedder_sha256, self.record = out, embedder, embedder_sha256, record
        self.unfinished = out.with_name(f"{out.stem}.unfinished{out.suffix}")
        self._next = time.monotonic() + _EVERY_SECONDS

    def start(self, extend: Path | None, identities: int) -> KeptApart | None:
        """What is there already: the larger of an unfinished table and one to extend; None where there is neither.

        Raises:
            NonesuchError: it cannot be read, is a sample of other options, or of more than `identities`.
        """
        paths = [path for path in (self.unfinished, extend) if path is not None and (path == extend or path.exists())]
        starts = [self._read(path) for path in paths]
        if self.unfinished in paths:
            notice(f"{self.unfinished}: goes on from {len(starts[0].vectors):,} identities")
        for path, start in zip(paths, starts, strict=True):
            if len(start.vectors) > identities:
                raise NonesuchError(
                    f"{path}: holds {len(start.vectors):,} identities already; ask for more --identities"
                )
        return max(starts, key=lambda start: start.drawn, default=None)

    def _read(self, path: Path) -> KeptApart:
        start, record = table.read_sampled(path)
        if keys := [key for key in {**self.record, **record} if self.record.get(key) != record.get(key)]:
            key = min(keys)
            old, new = ("none" if told.get(key) is None else told[key] for told in (record, self.record))
            other = any(isinstance(value, list) for value in (old, new))
            differs = (
                f"with other {key.replace('_', ' ')} options"
                if other
                else f"of {key.replace('_', ' ')} {old}, not {new}"
            )
            raise NonesuchError(
                f"{path}: a sample {differs}; "
                + ("repeat its options, or delete it" if path == self.unfinished else "repeat its options")
            )
        return start

    def save(self, kept: KeptApart) -> None:
        """Save what is kept so far, at most once a minute and in a twentieth of the time."""
        begun = time.monotonic()
        if begun < self._next:
            return
        self._write(self.unfinished, kept)
        now = time.monotonic()
        self._next = now + max(_EVERY_SECONDS, (now - begun) / _SHARE_FOR_SAVING)

    def finish(self, sample: KeptApart) -> None:
        """Write the table, and remove the unfinished one."""
        self._write(self.out, sample)
        self.unfinished.unlink(missing_ok=True)

    def _write(self, path: Path, kept: KeptApart) -> None:
        table.write_sampled(path, kept, self.embedder, self.embedder_sha256, self.record)
