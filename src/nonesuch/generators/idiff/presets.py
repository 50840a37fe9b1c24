"""Named sizes of IDiff-Face and its first stages, and how each is trained. The tiny ones are for tests."""

from dataclasses import replace
from typing import Any

from nonesuch.generators.idiff.diffusion_training import DiffusionLosses, DiffusionRecipe
from nonesuch.generators.idiff.distillation import DistillationRecipe
from nonesuch.generators.idiff.first_stage_training import FirstStageLosses, FirstStageRecipe

# Arguments of `IDiffFirstStage`, or of `KlFirstStage` for those of KL_FIRST_STAGES.
_TINY_STAGE: dict[str, Any] = {"codes": 64, "width": 32, "multipliers": (1, 1, 1), "blocks": 1}
_SMALL_STAGE: dict[str, Any] = {}
FIRST_STAGES: dict[str, dict[str, Any]] = {"idiff_first_stage": {}, "idiff_tiny_first_stage": _TINY_STAGE}
KL_FIRST_STAGES: dict[str, dict[str, Any]] = {
    "idiff_small_first_stage": _SMALL_STAGE,
    "idiff_small_decoder": _SMALL_STAGE,
}

# Arguments of `nonesuch.generators.idiff.network.LatentDiffusion`. "idiff" is the published model,
# "idiff_unconditional" the one behind its two-stage contexts, "idiff_adagn" the one without cross-attention.
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
        "first_stage": _TINY_STAGE,
        "latent_side": 28,
    },
    "idiff_small": {
        "unet": {
            "channels": 8,
            "width": 128,
            "multipliers": (1, 2),
            "blocks": 1,
            "attended": (False, True),
            "feature_dim": 192,
            "context_dropout": 0.0,
            "conditioning": "time",
            "context_scale": 13.86,
        },
        "first_stage": _SMALL_STAGE,
        "codebook": False,
        "latent_side": 14,
    },
    "idiff": {},
    "idiff_unconditional": {"unet": {"conditioning": "none"}},
    "idiff_adagn": {"unet": {"conditioning": "adagn"}},
}

# Published: 150,000 steps of 512, the first period of the learning rate 10,000. The first stage is VQGAN's for FFHQ.
_STEP = 512
DIFFUSION_RECIPES: dict[str, DiffusionRecipe] = {
    "idiff_tiny": DiffusionRecipe(
        images=64,
        batch=8,
        lr=1e-3,
        warmup=16,
        ema_images=32,
        losses=DiffusionLosses(identity=0.25),
        without_identity=0.25,
        period=16,
        sampling={"steps": 2},
    ),
    "idiff_small": DiffusionRecipe(
        images=200_000,
        batch=48,
        lr=6e-4,
        warmup=2_000,
        ema_images=6_000,
        losses=DiffusionLosses(identity=1.5),
        prediction="velocity",
        schedule="cosine",
        without_identity=0.1,
        latent_scale=None,
        weight_decay=0.01,
        sampling={"sampler": "ddim", "steps": 10},
    ),
    "idiff": DiffusionRecipe(
        images=150_000 * _STEP, batch=_STEP, lr=1e-4, warmup=0, ema_images=500_000, period=10_000 * _STEP
    ),
}
# Sizes are the teacher's, whose card has those that differ from the preset's.
IDIFF |= {"idiff_tiny_fast": IDIFF["idiff_tiny"], "idiff_fast": IDIFF["idiff_small"]}
DISTILLATION_RECIPES: dict[str, DistillationRecipe] = {
    "idiff_tiny_fast": DistillationRecipe(
        images=64,
        batch=8,
        lr=1e-3,
        warmup=16,
        ema_images=32,
        pairs=12,
        teacher="ddim,steps=2",
        decoded_from=16,
        discriminator={"bands": (8, 16), "whole": (8, 16)},
    ),
    "idiff_fast": DistillationRecipe(
        images=60_000,
        batch=16,
        lr=1e-4,
        warmup=640,
        ema_images=2_000,
        pairs=15_000,
        teacher="ddim,steps=10,eta=0,guidance=1,negative=0,least_cosine=1",
        decoded_from=40_000,
    ),
}
FIRST_STAGE_RECIPES: dict[str, FirstStageRecipe] = {
    "idiff_tiny_first_stage": FirstStageRecipe(
        images=64,
        batch=8,
        lr=1e-3,
        warmup=16,
        ema_images=32,
        adversarial_from=32,
        discriminator={"stem": (8, 4, 4), "stages": (16, 16, 16)},
        side=112,
    ),
    "idiff_small_first_stage": FirstStageRecipe(
        images=48_000,
        batch=16,
        lr=1e-3,
        warmup=500,
        ema_images=1_500,
        losses=FirstStageLosses(perceptual=0.3, kl=2e-4, adversarial=0.1),
        adversarial_from=16_000,
        adaptive=False,
        bands=True,
        side=112,
        encoder_until=16_000,
    ),
    "idiff_first_stage": FirstStageRecipe(
        images=70_000 * 60, batch=32, lr=4.5e-6 * 32, warmup=0, ema_images=70_000, adversarial_from=30_001 * 32
    ),
}
# The second half of the small first stage's training, on one that is there.
FIRST_STAGE_RECIPES["idiff_small_decoder"] = replace(
    FIRST_STAGE_RECIPES["idiff_small_first_stage"],
    images=6_000,
    lr=4e-4,
    warmup=320,
    ema_images=1_000,
    adversarial_from=0,
    encoder_until=0,
)
