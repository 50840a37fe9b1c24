"""The blocks of a vision transformer are torch's own."""

import pytest
import torch
from torch import nn

from nonesuch.core.transformer import Attention, Block


def test_a_block_is_torchs() -> None:
    torch.manual_seed(0)
    dim, heads = 12, 3
    block = Block(dim, heads, 0.3).eval()  # outside of training nothing is dropped
    theirs = nn.TransformerEncoderLayer(
        dim, heads, 4 * dim, activation="gelu", layer_norm_eps=1e-6, batch_first=True, norm_first=True
    ).eval()
    pairs = {
        "self_attn.in_proj_": "attn.qkv.", "self_attn.out_proj.": "attn.proj.", "linear1.": "mlp.fc1.",
        "linear2.": "mlp.fc2.", "norm1.": "norm1.", "norm2.": "norm2.",
    }  # fmt: skip
    for parameter in block.parameters():
        nn.init.normal_(parameter)
    mine = block.state_dict()
    theirs.load_state_dict({a + kind: mine[b + kind] for a, b in pairs.items() for kind in ("weight", "bias")})
    x = torch.randn(2, 5, dim)
    with torch.no_grad():
        assert torch.allclose(block(x), theirs(x), atol=1e-4)


def test_dropout_is_in_training_alone() -> None:
    block, x = Block(8, 2, 0.5), torch.randn(1, 4, 8)
    assert not torch.equal(block(x), block(x))
    block.eval()
    assert torch.equal(block(x), block(x))


def test_heads_that_cannot_share_a_width() -> None:
    with pytest.raises(ValueError, match="5 attention heads cannot share a width of 12"):
        Attention(12, 5, 0.0)
