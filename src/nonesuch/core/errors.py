"""The one exception that the command line turns into a single clear line."""


class NonesuchError(Exception):
    """Bad input or a failed environment. The message says in one line what is wrong and how to fix it."""
