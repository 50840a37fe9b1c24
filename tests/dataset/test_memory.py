"""Peak memory does not grow with the number of images."""

import subprocess
import sys
from pathlib import Path

_CODE = """
import resource, sys
from pathlib import Path
sys.argv = ["nonesuch", "generate", *sys.argv[1:]]
from nonesuch.cli.app import main
try:
    main()
except SystemExit as stopped:
    assert not stopped.code, stopped.code
status = Path("/proc/self/status")  # on Linux ru_maxrss is that of the parent where that is larger
told = status.read_text() if status.exists() else ""
print("peak", told.split("VmHWM:")[1].split()[0] if told else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def _peak_megabytes(out: Path, generator: Path, images: int) -> float:
    options = ["--generator", generator, "--identities", 20, "--images", images, "--shard-images", 500, "--no-summary"]
    command = [sys.executable, "-c", _CODE, str(out), *map(str, options)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return int(printed.split("peak")[1]) / 1024


def test_ten_times_the_images_take_no_more_memory(tiny_generator: Path, tmp_path: Path) -> None:
    few = _peak_megabytes(tmp_path / "few", tiny_generator, 5)
    many = _peak_megabytes(tmp_path / "many", tiny_generator, 50)
    # 900 more images are 135 MB as float32 pixels.
    assert many < few + 60
