import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

import nonesuch
from nonesuch.core import images
from nonesuch.core.errors import NonesuchError
from nonesuch.formats.readers import find

SOURCE = Path(nonesuch.__file__).parent


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


def _jpegs(picture: np.ndarray) -> dict[str, bytes]:
    """JPEGs of many kinds, by what they are."""
    exif = Image.Exif()
    exif[274] = 6  # to be turned by 90 degrees clockwise
    turned = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6"/></x:xmpmeta>'
    image, kinds = Image.fromarray(picture), {"plain": {}, "exif": {"exif": exif}, "xmp": {"xmp": turned}}
    kinds |= {"progressive": {"progressive": True}, "small chroma": {"subsampling": 2}, "rgb": {"keep_rgb": True}}
    found = {}
    for name, options in kinds.items():
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=95, **options)
        found[name] = buffer.getvalue()
    for mode in ("L", "CMYK"):
        buffer = io.BytesIO()
        image.convert(mode).save(buffer, "JPEG", quality=95)
        found[mode] = buffer.getvalue()
    pair = io.BytesIO()
    image.save(pair, "MPO", save_all=True, append_images=[image.rotate(180)])
    return {**found, "several": pair.getvalue()}


def test_jpegs_are_read_without_pillow_only_where_that_changes_nothing(
    picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    real = Image.open
    monkeypatch.setattr(Image, "open", lambda *args, **kwargs: asked.append(1) or real(*args, **kwargs))
    for name, data in _jpegs(picture).items():
        asked.clear()
        quick = images.decode(data, "x")
        by_itself = not asked
        with monkeypatch.context() as patch:
            patch.setattr(images, "_plain_jpeg", lambda data: None)
            assert np.array_equal(quick, images.decode(data, "x")), name
        assert by_itself == (name in ("plain", "progressive", "small chroma", "rgb")), name


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


def _saved(values: np.ndarray, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, kind, **options)
    return buffer.getvalue()


_RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)


@pytest.mark.parametrize(
    "data",
    [
        _saved(_RAMP.astype(np.uint16) * 257, "PNG"),
        _saved(_RAMP.astype(np.uint16) * 257, "TIFF"),
        _saved((_RAMP.astype(np.uint16) * 257).astype(">u2"), "TIFF"),
        _saved(np.uint16(65535) - _RAMP.astype(np.uint16) * 257, "TIFF", tiffinfo={262: 0}),  # 0 is white
        _saved((_RAMP / 255).astype(np.float32), "TIFF"),
        _saved(_RAMP.astype(np.float32), "TIFF"),
    ],
    ids=["16-bit PNG", "16-bit TIFF", "big-endian", "0 is white", "floats 0..1", "floats 0..255"],
)
def test_wide_grey_is_scaled_not_cut_off(data: bytes) -> None:
    """The same ramp as in 8 bits, in three equal channels."""
    assert np.array_equal(images.decode(data, "x"), np.repeat(_RAMP[..., None], 3, 2))


@pytest.mark.parametrize(
    "values",
    [
        _RAMP.astype(np.uint16),  # 8 bits in 16: black if it were scaled
        _RAMP.astype(np.uint16) * 16,  # 12 bits in 16
        _RAMP.astype(np.int32) * 257,  # 32 bits
        _RAMP.astype(np.float32) - 1,
        (_RAMP / 128).astype(np.float32),
        _RAMP.astype(np.float32) * 257,
        np.full((9, 9), np.nan, np.float32),
    ],
)
def test_grey_of_an_unknown_scale_is_refused(values: np.ndarray) -> None:
    with pytest.raises(NonesuchError, match="of an unknown scale; save it with 8 bits per colour"):
        images.decode(_saved(values, "TIFF"), "x")


