"""Names of files that cannot be read, from their first bytes."""

from __future__ import annotations

# (bytes, where they begin, what the file is); for a person, with its article.
_SIGNS = (
    (b"GIF8", 0, "a GIF"),
    (b"BM", 0, "a BMP"),
    (b"ftypavif", 4, "an AVIF"),
    (b"ftypavis", 4, "an AVIF"),
    (b"ftypheic", 4, "a HEIC"),
    (b"ftypheix", 4, "a HEIC"),
    (b"ftypmif1", 4, "a HEIC"),
    (b"ftypmsf1", 4, "a HEIC"),
    (b"ftyp", 4, "a film"),
    (b"\xff\x0a", 0, "a JPEG XL"),
    (b"\0\0\0\x0cJXL ", 0, "a JPEG XL"),
    (b"\0\0\0\x0cjP  ", 0, "a JPEG 2000"),
    (b"gimp xcf", 0, "a GIMP picture (XCF)"),
    (b"%PDF", 0, "a PDF"),
    (b"<svg", 0, "a vector picture (SVG)"),
    (b"CSFCHUNK", 0, "a Clip Studio picture"),
    (b"FUJIFILM", 0, "a camera's raw picture"),
    (b"II*\0\x10\0\0\0CR", 0, "a camera's raw picture"),
    (b"IIRO", 0, "a camera's raw picture"),
    (b"#?RADIANCE", 0, "a Radiance picture (HDR)"),
    (b"PK\x03\x04", 0, "an archive without a merged picture"),
)


def kind_of(content: bytes) -> str:
    """What the file is, as in "a GIF"; '' where that is not known."""
    head = content[:64].lstrip(b"\xef\xbb\xbf \r\n\t") if content[:1] in b"\xef <\r\n\t" else content[:64]
    return next((what for sign, at, what in _SIGNS if head[at : at + len(sign)] == sign), "")
