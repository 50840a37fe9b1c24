"""What a user should know though nothing failed: a warning for Python, a line on standard error for the commands."""

import warnings


class Notice(UserWarning):
    """Something that was done differently from what a user may expect, such as images that were left out."""


def notice(text: str) -> None:
    """Tell it. Python shows it as a warning, and `warnings.simplefilter("error", Notice)` makes it an error."""
    warnings.warn(Notice(text), stacklevel=3)
