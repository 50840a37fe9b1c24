"""Notices as lines on standard error."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from nonesuch.core.notices import Notice


@contextmanager
def notices_shown() -> Iterator[None]:
    """Show each notice once as a line that begins with "note:", from the first of several processes only."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", Notice)
        show, told = warnings.showwarning, set()

        def tell(message: Warning | str, category: type[Warning], *where: object) -> None:
            if not issubclass(category, Notice):
                show(message, category, *where)  # type: ignore[arg-type]
            elif str(message) not in told:
                from nonesuch.loop import distributed  # imports torch, which has no place at the start of every command

                told.add(str(message))
                if distributed.is_first():
                    print(f"note: {' '.join(str(message).split())}", file=sys.stderr, flush=True)

        warnings.showwarning = tell  # type: ignore[assignment]
        yield
