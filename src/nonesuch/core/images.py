"""The image codec: bytes <-> (H, W, 3) uint8 RGB.

JPEG goes through simplejpeg where it is installed and can read the file, everything else through Pillow.
"""

import io
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
CODECS = {"jpeg": ".jpg", "png": ".png"}
_ORIENTATION = 274  # EXIF tag
MAX_PIXELS = 100_000_000  # refused before decoding: a file of a few bytes can claim any size


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


def codec_version(codec: str) -> str:
    """The library that encodes, with its version: part of a dataset's render settings."""
    if codec == "jpeg" and simplejpeg is not None:
        return f"simplejpeg {simplejpeg.__version__}"
    return f"Pillow {PIL.__version__}"


def decode(data: bytes, name: str) -> Pixels:
    """File bytes -> (H, W, 3) uint8 RGB, turned upright as its EXIF orientation says.

    Raises:
        NonesuchError: the bytes are empty, truncated, not an image, or claim more than MAX_PIXELS.
    """
    if not data:
        raise NonesuchError(f"{name}: the file is empty; replace it or leave it out")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data))
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise NonesuchError(f"{name}: {width}x{height} pixels, more than the {MAX_PIXELS:,} allowed; scale it down")
        plain_jpeg = image.format == "JPEG" and image.mode == "RGB" and not image.getexif().get(_ORIENTATION)
        if plain_jpeg and (pixels := _decode_jpeg(data)) is not None:
            return pixels
        return np.array(ImageOps.exif_transpose(image).convert("RGB"))  # a copy: Pillow's own view is read-only
    except NonesuchError:
        raise
    except UnidentifiedImageError as error:
        raise NonesuchError(f"{name}: not a readable image (unknown format); replace it or leave it out") from error
    except Exception as error:  # Pillow raises many kinds on damaged files
        raise NonesuchError(f"{name}: not a readable image ({error}); replace it or leave it out") from error


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
        data = path.read_bytes()
    except OSError as error:
        raise NonesuchError(f"{path}: {error.strerror or error}") from error
    return decode(data, str(path))
