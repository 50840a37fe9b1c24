import os
import subprocess
import sys

_FAULTS = """
import resource, sys
from nonesuch.core.allocator import keep_memory
kept = keep_memory() if "keep" in sys.argv else None
if "churn" in sys.argv:
    import torch
def churn():
    for _ in range(20 * ("churn" in sys.argv)):
        torch.ones(20_000_000)
churn()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
churn()
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _faults(*how: str, **environment: str) -> tuple[str, int]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    result = subprocess.run(
        [sys.executable, "-c", _FAULTS, *how], env=clean | environment, capture_output=True, text=True, check=True
    )
    kept, faults = result.stdout.split()
    return kept, int(faults)


def test_freed_tensors_are_used_again_without_page_faults() -> None:
    kept, faults = _faults("keep", "churn")
    _, usual = _faults("churn")
    assert kept == "True"
    assert faults < 100 < 10_000 < usual


def test_the_users_own_settings_are_left_alone() -> None:
    assert _faults("keep", MALLOC_ARENA_MAX="3")[0] == "False"
    assert _faults("keep", LD_PRELOAD="libm.so.6")[0] == "False"
