"""How much memory a benchmark's process has taken at most."""

from pathlib import Path


def peak_megabytes() -> float:
    """Of this process alone, on Linux; ru_maxrss is the parent's where that is larger."""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
