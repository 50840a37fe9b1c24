"""The mark is found by another library and an XML parser, and leaves the pixels alone."""

import io
import struct
import zlib
from xml.etree import ElementTree

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from nonesuch.core import images
from nonesuch.core.synthetic_mark import say_synthetic

PICTURE = np.random.default_rng(0).integers(0, 256, (112, 112, 3), dtype=np.uint8)
DESCRIPTION = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description"
SOURCE_TYPE = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
SYNTHETIC = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


def source_type(data: bytes) -> str | None:
    """IPTC's digital source type of an image: Pillow finds the packet, the standard library parses it."""
    packet = Image.open(io.BytesIO(data)).info.get("xmp")
    if packet is None:
        return None
    described = ElementTree.fromstring(packet).find(f".//{DESCRIPTION}")
    assert described is not None
    return described.get(SOURCE_TYPE)


@pytest.mark.parametrize("codec", ["jpeg", "png"])
@pytest.mark.parametrize("turbo", [True, False], ids=["simplejpeg", "Pillow"])
def test_others_read_it_and_the_pixels_are_the_same(codec: str, turbo: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not turbo:
        monkeypatch.setattr(images, "simplejpeg", None)
    plain = images.encode(PICTURE, codec, 95)
    marked = say_synthetic(plain)
    assert source_type(plain) is None
    assert source_type(marked) == SYNTHETIC
    assert np.array_equal(Image.open(io.BytesIO(plain)), Image.open(io.BytesIO(marked)))
    assert np.array_equal(images.decode(plain, "x"), images.decode(marked, "x"))
    if codec == "jpeg":
        assert np.array_equal(simplejpeg.decode_jpeg(plain), simplejpeg.decode_jpeg(marked, strict=True))
    assert len(marked) - len(plain) == {"jpeg": 426, "png": 427}[codec]  # as its docstring and the help say


def test_a_jpeg_stays_a_jfif_file_whose_first_segment_is_its_own() -> None:
    """Segments read by hand: APP0 first, then one APP1 of the stated length, then what was there before."""
    plain = images.encode(PICTURE, "jpeg", 95)
    marked = say_synthetic(plain)
    kinds, at = [], 2
    while marked[at + 1] != 0xDA:
        kinds.append(marked[at + 1])
        at += 2 + struct.unpack_from(">H", marked, at + 2)[0]
    assert kinds[:2] == [0xE0, 0xE1]
    assert kinds.count(0xE1) == 1
    assert marked[:20] + marked[20 + 426 :] == plain


def test_a_jpeg_without_jfif_segment() -> None:
    plain = images.encode(PICTURE, "jpeg", 95)
    bare = plain[:2] + plain[20:]
    assert source_type(say_synthetic(bare)) == SYNTHETIC


def test_every_chunk_of_a_png_keeps_its_checksum() -> None:
    marked = say_synthetic(images.encode(PICTURE, "png", 95))
    kinds, at = [], 8
    while at < len(marked):
        size = struct.unpack_from(">I", marked, at)[0]
        body = marked[at + 4 : at + 8 + size]
        assert struct.unpack_from(">I", marked, at + 8 + size)[0] == zlib.crc32(body)
        kinds.append(body[:4])
        at += 12 + size
    assert kinds[:2] == [b"IHDR", b"iTXt"]
    assert kinds[-1] == b"IEND"


def test_other_files_are_not_touched() -> None:
    with pytest.raises(ValueError, match="neither a JPEG nor a PNG"):
        say_synthetic(b"GIF89a")
