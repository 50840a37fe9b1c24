"""Named sizes of Vec2Face, and how each is trained. The tiny one is for tests."""

from typing import Any

from nonesuch.generators.vec2face.training import GeneratorRecipe, LossWeights

# Arguments of `nonesuch.generators.vec2face.network.Vec2Face`. base, large and huge are the published models.
VEC2FACE: dict[str, dict[str, Any]] = {
    "vec2face_tiny": {
        "feature_dim": 192,
        "dim": 32,
        "encoder_blocks": 1,
        "decoder_blocks": 1,
        "encoder_heads": 2,
        "decoder_heads": 2,
        "map_width": 16,
        "decoder_widths": (4, 8, 8, 16, 16),
        "decoder_depths": (1, 1, 1, 1, 1),
        "narrow_upsample": True,
        "group_width": 4,
        "dropout": 0.1,
        "published_extras": False,
        "float32_blocks": False,
        "style_dim": 4,
    },
    "vec2face_small": {
        "feature_dim": 192,
        "dim": 192,
        "encoder_blocks": 4,
        "decoder_blocks": 2,
        "encoder_heads": 4,
        "decoder_heads": 6,
        "map_width": 128,
        "decoder_widths": (16, 32, 64, 128, 192),
        "decoder_depths": (1, 1, 2, 2, 1),
        "narrow_upsample": True,
        "group_width": 16,
        "dropout": 0.0,
        "published_extras": False,
        "float32_blocks": False,
        "style_dim": 16,
    },
    "vec2face_base": {"dim": 768, "encoder_blocks": 12, "encoder_heads": 12},
    "vec2face_large": {"dim": 1024, "encoder_blocks": 24, "encoder_heads": 16},
    "vec2face_huge": {"dim": 1280, "encoder_blocks": 32, "encoder_heads": 16},
}

# How each is trained. The published recipe: 100 epochs of 1,022,444 images, warm-up of 5, adversarial from the 80th,
# lr 4e-5 * batch / 112.
_EPOCH = 1_022_444
_PUBLISHED = GeneratorRecipe(
    images=100 * _EPOCH,
    batch=128,
    lr=4e-5 * 128 / 112,
    warmup=5 * _EPOCH,
    ema_images=500_000,
    adversarial_from=80 * _EPOCH,
)
GENERATOR_RECIPES: dict[str, GeneratorRecipe] = {
    "vec2face_tiny": GeneratorRecipe(
        images=64,
        batch=8,
        lr=1e-3,
        warmup=16,
        ema_images=32,
        adversarial_from=32,
        prior_share=0.5,
        disturb=True,
        discriminator={"stem": (8, 4, 4), "stages": (16, 16, 16)},
        losses=LossWeights(style=1e-3, prior_identity=0.5, prior_adversarial=0.1, adversarial=0.1),
    ),
    "vec2face_small": GeneratorRecipe(
        images=400_000,
        batch=32,
        lr=5e-4,
        warmup=1_000,
        ema_images=4_000,
        adversarial_from=60_000,
        discriminator_decays=True,
        prior_share=0.25,
        disturb=True,
        discriminator={"stem": (8, 4, 4), "stages": (32, 64, 128)},
        losses=LossWeights(
            perceptual=0.2,
            token=0.1,
            identity=0.6,
            adversarial=0.8,
            style=0.001,
            prior_identity=0.15,
            prior_adversarial=0.4,
            landmarks=0.15,
        ),
    ),
    "vec2face_base": _PUBLISHED,
    "vec2face_large": _PUBLISHED,
    "vec2face_huge": _PUBLISHED,
}
