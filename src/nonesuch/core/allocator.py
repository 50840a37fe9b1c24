"""Allocator settings that spare tensor code its page faults.

With glibc's defaults, every large tensor is mapped and unmapped each time: up to half of a training step on a CPU goes
into page faults. Keeping the memory costs some peak memory and nothing else.
"""

import ctypes
import os
import sys

# Parameter numbers of glibc's mallopt(3).
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8


def keep_memory() -> bool:
    """Ask glibc to keep freed memory; True where that took effect.

    Does nothing where another allocator is preloaded, where the user has set MALLOC_ variables, or where the C
    library is not glibc.
    """
    if not sys.platform.startswith("linux") or os.environ.get("LD_PRELOAD"):
        return False
    if any(name.startswith("MALLOC_") for name in os.environ):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None or not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"):
        return False
    settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1), (_TOP_PAD, 64 << 20), (_ARENA_MAX, 1))
    return all(mallopt(name, value) for name, value in settings)
