"""The documented Python calls check what they are given, as the commands do: one clear error, never a wrong result."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from nonesuch import NonesuchError, create_model, load_detector, load_embedder, load_generator, load_perceiver
from nonesuch.embedders.embedder import Embedder
from nonesuch.generators.generator import Generator
from nonesuch.generators.losses import ssim
from nonesuch.perception.detection import Detector
from nonesuch.perception.perceiver import COLUMNS, Perceiver
from nonesuch.steering.steerer import Steerer, SteerSettings
from nonesuch.steering.wishes import parse_wish

VECTORS = (np.random.default_rng(0).standard_normal((3, 192)) * 5).astype(np.float32)
SEEDS = np.arange(3, dtype=np.uint64)
CROPS = np.full((2, 112, 112, 3), 128, dtype=np.uint8)
ROWS = [
    ({"seeds": SEEDS[:1]}, "3 vectors do not go with seeds of shape"),
    ({"seeds": np.arange(5)}, "3 vectors do not go with seeds of shape"),
    ({"seeds": SEEDS[:, None]}, "do not go with seeds of shape"),
    ({"seeds": np.array([0, 1, -1])}, "seeds are whole numbers of at least 0"),
    ({"seeds": np.array([0.5, 1.0, 2.0])}, "seeds are whole numbers of at least 0"),
    ({"seeds": ["a", "b", "c"]}, "seeds are whole numbers"),
    ({"vectors": VECTORS[0]}, r"takes vectors of width 192, \(N, 192\), not \(192,\)"),
    ({"vectors": VECTORS[:, :100]}, "takes vectors of width 192"),
    ({"vectors": [["a"]]}, "takes arrays of numbers"),
    ({"vectors": VECTORS * np.nan}, "zero or holds NaN"),
    ({"micro_batch": 0}, "--micro-batch 0: not in the range 1<=x"),
    ({"micro_batch": -1}, "--micro-batch -1: not in the range"),
    ({"micro_batch": 1.5}, "--micro-batch 1.5: not a whole number"),
    ({"style_spread": -1.0}, "--style-spread -1.0: not in the range"),
    ({"style_spread": float("nan")}, "--style-spread nan: not in the range"),
]


@pytest.fixture(scope="module")
def generator(tiny_generator: object) -> Generator:
    return load_generator(str(tiny_generator), "cpu")


@pytest.fixture(scope="module")
def perceiver() -> Perceiver:
    return load_perceiver(device="cpu")


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return load_embedder("mobilefacenet", "cpu")


@pytest.fixture(scope="module")
def detector() -> Detector:
    return load_detector("cpu")


@pytest.mark.parametrize(("wrong", "says"), ROWS)
def test_rendering(generator: Generator, wrong: dict[str, object], says: str) -> None:
    with pytest.raises(NonesuchError, match=says):
        generator.render(**{"vectors": VECTORS, "seeds": SEEDS, "micro_batch": 2, **wrong})


@pytest.mark.parametrize(("wrong", "says"), ROWS)
def test_steering(generator: Generator, perceiver: Perceiver, wrong: dict[str, object], says: str) -> None:
    steerer = Steerer(generator, perceiver, [parse_wish("yaw=20")], SteerSettings(steps=0))
    for place in ("bases", "starts"):
        given = {"bases": VECTORS, "starts": VECTORS, "seeds": SEEDS, "micro_batch": 2, **wrong}
        if "vectors" in given:
            given[place] = given.pop("vectors")
        with pytest.raises(NonesuchError, match=says if "vectors do" not in says else "do not go with"):
            steerer.steer(**given)


def test_all_numbers_of_one_value_draw_alike(generator: Generator) -> None:
    """Lists, other widths of numbers, and no image at all."""
    expected = generator.render(VECTORS, SEEDS, 2)
    for vectors, seeds in ((VECTORS.tolist(), [0, 1, 2]), (VECTORS.astype(np.float64), np.arange(3, dtype=np.int32))):
        assert np.array_equal(generator.render(vectors, seeds, 2), expected)
    assert generator.render(VECTORS[:0], SEEDS[:0], 2).shape == (0, 112, 112, 3)
    assert generator.render(np.empty((0, 192)), [], 2).shape == (0, 112, 112, 3)


def test_no_crops_give_no_rows(embedder: Embedder, perceiver: Perceiver) -> None:
    assert embedder.embed(CROPS[:0]).shape == (0, 192)
    assert {name: values.shape for name, values in perceiver.perceive(CROPS[:0]).items()} == dict.fromkeys(
        COLUMNS, (0,)
    )
    seen, embeddings = perceiver.look(torch.zeros(0, 3, 112, 112))
    assert (seen.pose.shape, embeddings.shape) == ((0, 2), (0, 192))


@pytest.mark.parametrize("batch", [0, -1, 1.5])
def test_batches_are_whole_numbers_above_0(embedder: Embedder, perceiver: Perceiver, batch: object) -> None:
    for call in (embedder.embed, embedder, perceiver.perceive):
        with pytest.raises(NonesuchError, match=f"--batch {batch}: not"):
            call(CROPS, batch)


@pytest.mark.parametrize(
    "pixels",
    [
        torch.zeros(2, 112, 112, 3),
        torch.zeros(3, 112, 112),
        torch.zeros(2, 3, 96, 96),
        torch.zeros(2, 3, 112, 112).byte(),
    ],
)
def test_looking(perceiver: Perceiver, pixels: torch.Tensor) -> None:
    with pytest.raises(NonesuchError, match=r"looks at .* floating-point pixels"):
        perceiver.look(pixels)


@pytest.mark.parametrize("image", [CROPS, CROPS[0, :, :, 0], CROPS[0] / 255.0, CROPS[0, :, :, :2], CROPS[0].tolist()])
def test_detecting(detector: Detector, image: object) -> None:
    with pytest.raises(NonesuchError, match=r"\(H, W, 3\) uint8 RGB"):
        detector.detect(image)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: load_detector("cpu", 0), "--min-face 0: not in the range"),
        (lambda: load_embedder("mobilefacenet", "cpu", threads=-1), "--threads -1: not in the range"),
        (lambda: load_generator("vec2face_small", None), "--device None: not available"),
        (lambda: create_model("vec2face_tiny", dim=-1), "vec2face_tiny: "),
        (lambda: create_model("vec2face_tiny", encoder_heads=3), "3 attention heads cannot share a width of 32"),
        (lambda: create_model("vec2face_tiny", encoder_heads=0), "vec2face_tiny: "),
        (lambda: SteerSettings(steps=1.5), "--steer-steps 1.5"),
        (lambda: SteerSettings(lr=float("nan")), "lr nan"),
        (lambda: SteerSettings(style_lr=-1.0), "style_lr -1.0"),
        (lambda: parse_wish(5), "--steer 5: write it as"),
        (lambda: ssim(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8)), "at least 11 pixels a side"),
        (lambda: ssim(torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 18, 16)), "of one shape"),
        (lambda: ssim(torch.zeros(3, 16, 16), torch.zeros(3, 16, 16)), r"compares \(B, C, H, W\)"),
    ],
)
def test_other_calls(call: Callable[[], object], says: str) -> None:
    with pytest.raises(NonesuchError, match=says):
        call()


def test_a_look_without_gradients_leaves_training_as_it_was() -> None:
    """What is made under inference_mode and kept must serve a training after it."""
    images = torch.rand(1, 3, 17, 13)
    with torch.inference_mode():
        ssim(images, images)
    trained = images.clone().requires_grad_()
    ssim(trained, images).sum().backward()
    assert trained.grad is not None
