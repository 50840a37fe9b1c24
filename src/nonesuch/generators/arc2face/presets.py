"""Named sizes of Arc2Face. The tiny one is for tests."""

from typing import Any

# Arguments of `nonesuch.generators.arc2face.network.Arc2Face`. "arc2face" is the published model.
ARC2FACE: dict[str, dict[str, Any]] = {
    "arc2face_tiny": {
        "unet": {
            "block_out_channels": (16, 32),
            "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
            "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
            "layers_per_block": 1,
            "cross_attention_dim": 192,
            "attention_head_dim": 4,
            "norm_num_groups": 8,
        },
        "vae": {
            "block_out_channels": (8, 16),
            "down_block_types": ("DownEncoderBlock2D",) * 2,
            "up_block_types": ("UpDecoderBlock2D",) * 2,
            "layers_per_block": 1,
            "norm_num_groups": 8,
        },
        "encoder": {"feature_dim": 192, "width": 192, "layers": 1, "heads": 3, "inner": 64},
        "latent_side": 8,
    },
    "arc2face": {},
}
