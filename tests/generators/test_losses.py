from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from skimage.metrics import structural_similarity

from nonesuch.core.errors import NonesuchError
from nonesuch.generators.losses import Lpips, feature_distance, load_lpips, ssim
from tests.filling import fill


def test_ssim_equals_scikit_image() -> None:
    rng = np.random.default_rng(0)
    a = rng.uniform(0, 1, (2, 3, 40, 30))
    b = np.clip(a + rng.normal(0, 0.2, a.shape), 0, 1)
    ours = ssim(torch.from_numpy(a).float(), torch.from_numpy(b).float())
    theirs = [
        structural_similarity(
            x, y, channel_axis=0, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        for x, y in zip(a, b, strict=True)
    ]
    assert ours.tolist() == pytest.approx(theirs, abs=1e-4)


def test_ssim_keeps_its_precision_under_autocast() -> None:
    a = torch.rand(1, 3, 32, 32) * 0.01 + 0.5
    with torch.autocast("cpu", torch.bfloat16):
        assert float(ssim(a, a)) == pytest.approx(1.0, abs=1e-4)


def test_feature_distance_by_hand() -> None:
    a, b = torch.zeros(1, 2, 1, 2), torch.zeros(1, 2, 1, 2)
    a[0, :, 0, 0], b[0, :, 0, 0] = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 5.0])  # orthogonal: distance 2
    a[0, :, 0, 1], b[0, :, 0, 1] = torch.tensor([1.0, 1.0]), torch.tensor([7.0, 7.0])  # parallel: distance 0
    assert float(feature_distance([a], [b])) == pytest.approx(1.0)
    assert float(feature_distance([a, a], [b, b])) == pytest.approx(2.0)


@pytest.fixture(scope="module")
def lpips_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("lpips")
    network = Lpips()
    fill(network)
    state = network.state_dict()
    classifier = {"classifier.0.weight": torch.zeros(2, 2)}  # torchvision's file has one
    save_file({k: v for k, v in state.items() if k.startswith("features.")} | classifier, folder / "vgg.safetensors")
    save_file({k: v.abs() for k, v in state.items() if k.startswith("lin")}, folder / "lin.safetensors")
    return folder / "vgg.safetensors", folder / "lin.safetensors"


def test_lpips_by_an_independent_computation(lpips_files: tuple[Path, Path]) -> None:
    network = load_lpips(*lpips_files)
    torch.manual_seed(0)
    images = torch.rand(2, 2, 3, 32, 32) * 2 - 1
    ours = network(images[0], images[1])

    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    # [-1, 1] to ImageNet's normalisation; the authors round the constants to three places.
    x = ((images + 1) / 2 - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    expected = torch.zeros(2)
    stage = 0
    for index, layer in enumerate(network.features):
        x = torch.stack([layer(part) for part in x])
        if index in (3, 8, 15, 22, 29):  # relu1_2, relu2_2, relu3_3, relu4_3, relu5_3
            unit = x / x.norm(dim=2, keepdim=True)
            weights = network.state_dict()[f"lin{stage}.model.1.weight"].view(1, -1, 1, 1)
            expected += ((unit[0] - unit[1]) ** 2 * weights).sum(1).mean((1, 2))
            stage += 1
    torch.testing.assert_close(ours, expected, rtol=0.02, atol=1e-4)
    assert network(images[0], images[0]).tolist() == [0, 0]


def test_lpips_files_that_are_none(lpips_files: tuple[Path, Path], tmp_path: Path) -> None:
    vgg, _ = lpips_files
    with pytest.raises(NonesuchError, match="missing"):
        load_lpips(vgg, vgg)
    network = Lpips()
    fill(network)
    save_file({k: -v.abs() for k, v in network.state_dict().items() if k.startswith("lin")}, tmp_path / "l.safetensors")
    with pytest.raises(NonesuchError, match="never negative"):
        load_lpips(vgg, tmp_path / "l.safetensors")
