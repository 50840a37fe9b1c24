"""Named sizes of IDiff-Face. The tiny one is for tests."""

from typing import Any

# Arguments of `nonesuch.generators.idiff.network.LatentDiffusion`. "idiff" is the published model.
IDIFF: dict[str, dict[str, Any]] = {
    "idiff_tiny": {
        "unet": {
            "width": 32,
            "multipliers": (1, 2),
            "blocks": 1,
            "attended": (False, True),
            "feature_dim": 192,
            "context_width": 32,
        },
        "first_stage": {"codes": 64, "width": 32, "multipliers": (1, 1, 1), "blocks": 1},
        "latent_side": 28,
    },
    "idiff": {},
}
