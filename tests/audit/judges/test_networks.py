"""Networks that users supply, against plain arithmetic on made ones."""

from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch
from PIL import Image
from safetensors.numpy import save_file

from nonesuch.audit.judges.clip_iqa import load_clip_iqa
from nonesuch.audit.judges.inception import figure_name, load_inception
from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import sha256
from nonesuch.measures.realism import frechet_distance
from tests.onnx_networks import pooling_network


def _crops(count: int = 40, seed: int = 0) -> np.ndarray:
    draws = np.random.default_rng(seed)
    coarse = draws.integers(0, 256, (count, 7, 7, 3))
    return np.kron(coarse, np.ones((1, 16, 16, 1))).astype(np.uint8)


def test_fid_of_known_features(tmp_path: Path) -> None:
    """2,048 features of which twelve vary: the distance is that of the twelve, known by scipy and Pillow's resizing."""
    matrix = np.zeros((12, 2048))
    matrix[:, :12] = np.random.default_rng(1).normal(size=(12, 12)) / 50
    path = pooling_network(tmp_path / "made.onnx", 299, matrix, 149)  # its pooling leaves out the last row and column
    inception = load_inception(path, "cpu", threads=1)
    assert figure_name(inception) == f"FID by made.onnx, sha256 {sha256(path)[:12]}"
    sets = _crops(), (0.7 * _crops(50, 3) + 20).astype(np.uint8)
    found = [inception.embed(crops) for crops in sets]
    assert found[0].shape == (40, 2048)
    known = []
    for crops in sets:
        channels = np.moveaxis(crops, 3, 1).reshape(-1, 112, 112).astype(np.float32)
        large = np.stack([np.array(Image.fromarray(c).resize((299, 299), Image.Resampling.BILINEAR)) for c in channels])
        pooled = large[:, :298, :298].reshape(-1, 2, 149, 2, 149).mean((2, 4)).reshape(len(crops), 12)
        known.append(pooled.astype(np.float64) @ matrix[:, :12])
    for one, other in zip(found, known, strict=True):
        assert np.allclose(one[:, :12], other, atol=1e-3)
    means, covariances = zip(*((part.mean(0), np.cov(part.T)) for part in known), strict=True)
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    expected = ((means[0] - means[1]) ** 2).sum() + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert expected > 1
    assert not any(part[:, 12:].any() for part in found)
    assert frechet_distance(*(part[:, :12] for part in found)) == pytest.approx(expected, rel=1e-4)


def test_clip_iqa_of_known_embeddings(tmp_path: Path) -> None:
    """The embedding is the mean colour as CLIP scales it: of two prompts along red and blue, red is good."""
    matrix = np.zeros((3, 5))
    matrix[:, :3] = np.eye(3)
    encoder = pooling_network(tmp_path / "encoder.onnx", "side", matrix, 224)
    prompts = tmp_path / "prompts.safetensors"
    good, bad = np.array([3, 0, 0, 0, 0.1], dtype=np.float32), np.array([[0, 0, 0.5, 0, 0]], dtype=np.float32)
    save_file({"good": good, "bad": bad}, prompts)
    crops = _crops(12)
    crops[:4, ..., 2] = crops[:4, ..., 0]
    crops[8:, ..., 0] = 250
    found = load_clip_iqa(encoder, prompts, "cpu").scores(crops)
    embedding = (crops.mean((1, 2)) / 255 - [0.48145466, 0.4578275, 0.40821073]) / [0.26862954, 0.26130258, 0.27577711]
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    cosines = torch.tensor(np.stack([embedding[:, 0] * 3 / np.hypot(3, 0.1), embedding[:, 2]], 1))
    assert np.allclose(found, torch.softmax(100 * cosines, 1)[:, 0], atol=1e-3)
    assert found.dtype == np.float32
    assert found.min() < 0.1 < 0.9 < found.max()


@pytest.mark.parametrize(
    ("size", "width", "said"),
    [(224, 2048, "takes images of 224 pixels, not 299"), (299, 1000, "gives 1000 numbers")],
)
def test_networks_that_are_not_inception(tmp_path: Path, size: int, width: int, said: str) -> None:
    path = pooling_network(tmp_path / "made.onnx", size, np.ones((3, width)), size)
    with pytest.raises(NonesuchError, match=said):
        load_inception(path, "cpu")


def test_files_that_are_no_networks(tmp_path: Path) -> None:
    junk = tmp_path / "junk.onnx"
    junk.write_bytes(b"\x80\x04junk")
    for path in (junk, tmp_path / "none.onnx", tmp_path):
        with pytest.raises(NonesuchError, match="not a readable ONNX model"):
            load_inception(path, "cpu")


@pytest.mark.parametrize(
    ("prompts", "said"),
    [
        ({"good": np.ones(5)}, "two tensors of one width"),
        ({"good": np.ones(5), "bad": np.ones(4)}, "two tensors of one width"),
        ({"good": np.ones(5), "bad": np.zeros(5)}, "is zero"),
        ({"good": np.full(5, np.nan), "bad": np.ones(5)}, "NaN"),
        ({"good": np.ones(4), "bad": np.ones(4)}, "gives 5 numbers for an image, not 4"),
    ],
)
def test_prompts_that_are_none(tmp_path: Path, prompts: dict[str, np.ndarray], said: str) -> None:
    save_file({name: values.astype(np.float32) for name, values in prompts.items()}, tmp_path / "prompts.safetensors")
    encoder = pooling_network(tmp_path / "encoder.onnx", 224, np.ones((3, 5)), 224)
    with pytest.raises(NonesuchError, match=said):
        load_clip_iqa(encoder, tmp_path / "prompts.safetensors", "cpu")
