"""Reading pictures and masks: depth, orientation, colour, and everything that is refused."""

import contextlib
import io
import os
import struct
import zlib

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL import ImageCms

from velatura.colour import SRGB, of_icc
from velatura.files import chunks, colour
from velatura.files.images import upright
from velatura.files.reading import read_image, read_mask
from velatura_protocol.errors import VelaturaError

RANDOM = np.random.default_rng(7)


def noise(shape, dtype):
    return RANDOM.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def refused(call, path):
    with pytest.raises(VelaturaError) as caught:
        call(path)
    assert caught.value.message.count("\n") == 0
    return caught.value


def one_sentence_or_a_picture(read, path):
    try:
        assert read(path).pixels.shape[2] in (1, 2, 3, 4)
    except VelaturaError as error:
        assert "\n" not in error.message


# White, red, green and blue as in a cHRM chunk.
BT709 = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
DISPLAY_P3 = (68000, 32000, 26500, 69000, 15000, 6000)


def linear_icc():
    """sRGB's primaries with a linear transfer: the sRGB profile with its curves replaced."""
    icc = bytearray(colour.srgb_icc())
    for at in range(132, 132 + 12 * struct.unpack_from(">I", icc, 128)[0], 12):
        name, offset, _ = struct.unpack_from(">4sII", icc, at)
        if name in (b"rTRC", b"gTRC", b"bTRC"):
            icc[offset : offset + 12] = b"curv" + bytes(8)
            struct.pack_into(">I", icc, at + 8, 12)
    return bytes(icc)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("count", "channels"), [(1, "G"), (2, "GA"), (3, "RGB"), (4, "RGBA")])
def test_png_is_read_at_its_own_depth(tmp_path, dtype, count, channels):
    pixels = noise((5, 7, count), dtype)
    path = tmp_path / "in.png"
    path.write_bytes(imagecodecs.png_encode(pixels[..., 0] if count == 1 else pixels))
    image = read_image(path)
    assert (image.channels, image.width, image.height, image.profile) == (channels, 7, 5, "sRGB")
    assert image.dtype == ("u8" if dtype is np.uint8 else "u16")
    assert image.data == pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    opaque = image.with_alpha()
    assert opaque.channels.endswith("A")
    assert np.array_equal(
        opaque.pixels[..., : min(count, 3) if count > 2 else 1], pixels[..., : 3 if count > 2 else 1]
    )


def test_palette_one_bit_and_transparent_colours_are_converted(tmp_path):
    palette = Pillow.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putdata([0, 1])
    palette.save(tmp_path / "p.png", transparency=1)
    assert read_image(tmp_path / "p.png").pixels.tolist() == [[[10, 20, 30, 255], [40, 50, 60, 0]]]
    palette.save(tmp_path / "q.png")
    assert read_image(tmp_path / "q.png").pixels.tolist() == [[[10, 20, 30], [40, 50, 60]]]
    Pillow.frombytes("1", (2, 1), b"\x40").save(tmp_path / "one.png")
    assert read_image(tmp_path / "one.png").pixels.tolist() == [[[0], [255]]]
    Pillow.new("RGB", (1, 1), (1, 2, 3)).save(tmp_path / "t.png", transparency=(1, 2, 3))
    assert read_image(tmp_path / "t.png").pixels.tolist() == [[[1, 2, 3, 0]]]


