"""The image codec: bytes <-> (H, W, 3) uint8 RGB.

JPEG goes through simplejpeg where it is installed and can read the file, everything else through Pillow. No other place
opens images: files of strangers are read here, by a list of formats and within a bounded memory.
"""

import contextlib
import io
import math
import warnings
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from nonesuch.core.errors import NonesuchError

try:
    import simplejpeg
except ImportError:  # no wheel for this platform: Pillow does the same, more slowly
    simplejpeg = None

Pixels = NDArray[np.uint8]

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
CROP_SIZE = 112  # side of a face crop aligned to the ArcFace template
CROP_BYTES = CROP_SIZE * CROP_SIZE * 3  # of a decoded one
CODECS = {"jpeg": ".jpg", "png": ".png"}
_ORIENTATION = 274  # EXIF tag
_BITS, _PHOTOMETRIC = 258, 262  # TIFF tags: bits per sample; 0 where 0 is white
_DARKEST_FLOAT = 16.0  # floats that reach less than that, but more than 1, are neither 0..1 nor 0..255
_BEGINNINGS = {  # of files of each kind, by suffix
    ".jpg": (b"\xff\xd8\xff",),
    ".png": (b"\x89PNG\r\n\x1a\n",),
    ".bmp": (b"BM",),
    ".tif": (b"II*\0", b"MM\0*"),
}
# What may be in a file, whatever its name says. Some of Pillow's other decoders start programs (Ghostscript, for EPS).
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
# Refused before decoding: a file of a few bytes can claim any size. WebP's decoder holds four copies.
MAX_PIXELS, _MAX_PIXELS_WEBP = 128_000_000, 40_000_000
MAX_BYTES = 1 << 29  # of a file; an uncompressed image of MAX_PIXELS has fewer
_WHOLE = 32_000_000  # pixels up to which an image is decoded at its own size
# In a JPEG: it may lie on its side, or be one of several pictures. Pillow knows what that means.
_FOR_PILLOW = (b"Exif\0\0", b"tiff:Orientation", b"MPF\0")


def encode(pixels: Pixels, codec: str, quality: int) -> bytes:
    """(H, W, 3) uint8 RGB -> file bytes. `quality` (1..100, 4:4:4 chroma) is for "jpeg"; "png" is lossless."""
    if codec == "jpeg" and simplejpeg is not None:
        return simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality=quality, colorsubsampling="444")
    buffer = io.BytesIO()
    if codec == "jpeg":
        Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=0)
    else:
        Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def begins_as(data: bytes, suffix: str) -> bool:
    """Whether bytes begin as a file of that suffix, such as .jpg, does."""
    return data.startswith(_BEGINNINGS[suffix])


def suffix_of(data: bytes, name: str) -> str:
    """The suffix of IMAGE_SUFFIXES for a file of these bytes, by how they begin.

    Raises:
        NonesuchError: they begin as none of these kinds.
    """
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return ".webp"
    found = next((suffix for suffix in _BEGINNINGS if begins_as(data, suffix)), None)
    if found is None:
        raise NonesuchError(f"{name}: not an image ({', '.join(IMAGE_SUFFIXES)}); replace it or leave it out")
    return found


def codec_version(codec: str) -> str:
    """The library that encodes, with its version: part of a dataset's render settings."""
    if codec == "jpeg" and simplejpeg is not None:
        return f"simplejpeg {simplejpeg.__version__}"
    return f"Pillow {PIL.__version__}"


def decode(data: bytes, name: str, whole: bool = False) -> Pixels:
    """File bytes -> (H, W, 3) uint8 RGB, turned upright as its EXIF orientation says.

    Grey of 16 bits, and floats in 0..1 or 0..255, are scaled to 0..255. An image of more than 32 million pixels comes
    out at half its width and height, which bounds the memory.

    Args:
        whole: at its own size all the same, for those who know places in it.

    Raises:
        NonesuchError: the bytes are empty, truncated, not an image of `FORMATS`, claim more than MAX_PIXELS, or hold
            grey of an unknown scale: negative, NaN, of 32 bits, or of 16 bits that reach less than a 16th of white.
    """
    if not data:
        raise NonesuchError(f"{name}: the file is empty; replace it or leave it out")
    if (plain := _plain_jpeg(data)) is not None:
        return plain
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
        width, height = image.size
        most = _MAX_PIXELS_WEBP if image.format == "WEBP" else MAX_PIXELS
        if width * height > most:
            raise NonesuchError(f"{name}: {width}x{height} pixels, more than the {most:,} allowed; scale it down")
        wide = image.mode[0] in "IF"  # scaled as a whole, below
        factor = 1 if whole or wide else math.ceil(math.sqrt(width * height / _WHOLE))
        if factor > 1:
            image = _reduced(image, factor)
        upright_jpeg = image.format == "JPEG" and image.mode == "RGB" and not image.getexif().get(_ORIENTATION)
        if upright_jpeg and (pixels := _decode_jpeg(data)) is not None:
            return pixels
        return _rgb(image)
    except NonesuchError:
        raise
    except UnidentifiedImageError as error:
        known = ", ".join(FORMATS)
        raise NonesuchError(
            f"{name}: not a readable image (unknown format, not {known}); replace it or leave it out"
        ) from error
    except Exception as error:  # Pillow raises many kinds on damaged files
        raise NonesuchError(f"{name}: not a readable image ({error}); replace it or leave it out") from error


