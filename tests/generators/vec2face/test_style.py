import pytest
import torch
from torch.distributions import Normal
from torch.distributions import kl_divergence as reference

from nonesuch import create_model
from nonesuch.core.augmentation import disturbed
from nonesuch.generators.vec2face.style import StyleEncoder, kl_divergence


def test_kl_divergence_is_torchs() -> None:
    mean, log_variance = torch.randn(5, 4), torch.randn(5, 4)
    expected = reference(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(kl_divergence(mean, log_variance), expected)


def test_encoder_shapes() -> None:
    mean, log_variance = StyleEncoder(192, 16)(torch.randn(2, 3, 112, 112), torch.randn(2, 192))
    assert mean.shape == log_variance.shape == (2, 16)


def test_a_style_changes_the_image_and_none_is_the_mean_style() -> None:
    torch.manual_seed(0)
    network = create_model("vec2face_tiny").eval()
    torch.nn.init.normal_(network.im_decoder.mid.block_1.condition.weight)  # starts at zero
    vectors, noise = torch.randn(2, 192), torch.rand(2, 49)
    with torch.inference_mode():
        plain = network(vectors, noise=noise, mask_ratio=0.5, drop_ratio=0.1)
        mean = network(vectors, noise=noise, mask_ratio=0.5, drop_ratio=0.1, style=torch.zeros(2, 4))
        other = network(vectors, noise=noise, mask_ratio=0.5, drop_ratio=0.1, style=torch.randn(2, 4))
    torch.testing.assert_close(plain, mean)
    assert (plain - other).abs().max() > 1e-3


def test_published_presets_have_no_style_code() -> None:
    with torch.device("meta"):
        network = create_model("vec2face_base")
    assert network.style_dim == 0
    with pytest.raises(ValueError, match="no style code"):
        network(torch.empty(1, 512), noise=torch.empty(1, 49), mask_ratio=0.5, drop_ratio=0.1, style=torch.empty(1, 4))


def test_equal_draws_disturb_equally_and_a_little() -> None:
    draws = torch.rand(40, 7, generator=torch.Generator().manual_seed(0))
    axis = torch.linspace(-1, 1, 64)
    smooth = torch.stack([axis.expand(64, 64), axis[:, None].expand(64, 64), torch.zeros(64, 64)])
    images = smooth.expand(40, -1, -1, -1)
    one = disturbed(images, draws)
    assert torch.equal(one[5:6], disturbed(images[5:6], draws[5:6]))
    mirrored = (one[:, 0, 32, 48] < one[:, 0, 32, 16]).float().mean()
    assert 0.2 < mirrored < 0.8
    restored = torch.where((one[:, 0, 32, 48] < one[:, 0, 32, 16])[:, None, None, None], one.flip(3), one)
    assert (restored - images)[:, :, 8:56, 8:56].abs().max() < 0.45
    assert (one[0] - one[1]).abs().max() > 0.01
    leaf = torch.rand(2, 3, 32, 32, requires_grad=True)
    disturbed(leaf, draws[:2]).sum().backward()
    assert leaf.grad is not None
