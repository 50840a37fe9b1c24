import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from nonesuch.core import images
from nonesuch.core.errors import NonesuchError


@pytest.fixture
def picture() -> np.ndarray:
    y, x = np.mgrid[:40, :50]
    return np.stack([x * 4, y * 5, x + y], axis=2).astype(np.uint8)


def test_png_is_lossless(picture: np.ndarray) -> None:
    assert np.array_equal(images.decode(images.encode(picture, "png", 1), "x"), picture)


@pytest.mark.parametrize("turbo", [True, False], ids=["simplejpeg", "Pillow"])
def test_jpeg_round_trip_with_either_library(picture: np.ndarray, turbo: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not turbo:
        monkeypatch.setattr(images, "simplejpeg", None)
    data = images.encode(picture, "jpeg", 95)
    independent = np.asarray(Image.open(io.BytesIO(data))).astype(int)
    decoded = images.decode(data, "x")
    assert np.abs(decoded - independent).max() <= 3
    assert np.abs(decoded - picture.astype(int)).max() <= 12
    assert ("Pillow" in images.codec_version("jpeg")) is not turbo


def test_upright_as_exif_says(picture: np.ndarray) -> None:
    exif = Image.Exif()
    exif[274] = 6  # to be turned by 90 degrees clockwise
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", exif=exif, quality=95)
    assert images.decode(buffer.getvalue(), "x").shape == (50, 40, 3)


def test_grey_and_transparent_images_become_rgb() -> None:
    for mode in ("L", "RGBA", "P"):
        buffer = io.BytesIO()
        Image.new(mode, (8, 6)).save(buffer, "PNG")
        assert images.decode(buffer.getvalue(), "x").shape == (6, 8, 3)


@pytest.mark.parametrize("share", [0, 0.01, 0.3, 0.9])
def test_truncated_files_are_refused(share: float) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    for codec in ("jpeg", "png"):
        data = images.encode(picture, codec, 90)
        with pytest.raises(NonesuchError, match=r"photo\.jpg"):
            images.decode(data[: int(share * len(data))], "photo.jpg")


def test_a_file_that_claims_billions_of_pixels_is_refused_before_decoding() -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    with pytest.raises(NonesuchError, match=r"bomb.png: .*pixels"):
        images.decode(bomb, "bomb.png")


def test_a_harmless_oddity_in_a_jpeg_is_read(picture: np.ndarray) -> None:
    assert images.decode(images.encode(picture, "jpeg", 95) + b"\0\0trailing", "x").shape == picture.shape
