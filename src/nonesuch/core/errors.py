"""The one exception that the command line turns into a single clear line, and warnings that it shows in one line."""

import warnings


class NonesuchError(Exception):
    """Bad input or a failed environment. The message says in one line what is wrong and how to fix it."""


class NonesuchWarning(UserWarning):
    """Something that the work goes on without. The message says in one line what, and what follows from it."""


def warn(message: str) -> None:
    """Warn of something that the work goes on without; the command line prints it as one line."""
    warnings.warn(message, NonesuchWarning, stacklevel=3)
