"""The words inside an image's file that say it is synthetic: an XMP packet with IPTC's digital source type.

JPEG takes the packet as a segment APP1 (ISO 16684-3), PNG as a chunk iTXt. The pixels are coded as before.
"""

import struct
import zlib

TRAINED_ALGORITHMIC_MEDIA = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"

_PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    f'Iptc4xmpExt:DigitalSourceType="{TRAINED_ALGORITHMIC_MEDIA}"/>'
    "</rdf:RDF></x:xmpmeta>"
    '<?xpacket end="r"?>'
).encode()

_JPEG, _PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
_APP0, _APP1 = b"\xff\xe0", b"\xff\xe1"
_PNG_HEAD = len(_PNG) + 25  # with IHDR, which comes first
_IN_JPEG = b"http://ns.adobe.com/xap/1.0/\0" + _PACKET
_IN_PNG = b"iTXt" + b"XML:com.adobe.xmp\0" + b"\0\0\0\0" + _PACKET  # not compressed, in no language


def say_synthetic(data: bytes) -> bytes:
    """An encoded image with the packet in it: 426 bytes more in a JPEG, 427 in a PNG, the same for every image.

    Args:
        data: a whole JPEG or PNG that holds no XMP packet yet.

    Raises:
        ValueError: it is neither.
    """
    if data.startswith(_PNG):
        chunk = struct.pack(">I", len(_IN_PNG) - 4) + _IN_PNG + struct.pack(">I", zlib.crc32(_IN_PNG))
        return data[:_PNG_HEAD] + chunk + data[_PNG_HEAD:]
    if not data.startswith(_JPEG):
        raise ValueError("neither a JPEG nor a PNG")
    # JFIF's own segment stays the first one, as it must be.
    at = 4 + int.from_bytes(data[4:6], "big") if data[2:4] == _APP0 else 2
    return data[:at] + _APP1 + struct.pack(">H", 2 + len(_IN_JPEG)) + _IN_JPEG + data[at:]
