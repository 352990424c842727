"""Every format says the colours of its pixels: read again, they are the source's."""

import struct

import imagecodecs
import numpy as np
import pytest

from tests.colour import profiles
from velatura.files import chunks
from velatura.files.images import Layer
from velatura.files.reading import read_image
from velatura.files.writing import check, write
from velatura_protocol.errors import VelaturaError

SOURCES = {
    "Adobe RGB": (3, chunks.icc_chunk(profiles.ADOBE.icc)),
    "gray 1.8": (1, chunks.icc_chunk(profiles.GRAY.icc)),
    "gray in Adobe RGB": (1, chunks.icc_chunk(profiles.ADOBE.icc)),
    "linear": (3, (b"gAMA", struct.pack(">I", 100_000))),
    "linear gray": (1, (b"gAMA", struct.pack(">I", 100_000))),
    "gamma 1.8": (3, (b"gAMA", struct.pack(">I", 55_556))),
    "Display P3 by cICP": (3, (b"cICP", bytes([12, 13, 0, 1]))),
    "BT.709's curve by cICP": (1, (b"cICP", bytes([1, 1, 0, 1]))),
}


def source_of(folder, count, extra, dtype=np.uint16):
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (16, 24, count)).astype(dtype)
    content = imagecodecs.png_encode(pixels[..., 0] if count == 1 else pixels)
    (folder / "in.png").write_bytes(chunks.insert(content, (extra,)))
    return read_image(folder / "in.png")


def seen(image):
    count = 3 if image.channels.startswith("RGB") else 1
    values = image.pixels[..., :count] / np.float32(np.iinfo(image.pixels.dtype).max)
    return image.space.to_srgb(values.astype(np.float32))


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("ending", [".png", ".ora", ".tif", ".psd", ".jpg", ".webp"])
def test_a_result_has_the_sources_colours_in_every_format(tmp_path, name, ending):
    source = source_of(tmp_path, *SOURCES[name])
    clear = np.zeros((1, 1, source.pixels.shape[-1] + 1), source.pixels.dtype)
    image = type(source)(clear, source.channels + "A", source.profile)
    out = tmp_path / f"out{ending}"
    check(out, source)
    write(out, source, [Layer(image, 0, 0, "nothing", {"velatura": 1})], "nothing")
    off = np.abs(seen(read_image(out)) - seen(source))
    # Eight bits are coarse where linear light is dark; a JPEG loses much of such noise.
    share, limit = {".jpg": (50, 0.03), ".webp": (99, 0.06 if "linear" in name else 0.015)}.get(
        ending, (99, 0.002)
    )
    assert np.percentile(off, share) < limit


@pytest.mark.parametrize("ending", [".tif", ".psd", ".jpg", ".webp"])
def test_hdr_is_refused_where_the_format_cannot_say_it(tmp_path, ending):
    source = source_of(tmp_path, 3, (b"cICP", bytes([9, 16, 0, 1])))
    with pytest.raises(VelaturaError, match="HDR"):
        check(tmp_path / f"out{ending}", source)
    check(tmp_path / "out.png", source)


def test_a_curve_of_its_own_is_no_linear_light(tmp_path):
    source = source_of(tmp_path, 3, chunks.icc_chunk(profiles.ADOBE.icc))
    floats = type(source)(source.pixels.astype(np.float32), "RGB", source.profile, source.icc)
    with pytest.raises(VelaturaError, match="linear light"):
        check(tmp_path / "out.exr", floats)
    check(tmp_path / "out.exr", type(source)(floats.pixels, "RGB", "sRGB-linear"))