def decodes(data: bytes | memoryview) -> bool:
    """Whether `decode` reads these bytes; for the usual JPEGs in less than half its time.

    All of a JPEG is read, but its pixels are made at an eighth of its size.
    """
    if simplejpeg is not None:
        with contextlib.suppress(ValueError):
            height, width, space, _ = simplejpeg.decode_jpeg_header(data)
            if space == "YCbCr" and height * width <= _WHOLE:
                simplejpeg.decode_jpeg(data, colorspace="RGB", min_height=1, min_width=1, strict=True)
                return True
    try:
        decode(bytes(data), "")
    except NonesuchError:
        return False
    return True


def _plain_jpeg(data: bytes) -> Pixels | None:
    """A JPEG in colour, upright and of a usual size; None for what needs a closer look, by Pillow, which costs as much
    as decoding a face."""
    if simplejpeg is None or not begins_as(data, ".jpg"):
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return None
    if colours not in ("YCbCr", "RGB") or height * width > _WHOLE or any(mark in data for mark in _FOR_PILLOW):
        return None
    return _decode_jpeg(data)


def _rgb(image: Image.Image) -> Pixels:
    """Grey of 16 bits or of floats is scaled: Pillow would cut it off at 255, to white or to black."""
    upright = ImageOps.exif_transpose(image)
    if image.mode[0] not in "IF":
        return np.array(upright.convert("RGB"))  # a copy: Pillow's own view is read-only
    values = np.asarray(upright).astype(np.float32)
    low, high = float(values.min()), float(values.max())
    tags = getattr(image, "tag_v2", {})  # of a TIFF
    if image.mode == "F":
        white, known = (1.0, low >= 0) if high <= 1 else (255.0, low >= 0 and _DARKEST_FLOAT <= high <= 255)
    else:
        bits = int(np.ravel(tags.get(_BITS, 16))[0])
        white = 2.0**bits - 1
        known = bits <= 16 and low >= 0 and (high == 0 or white / 16 < high <= white)
    if not known:
        raise ValueError(f"grey values from {low:g} to {high:g}, of an unknown scale; save it with 8 bits per colour")
    if tags.get(_PHOTOMETRIC) == 0:
        values = white - values
    return np.repeat(np.rint(values * (255 / white)).astype(np.uint8)[..., None], 3, axis=2)


def _reduced(image: Image.Image, factor: int) -> Image.Image:
    """The image at a fraction of its size: a JPEG is decoded at that size, others are averaged."""
    orientation, width = image.getexif().get(_ORIENTATION, 1), image.width
    image.draft(None, (image.width // factor, image.height // factor))
    rest = round(factor * image.width / width)  # what the decoder has left to do
    small = (image if image.mode in ("L", "RGB") else image.convert("RGB")).reduce(rest)
    small.getexif()[_ORIENTATION] = orientation
    return small


def _decode_jpeg(data: bytes) -> Pixels | None:
    if simplejpeg is None:
        return None
    try:
        return simplejpeg.decode_jpeg(data, colorspace="RGB", strict=True)
    except ValueError:  # Pillow decides whether it is a harmless oddity or damage
        return None


def read(path: Path) -> Pixels:
    """Decode an image file; errors as in `decode`."""
    try:
        check_size(path.stat().st_size, str(path))
        data = path.read_bytes()
    except OSError as error:
        raise NonesuchError(f"{path}: {error.strerror or error}") from error
    return decode(data, str(path))


def check_size(size: int, name: str) -> None:
    """Raises NonesuchError where an image's file is too large to be read into memory."""
    if size > MAX_BYTES:
        raise NonesuchError(f"{name}: {size:,} bytes, more than the {MAX_BYTES:,} allowed; scale the image down")
