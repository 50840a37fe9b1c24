"""The one exception that the command line turns into a single clear line."""


class NonesuchError(Exception):
    """Bad input or a failed environment. The message names the thing and the mend, in one line."""
