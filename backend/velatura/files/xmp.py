"""A recipe in an XMP packet (ISO 16684-1), for files that have no better place for it.

It is the property `recipes` of a namespace of our own, compressed, in letters that XML leaves alone. What
stands in a packet beside it stays as it is.
"""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ElementTree
import zlib

NAMESPACE = "urn:velatura:xmp:1"
MAX_TEXT = 16 * 1024 * 1024
_OWN = re.compile(rb'<rdf:Description[^>]*xmlns:velatura="urn:velatura:xmp:1"[^>]*/>')
_END = b"</rdf:RDF>"
_PACKET = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b"</rdf:RDF></x:xmpmeta>"
    b'<?xpacket end="w"?>'
)


def with_recipes(packet: bytes, text: bytes) -> bytes:
    """The packet with recipes in it, in place of earlier ones.

    packet: as UTF-8; a new one is made where it is empty or is no XMP. text: JSON, see `recipes`.
    """
    packet = without_recipes(packet)
    if _END not in packet:
        packet = _PACKET
    data = base64.b64encode(zlib.compress(text, 9))
    own = b'<rdf:Description rdf:about="" xmlns:velatura="%s" velatura:recipes="%s"/>'
    head, end, tail = packet.rpartition(_END)
    return head + own % (NAMESPACE.encode(), data) + end + tail


def without_recipes(packet: bytes) -> bytes:
    """The packet without recipes."""
    return _OWN.sub(b"", packet)


def recipes_in(packet: bytes) -> bytes:
    """The JSON of the recipes in a packet; b"" where there are none, also where it is no XMP.

    Raises ValueError or zlib.error for recipes that are broken, or too long.
    """
    if NAMESPACE.encode() not in packet:
        return b""
    try:
        root = ElementTree.fromstring(packet.strip(b"\0 \r\n\t"))
    except ElementTree.ParseError:
        return b""
    name = f"{{{NAMESPACE}}}recipes"
    for element in root.iter():
        text = element.get(name) or (element.text if element.tag == name else None)
        if text:
            return _inflated(base64.b64decode(text.strip(), validate=True))
    return b""


def _inflated(data: bytes) -> bytes:
    inflate = zlib.decompressobj()
    text = inflate.decompress(data, MAX_TEXT)
    if not inflate.eof:
        raise ValueError("the recipes are cut short or too long")
    return text