def test_colour_of_16_bits_is_scaled() -> None:
    """Written by hand, as Pillow writes none: a PNG of one row whose channels are 0, half and full."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    row = zlib.compress(b"\0" + struct.pack(">3H", 0, 0x8080, 0xFFFF))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", row) + chunk(b"IEND", b"")
    assert images.decode(data, "x").tolist() == [[[0, 128, 255]]]


def _photograph(side: tuple[int, int], kind: str, **options: object) -> bytes:
    """A large picture, dark on the left, bright on the right."""
    buffer = io.BytesIO()
    gradient = Image.linear_gradient("L").rotate(90).resize(side)
    (gradient if kind == "PNG" else gradient.convert("RGB")).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_large_photograph_is_read_at_half_its_size(kind: str) -> None:
    exif = Image.Exif()
    exif[274] = 6  # to be turned by 90 degrees clockwise
    data = _photograph((8001, 4100), kind, exif=exif)
    found = images.decode(data, "x")
    assert found.shape == (4001, 2050, 3)
    whole = images.decode(data, "x", whole=True)
    assert whole.shape == (8001, 4100, 3)
    assert np.abs(found[:4000, ::50].astype(int) - whole[1:8001:2, 1::100]).max() <= 2


@pytest.mark.parametrize(("kind", "side"), [("PNG", (16_001, 8_000)), ("WEBP", (6_400, 6_400))])
def test_what_would_fill_the_memory_is_refused(kind: str, side: tuple[int, int]) -> None:
    buffer = io.BytesIO()
    Image.new("L" if kind == "PNG" else "RGB", side).save(buffer, kind, **({"method": 0} if kind == "WEBP" else {}))
    with pytest.raises(NonesuchError, match=r"big: .* pixels, more than the"):
        images.decode(buffer.getvalue(), "big")


def test_a_file_too_large_to_be_an_image_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "ann" / "huge.jpg"
    path.parent.mkdir()
    with path.open("wb") as handle:
        handle.truncate(1 << 40)  # holds no block of the disk
    for read in (lambda: images.read(path), find(tmp_path)[0].read):
        with pytest.raises(NonesuchError, match=r"huge\.jpg: 1,099,511,627,776 bytes, more than the"):
            read()


@pytest.mark.parametrize("name", ["x.jpg", "x.png"])
def test_a_format_that_starts_programs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    started = tmp_path / "started"
    ghostscript = tmp_path / "gs"
    ghostscript.write_text(f"#!/bin/sh\ntouch {started}\n")
    ghostscript.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)  # not looked for yet
    path = tmp_path / name
    Image.new("RGB", (112, 112)).save(path, "EPS")
    with pytest.raises(NonesuchError, match=r"unknown format, not JPEG, PNG"):
        images.read(path)
    assert not started.exists()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"])
def test_formats_that_are_read_whatever_the_name(kind: str, picture: np.ndarray) -> None:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, kind)
    assert images.decode(buffer.getvalue(), "x.jpg").shape == picture.shape


@pytest.mark.parametrize("kind", ["PPM", "ICNS", "PCX", "TGA", "SGI", "PDF", "DDS", "JPEG2000"])
def test_other_formats_are_refused(kind: str, picture: np.ndarray) -> None:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, kind)
    with pytest.raises(NonesuchError, match="not a readable image"):
        images.decode(buffer.getvalue(), "x.jpg")


def test_no_other_place_opens_images() -> None:
    places = [path for path in SOURCE.rglob("*.py") if "Image.open" in path.read_text()]
    assert [path.name for path in places] == ["images.py"]


@pytest.mark.parametrize("level", [0, 65535])
def test_grey_of_16_bits_that_is_black_or_white(level: int) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 5), level, np.uint16)).save(buffer, "PNG")
    assert set(images.decode(buffer.getvalue(), "x").ravel().tolist()) == {level >> 8}


def test_a_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no image")
    for name, said in (("a.png", "not a readable image"), ("b.png", "No such file")):
        with pytest.raises(NonesuchError, match=rf"{name}: {said}"):
            images.read(tmp_path / name)


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [("JPEG", ".jpg"), ("PNG", ".png"), ("WEBP", ".webp"), ("BMP", ".bmp"), ("TIFF", ".tif")],
)
def test_the_suffix_of_a_content(picture: np.ndarray, kind: str, suffix: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, kind)
    assert images.suffix_of(buffer.getvalue(), "x") == suffix


@pytest.mark.parametrize("data", [b"", b"RIFF\0\0\0\0WAVE", b"GIF89a", b"%!PS"])
def test_a_content_without_a_suffix(data: bytes) -> None:
    with pytest.raises(NonesuchError, match="x: not an image"):
        images.suffix_of(data, "x")
