"""Named sizes of the perception heads, and how each is trained. The tiny one is for tests."""

from typing import Any

from nonesuch.perception.training import PerceiverRecipe

# Arguments of `nonesuch.perception.attributes.AttributeHeads`.
PERCEIVERS: dict[str, dict[str, Any]] = {"perceiver_tiny": {"width": 16}, "perceiver": {}}
PERCEIVER_RECIPES: dict[str, PerceiverRecipe] = {
    "perceiver_tiny": PerceiverRecipe(images=64, batch=8, lr=2e-3, warmup=8, ema_images=16),
    "perceiver": PerceiverRecipe(images=100_000, batch=64, lr=1.5e-3, warmup=2_000, ema_images=5_000),
}
