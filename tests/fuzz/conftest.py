"""How long to look: a glance in every test run, and as many examples as FUZZ says in `make fuzz`."""

import os

from hypothesis import HealthCheck, settings

_EXAMPLES = int(os.environ.get("FUZZ", "0"))
settings.register_profile(
    "fuzz",
    max_examples=_EXAMPLES or 10,
    derandomize=not _EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("fuzz")
