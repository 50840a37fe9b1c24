"""A quick run of each of the four training commands, as Python and the command line are given it."""

from pathlib import Path
from typing import Any


def options_of(folder: Path, command: str) -> dict[str, Any]:
    """A quick run of a command, by the names of the Python function's arguments."""
    common = {"data": folder / "people", "batch": 8, "images_seen": 24, "seed": 3, "licence": "test only"}
    return {
        "train-generator": {**common, "preset": "vec2face_tiny", "loss": {"pixel": 0.5}, "adversarial_from": 8},
        "train-perceiver": {**common, "data": folder / "people.tar", "preset": "perceiver_tiny", "data_share": 0.9},
        "recognize train": {**common, "preset": "tiny", "head": "cosface", "accumulate": 2},
        "recognize adapt": {**common, "embedder": folder / "iresnet.safetensors", "rank": 2},
    }[command]


def arguments_of(options: dict[str, Any]) -> list[object]:
    """The same for the command line."""
    found: list[object] = []
    for name, value in options.items():
        values = [f"{key}={number}" for key, number in value.items()] if isinstance(value, dict) else [value]
        found += [part for each in values for part in (f"--{name.replace('_', '-')}", each)]
    return found