@pytest.mark.parametrize("name", ["a.jpg", "a.webp", "a.tif"])
def test_other_formats_are_read(tmp_path, name):
    picture = Pillow.new("RGB", (9, 4), (200, 30, 60))
    picture.save(tmp_path / name, quality=100)
    image = read_image(tmp_path / name)
    assert (image.channels, image.width, image.height, image.dtype) == ("RGB", 9, 4, "u8")
    assert np.abs(image.pixels.astype(int) - (200, 30, 60)).max() <= 4


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("depth", [8, 16])
def test_exifuprightation_is_applied(tmp_path, orientation, depth):
    pixels = np.arange(6, dtype=np.uint16 if depth == 16 else np.uint8).reshape(2, 3, 1)
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    content = imagecodecs.png_encode(pixels[..., 0])
    content = chunks.insert(content, ((b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")),))
    (tmp_path / "a.png").write_bytes(content)
    # Pillow's own method table is the independent reference.
    table = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
    expected = Pillow.fromarray(pixels[..., 0].astype(np.uint8))
    if orientation in table:
        expected = expected.transpose(Pillow.Transpose(table[orientation]))
    assert np.array_equal(read_image(tmp_path / "a.png").pixels[..., 0], np.asarray(expected))
    assert np.array_equal(upright(pixels, orientation)[..., 0], np.asarray(expected))


def test_srgb_profiles_are_accepted_and_kept(tmp_path):
    icc = colour.srgb_icc()
    Pillow.new("RGB", (2, 2)).save(tmp_path / "a.png", icc_profile=icc)
    Pillow.new("RGB", (2, 2)).save(tmp_path / "a.jpg", icc_profile=icc)
    for name in ("a.png", "a.jpg"):
        image = read_image(tmp_path / name)
        assert (image.profile, image.icc) == ("sRGB", icc)
    Pillow.new("L", (2, 2)).save(tmp_path / "g.png", icc_profile=colour.srgb_gray_icc())
    assert read_image(tmp_path / "g.png").profile == "sRGB"
    assert ImageCms.getProfileDescription(
        ImageCms.ImageCmsProfile(io.BytesIO(colour.srgb_gray_icc()))
    ).strip()


def test_linear_profiles_are_named(tmp_path):
    Pillow.new("RGB", (2, 2)).save(tmp_path / "a.png", icc_profile=linear_icc())
    assert read_image(tmp_path / "a.png").profile == "sRGB-linear"


@pytest.mark.parametrize("depth", [8, 16])
def test_profiles_that_are_not_of_the_pixels_are_refused(tmp_path, depth):
    pixels = noise((2, 2, 3), np.uint16 if depth == 16 else np.uint8)
    for icc in (
        colour.srgb_gray_icc(),
        b"nonsense",
        ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(),
    ):
        path = tmp_path / "a.png"
        path.write_bytes(chunks.insert(imagecodecs.png_encode(pixels), (chunks.icc_chunk(icc),)))
        error = refused(read_image, path)
        assert error.code == "unsupported-colour"
        assert "Convert the picture to sRGB" in error.message
    gray = imagecodecs.png_encode(np.repeat(pixels[..., :1], 3, axis=-1))
    path.write_bytes(chunks.insert(gray, (chunks.icc_chunk(icc),)))
    assert read_mask(path).channels == "A"  # a mask's values are no colours


@pytest.mark.parametrize(
    ("extra", "profile"),
    [
        (((b"gAMA", struct.pack(">I", 45455)),), "sRGB"),
        (((b"gAMA", struct.pack(">I", 100000)),), "sRGB-linear"),
        (((b"gAMA", struct.pack(">I", 55556)),), "gAMA and cHRM"),
        (((b"gAMA", bytes(4)),), None),
        (((b"sRGB", b"\0"), (b"gAMA", struct.pack(">I", 55556))), "sRGB"),
        (((b"cHRM", struct.pack(">8I", *BT709)),), "sRGB"),
        (((b"cHRM", struct.pack(">8I", *BT709[:2], *DISPLAY_P3)),), "gAMA and cHRM"),
        (((b"cHRM", bytes(32)),), None),
        (((b"cICP", bytes([1, 13, 0, 1])),), "sRGB"),
        (((b"cICP", bytes([12, 13, 0, 1])),), "cICP 12/13"),
        (((b"cICP", bytes([9, 16, 0, 1])),), "cICP 9/16"),
        (((b"cICP", bytes([9, 16, 9, 1])),), None),  # not RGB
        (((b"cICP", bytes([9, 16, 0, 0])),), None),  # not of full range
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_png_colour_chunks(tmp_path, extra, profile, dtype):
    (tmp_path / "a.png").write_bytes(chunks.insert(imagecodecs.png_encode(noise((2, 2, 3), dtype)), extra))
    if profile is None:
        assert refused(read_image, tmp_path / "a.png").code == "unsupported-colour"
    else:
        image = read_image(tmp_path / "a.png")
        assert (image.profile, image.colour_chunks) == (profile, extra)


@pytest.mark.parametrize(("mode", "name"), [("CMYK", "a.jpg"), ("CMYK", "a.tif"), ("LAB", "a.tif")])
def test_other_colour_models_are_refused(tmp_path, mode, name):
    Pillow.new(mode, (2, 2)).save(tmp_path / name)
    assert refused(read_image, tmp_path / name).code in ("unsupported-colour", "bad-request")


def test_adobe_rgb_without_a_profile_gets_one(tmp_path):
    exif = Pillow.Exif()
    exif.get_ifd(0x8769)[0xA005] = {1: "R03"}
    Pillow.new("RGB", (2, 2)).save(tmp_path / "a.jpg", exif=exif)
    image = read_image(tmp_path / "a.jpg")
    assert image.profile == "Adobe RGB (1998)"
    assert of_icc(image.icc, gray=False) is not SRGB


def test_animations_and_other_files_are_refused(tmp_path):
    Pillow.new("RGB", (2, 2)).save(
        tmp_path / "a.webp", save_all=True, append_images=[Pillow.new("RGB", (2, 2), 255)]
    )
    assert "several" in refused(read_image, tmp_path / "a.webp").message
    (tmp_path / "text.png").write_text("no picture")
    assert "not a picture" in refused(read_image, tmp_path / "text.png").message
    assert "no file" in refused(read_image, tmp_path / "absent.png").message
    assert refused(read_image, tmp_path).code == "bad-request"


def test_size_bombs_are_refused_before_they_are_unpacked(tmp_path):
    for depth in (8, 16):
        header = struct.pack(">IIBBBBB", 60000, 60000, depth, 2, 0, 0, 0)
        parts = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b""))
        content = chunks.SIGNATURE + b"".join(
            struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts
        )
        (tmp_path / "bomb.png").write_bytes(content)
        assert refused(read_image, tmp_path / "bomb.png").code == "too-large"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@given(cut=st.floats(0, 1), flips=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), max_size=3))
def test_broken_files_give_a_sentence_or_a_picture(tmp_path_factory, dtype, cut, flips):
    pixels = (np.arange(6 * 5 * 3) * 613 % 251).astype(dtype).reshape(6, 5, 3)
    content = bytearray(chunks.insert(imagecodecs.png_encode(pixels), (chunks.icc_chunk(colour.srgb_icc()),)))
    for place, value in flips:
        content[min(int(place * len(content)), len(content) - 1)] ^= value
    path = tmp_path_factory.getbasetemp() / "broken.png"
    path.write_bytes(content[: int(cut * len(content)) + 1])
    one_sentence_or_a_picture(read_image, path)
    one_sentence_or_a_picture(read_mask, path)


@given(st.binary(max_size=200), st.sampled_from(["JPEG", "WEBP", "TIFF"]), st.integers(0, 300))
def test_other_broken_files_give_a_sentence_or_a_picture(tmp_path_factory, noise, kind, cut):
    stream = io.BytesIO()
    Pillow.new("RGB", (8, 8), (1, 2, 3)).save(stream, kind)
    path = tmp_path_factory.getbasetemp() / "broken"
    path.write_bytes(stream.getvalue()[:cut] + noise)
    one_sentence_or_a_picture(read_image, path)


@pytest.mark.parametrize("depth", [8, 16])
def test_the_orientation_is_read_in_each_form_at_each_depth(tmp_path, depth):
    pixels = noise((6, 9, 3), np.uint16 if depth == 16 else np.uint8)
    exif = Pillow.Exif()
    exif[0x0112] = 6
    hexed = exif.tobytes().hex()
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6"/></x:xmpmeta>'
    for told in (
        (b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")),
        (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp),
        (b"tEXt", b"Raw profile type exif\0" + f"\nexif\n{len(hexed) // 2:8}\n{hexed}\n".encode()),
    ):
        (tmp_path / "a.png").write_bytes(chunks.insert(imagecodecs.png_encode(pixels), (told,)))
        assert np.array_equal(read_image(tmp_path / "a.png").pixels, np.rot90(pixels, -1)), told


def test_nothing_is_said_about_what_libpng_does_not_like(tmp_path, capfd):
    pixels = noise((6, 9), np.uint16)
    odd = (chunks.icc_chunk(colour.srgb_icc()), (b"gAMA", bytes(4)), (b"tIME", b"long ago"))
    for number, bad in enumerate(odd):
        path = tmp_path / f"{number}.png"
        path.write_bytes(chunks.insert(imagecodecs.png_encode(pixels), (bad,)))
        with contextlib.suppress(VelaturaError):
            assert np.array_equal(read_image(path).pixels[..., 0], pixels)
    # Adam7 of one pixel, which is its first pass alone
    one = bytearray(imagecodecs.png_encode(pixels[:1, :1]))
    one[28] = 1
    one[29:33] = struct.pack(">I", zlib.crc32(one[12:29]))
    (tmp_path / "one.png").write_bytes(one)
    assert np.array_equal(read_image(tmp_path / "one.png").pixels[..., 0], pixels[:1, :1])
    os.write(2, b"heard")  # standard error is as before
    assert capfd.readouterr().err == "heard"


def test_a_picture_with_colours_is_no_mask(tmp_path):
    path = tmp_path / "m.png"
    hole = np.dstack([noise((20, 20, 3), np.uint8), np.full((20, 20), 255, np.uint8)])
    hole[5:15, 5:15] = 0  # as other programs want a mask: the picture with a transparent hole
    path.write_bytes(imagecodecs.png_encode(hole))
    assert "has colours, so it is no mask" in refused(read_mask, path).message
    grays = Pillow.fromarray(np.repeat(hole[..., :1], 3, axis=-1))
    grays.save(tmp_path / "m.jpg", quality=60)
    assert read_mask(tmp_path / "m.jpg").channels == "A"


def test_masks_are_amounts(tmp_path):
    def mask_of(picture):
        picture.save(tmp_path / "m.png")
        return read_mask(tmp_path / "m.png").pixels[..., 0].tolist()

    assert mask_of(Pillow.frombytes("L", (3, 1), bytes([0, 77, 255]))) == [[0, 77, 255]]
    assert mask_of(Pillow.frombytes("RGB", (2, 1), bytes([77, 77, 77, 255, 255, 255]))) == [[77, 255]]
    assert mask_of(Pillow.frombytes("RGBA", (2, 1), bytes([255, 255, 255, 40, 255, 255, 255, 255]))) == [
        [40, 255]
    ]
    (tmp_path / "m.png").write_bytes(imagecodecs.png_encode(np.array([[0, 4660, 65535]], np.uint16)))
    mask = read_mask(tmp_path / "m.png")
    assert (mask.channels, mask.dtype, mask.pixels[..., 0].tolist()) == ("A", "u16", [[0, 4660, 65535]])
