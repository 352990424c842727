"""Every format in and out, by decoders that are not ours: depth, alpha, orientation, metadata, recipe."""

import io
import struct

import imagecodecs
import numpy as np
import OpenEXR
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from psd_tools import PSDImage

from velatura.colour import LINEAR, SRGB
from velatura.files import colour, opacity, recipes, writing, xmp
from velatura.files.images import Image, Layer
from velatura.files.ora import write_ora
from velatura.files.reading import read_image, read_mask
from velatura_protocol.errors import VelaturaError

RANDOM = np.random.default_rng(11)
RECIPE = {"velatura": 1, "prompt": "ein Hut, 猫", "seed": 7}


def noise(shape, dtype):
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return RANDOM.uniform(-0.2, 4.0, shape).astype(dtype)
    return RANDOM.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def picture(channels, dtype, profile=None):
    pixels = noise((9, 13, len(channels)), dtype)
    if channels.endswith("A") and np.dtype(dtype).kind == "f":
        pixels[..., -1] = RANDOM.uniform(0, 1, (9, 13)).astype(dtype)
    return Image(pixels, channels, profile or (LINEAR if np.dtype(dtype).kind == "f" else SRGB).profile)


def layer_for(source):
    """A layer over a part of the picture: its first column is transparent, its last one opaque."""
    channels = source.channels.removesuffix("A") + "A"
    pixels = noise((4, 5, len(channels)), source.pixels.dtype)
    full = 1 if source.pixels.dtype.kind == "f" else np.iinfo(source.pixels.dtype).max
    pixels[..., -1], pixels[:, 0, -1], pixels[:, -1, -1] = full // 2 if full > 1 else 0.5, 0, full
    return Layer(Image(pixels, channels, source.profile), 3, 2, "Variation 1", RECIPE, "blake2b:1")


def refused(call):
    with pytest.raises(VelaturaError) as caught:
        call()
    assert "\n" not in caught.value.message
    return caught.value.message


# TIFF in


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"planarconfig": "separate"},
        {"tile": (16, 16)},
        {"bigtiff": True, "byteorder": ">"},
        {"compression": "adobe_deflate", "predictor": True},
    ],
    ids=["strips", "planes", "tiles", "big", "deflated"],
)
def test_a_tiff_is_read_at_its_own_depth(tmp_path, dtype, count, options):
    pixels = noise((21, 18, count), dtype)
    shown = pixels[..., 0] if count == 1 else pixels
    options = dict(options)
    if options.get("planarconfig"):
        if count == 1:
            del options["planarconfig"]
        else:
            shown = np.moveaxis(pixels, -1, 0)
    tifffile.imwrite(
        tmp_path / "a.tif",
        shown,
        photometric="rgb" if count > 2 else "minisblack",
        extrasamples=["unassalpha"] if count in (2, 4) else None,
        **({"planarconfig": "contig"} if count in (2,) else {}) | options,
    )
    image = read_image(tmp_path / "a.tif")
    assert image.pixels.dtype == dtype and image.channels == {1: "G", 2: "GA", 3: "RGB", 4: "RGBA"}[count]
    assert np.array_equal(image.pixels, pixels)
    assert image.profile == (LINEAR if np.dtype(dtype).kind == "f" else SRGB).profile


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_associated_alpha_becomes_straight_and_stays_exact_where_nothing_changed(tmp_path, dtype):
    source = picture("RGBA", dtype)
    source.pixels[0, 0, -1] = 0
    own = np.concatenate([opacity.multiplied(source.pixels), source.pixels[..., -1:]], axis=-1)
    tifffile.imwrite(tmp_path / "a.tif", own, photometric="rgb", extrasamples=["assocalpha"])
    image = read_image(tmp_path / "a.tif")
    alpha = own[..., -1:].astype(np.float64)
    full = 1 if dtype == np.float32 else 65535
    expected = np.where(alpha > 0, own[..., :-1] * (full / np.where(alpha > 0, alpha, 1)), 0)
    off = np.abs(image.pixels[..., :-1] - expected)
    assert off.max() <= (0.5 if full > 1 else 1e-5)
    assert np.array_equal(image.associated, own[..., :-1])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_deep_tiff_is_turned_upright_as_pillow_turns_it(tmp_path, orientation):
    pixels = noise((6, 9, 3), np.uint16)
    tags = [(274, "H", 1, orientation, True)]
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extratags=tags)
    eight = Pillow.fromarray((pixels >> 8).astype(np.uint8))
    eight.getexif()[0x0112] = orientation
    from PIL import ImageOps

    expected = np.asarray(ImageOps.exif_transpose(eight))
    assert np.array_equal(read_image(tmp_path / "a.tif").pixels >> 8, expected)


def test_what_a_tiff_is_decides_over_its_refusal(tmp_path):
    path = tmp_path / "a.tif"
    four = noise((5, 6, 4), np.uint8)
    for extra, dtype in (("unspecified", np.uint8), ("unspecified", np.uint16)):
        tifffile.imwrite(path, four.astype(dtype), photometric="rgb", extrasamples=[extra])
        assert "no transparency" in refused(lambda: read_image(path))
    tifffile.imwrite(path, noise((5, 6, 5), np.uint16), photometric="rgb", extrasamples=["unassalpha", 0])
    assert "no transparency" in refused(lambda: read_image(path))
    tifffile.imwrite(path, noise((5, 6), np.uint16).astype(np.uint32), photometric="minisblack")
    assert "whole numbers of 32 bits" in refused(lambda: read_image(path))
    tifffile.imwrite(path, noise((5, 6, 3), np.float32).astype(np.float64), photometric="rgb")
    assert "floats of 64 bits" in refused(lambda: read_image(path))
    tifffile.imwrite(path, noise((3, 5, 6, 3), np.uint16), photometric="rgb")
    assert "several pictures" in refused(lambda: read_image(path))
    tifffile.imwrite(path, noise((5, 6, 4), np.uint16), photometric="separated")
    assert "CMYK" in refused(lambda: read_image(path))


def test_white_is_zero_is_turned(tmp_path):
    pixels = noise((5, 6), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="miniswhite")
    assert np.array_equal(read_image(tmp_path / "a.tif").pixels[..., 0], 65535 - pixels)


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 2000), at=st.integers(0, 1500), byte=st.integers(0, 255))
@pytest.mark.parametrize("ending", [".tif", ".psd", ".exr"])
def test_damaged_files_are_refused_in_a_sentence(tmp_path_factory, ending, cut, at, byte):
    folder = tmp_path_factory.mktemp("damaged")
    source = picture("RGB", np.float32)
    writing.write(folder / f"a{ending}", source, [layer_for(source)], "An edit")
    content = bytearray((folder / f"a{ending}").read_bytes())
    content[at % len(content)] = byte
    (folder / f"b{ending}").write_bytes(bytes(content[: max(8, len(content) - cut)]))
    for read in (read_image, read_mask, recipes.read_recipes):
        one_sentence_at_most(read, folder / f"b{ending}")


def one_sentence_at_most(read, path):
    try:
        read(path)
    except VelaturaError as error:
        assert "\n" not in error.message


# Out


@pytest.mark.parametrize(
    ("ending", "dtypes"),
    [
        (".tif", [np.uint8, np.uint16, np.float16, np.float32]),
        (".exr", [np.float16, np.float32]),
        (".psd", [np.uint8, np.uint16, np.float32]),
        (".webp", [np.uint8]),
        (".png", [np.uint8, np.uint16]),
    ],
)
@pytest.mark.parametrize("channels", ["G", "GA", "RGB", "RGBA"])
def test_a_result_is_the_source_outside_its_layer_and_tells_its_recipe(tmp_path, ending, dtypes, channels):
    for dtype in dtypes:
        source = picture(channels, dtype)
        layer, path = layer_for(source), tmp_path / f"out{ending}"
        writing.check(path, source)
        writing.write(path, source, [layer], "An edit")
        pixels = decoded(path, channels)
        assert pixels.dtype == dtype
        outside = np.ones(pixels.shape[:2], bool)
        outside[2:6, 4:8] = False
        if ending == ".exr" and channels.endswith("A"):  # the file has colours multiplied by alpha
            pixels = opacity.straight(pixels)
            near = np.isclose(pixels, source.pixels, rtol=2e-3, atol=1e-3)
            assert near[outside & (source.pixels[..., -1] > 0.01)].all()
        elif ending == ".psd":  # viewers of the merged picture
            assert np.abs(pixels[outside].astype(float) - source.pixels[outside]).max() <= _near(source)
        else:
            assert np.array_equal(pixels[outside], source.pixels[outside])
        if not channels.endswith("A") and ending != ".psd":
            assert np.array_equal(pixels[2:6, 7], layer.image.pixels[:, -1, :-1])
        (made,) = recipes.read_recipes(path)
        assert (made.recipe, made.digest, made.title) == (RECIPE, "blake2b:1", "Variation 1")
        own = read_image(path, layer="Source" if ending == ".psd" else "")
        if ending not in (".exr", ".webp"):
            assert np.array_equal(own.pixels[outside][..., : len(channels)], source.pixels[outside])


def _near(source):
    return 1 if source.pixels.dtype.kind == "u" else 1e-6


def decoded(path, channels):
    """A file's pixels by a library that is not the one that ours were written with, where there is one."""
    if path.suffix == ".tif":
        pixels = imagecodecs.imread(path) if channels[0] != "x" else None
        return pixels.reshape(*pixels.shape[:2], -1)
    if path.suffix == ".png":
        pixels = imagecodecs.png_decode(path.read_bytes())
        return pixels.reshape(*pixels.shape[:2], -1)
    if path.suffix == ".exr":
        planes = planes_of(path)
        return np.stack([planes["Y" if one == "G" and "Y" in planes else one] for one in channels], axis=-1)
    if path.suffix == ".psd":
        file = PSDImage.open(path)
        values = next(layer for layer in file.descendants() if layer.name == "Source").numpy()
        dtype = {8: np.uint8, 16: np.uint16, 32: np.float32}[file.depth]
        full = np.iinfo(dtype).max if file.depth < 32 else 1
        values = np.rint(values * full) if file.depth < 32 else values
        return values.astype(dtype)[..., : len(channels)]
    pixels = np.asarray(Pillow.open(path))
    if channels[0] == "G":
        assert (pixels[..., 0] == pixels[..., 2]).all()
        pixels = pixels[..., [0, 3]] if channels == "GA" else pixels[..., :1]
    return pixels


def planes_of(path):
    """The channels of an OpenEXR file, and its header under ''."""
    with OpenEXR.File(str(path), separate_channels=True) as file:
        return {name: channel.pixels for name, channel in file.channels().items()} | {"": dict(file.header())}


def test_an_exr_keeps_its_own_floats_where_nothing_changed(tmp_path):
    colours, alpha = noise((9, 13, 3), np.float16), RANDOM.uniform(0, 1, (9, 13)).astype(np.float16)
    points = (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.329)
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage, "chromaticities": points}
    planes = {name: colours[..., i].copy() for i, name in enumerate("RGB")} | {"A": alpha}
    with OpenEXR.File(header, dict(planes)) as file:  # the library puts its own channels in their place
        file.write(str(tmp_path / "in.exr"))
    source = read_image(tmp_path / "in.exr")
    assert (
        source.channels == "RGBA" and source.dtype == "f16" and source.profile not in ("sRGB", "sRGB-linear")
    )
    writing.write(tmp_path / "out.exr", source, [layer_for(source)], "An edit")
    outside = np.ones((9, 13), bool)
    outside[2:6, 4:8] = False
    made = planes_of(tmp_path / "out.exr")
    for name, plane in planes.items():
        assert np.array_equal(made[name][outside], plane[outside])
    assert np.allclose(made[""]["chromaticities"], points, atol=1e-5)


def test_an_exr_of_more_than_a_picture_is_refused(tmp_path):
    path = str(tmp_path / "a.exr")
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    plane = noise((4, 5), np.float32)
    with OpenEXR.File(header, {"R": plane, "G": plane, "B": plane, "Z": plane}) as file:
        file.write(path)
    assert "(Z)" in refused(lambda: read_image(tmp_path / "a.exr"))
    with OpenEXR.File(header, {"R": plane.astype(np.uint32), "G": plane, "B": plane}) as file:
        file.write(path)
    assert "whole numbers" in refused(lambda: read_image(tmp_path / "a.exr"))


def test_a_psd_is_read_whole_and_by_layer(tmp_path):
    source = picture("RGB", np.uint16)
    first, second = layer_for(source), layer_for(source)
    writing.write(tmp_path / "a.psd", source, [first, second], "A hat · Fill")
    file = PSDImage.open(tmp_path / "a.psd")
    assert [(layer.name, layer.visible) for layer in file.descendants()] == [
        ("Source", True), ("A hat · Fill", True), ("Variation 1", False), ("Variation 1", True),
    ]  # fmt: skip
    assert np.array_equal(read_image(tmp_path / "a.psd", layer="Source").pixels[..., :3], source.pixels)
    part = read_image(tmp_path / "a.psd", layer="Variation 1")
    assert part.pixels.shape == (9, 13, 4) and not part.pixels[:2].any()
    assert "it has: Source, Variation 1" in refused(lambda: read_image(tmp_path / "a.psd", layer="gone"))


def test_a_layer_of_an_ora_lies_on_the_files_canvas(tmp_path):
    source = picture("RGB", np.uint16)
    layer = layer_for(source)
    write_ora(tmp_path / "a.ora", source, [layer], "An edit")
    part = read_image(tmp_path / "a.ora", layer="Variation 1")
    assert part.pixels.shape == (9, 13, 4)
    assert np.array_equal(part.pixels[2:6, 3:8], layer.image.pixels)
    assert not part.pixels[:2].any() and not part.pixels[6:].any()
    assert "it has: Variation 1, Source" in refused(lambda: read_image(tmp_path / "a.ora", layer="gone"))
    Pillow.new("RGB", (4, 4)).save(tmp_path / "a.png")
    assert "has no layers" in refused(lambda: read_image(tmp_path / "a.png", layer="Source"))


@pytest.mark.parametrize("ending", [".tif", ".jpg", ".webp", ".psd"])
def test_metadata_and_profile_go_along(tmp_path, ending):
    packet = xmp.with_recipes(b"", b"{}").replace(b"</rdf:RDF>", b'<rdf:Description title="mine"/></rdf:RDF>')
    exif = Pillow.Exif()
    exif[0x013B], exif[0x8298] = "Artist", "Copyright"
    exif.get_ifd(0x8769)[0x9003] = "2026:12:01 03:00:00"
    eight = Pillow.fromarray(noise((9, 13, 3), np.uint8))
    icc = colour.srgb_icc()
    eight.save(tmp_path / "in.jpg", exif=exif, xmp=packet, dpi=(300, 300), icc_profile=icc, quality=95)
    source = read_image(tmp_path / "in.jpg")
    writing.write(tmp_path / f"out{ending}", source, [layer_for(source)], "An edit")
    again = read_image(tmp_path / f"out{ending}")
    kept, told = (dict((*one.metadata, *one.colour_chunks)) for one in (source, again))
    assert b'title="mine"' in told[b"iTXt"] and b"velatura:recipes" not in told[b"iTXt"]
    read = Pillow.Exif()
    read.load(told[b"eXIf"])
    assert (read[0x013B], read[0x8298]) == ("Artist", "Copyright")
    assert read.get_ifd(0x8769)[0x9003] == "2026:12:01 03:00:00"
    assert again.icc == icc
    if ending in (".tif", ".jpg"):
        assert struct.unpack(">II", told[b"pHYs"][:8]) == struct.unpack(">II", kept[b"pHYs"][:8])
    (made,) = recipes.read_recipes(tmp_path / f"out{ending}")
    assert made.recipe == RECIPE


def test_formats_that_cannot_hold_a_picture_are_refused_before(tmp_path):
    light, clear, deep = picture("RGB", np.float32), picture("RGBA", np.uint8), picture("RGB", np.uint16)
    for name, source, sentence in (
        ("a.png", light, "cannot hold the floats"),
        ("a.ora", light, "cannot hold the floats"),
        ("a.jpg", light, "cannot hold the floats"),
        ("a.psd", picture("RGB", np.float16), "floats of 16 bits"),
        ("a.exr", deep, "whole numbers; write .png or .tif"),
        ("a.jpg", clear, "transparency"),
    ):
        assert sentence in refused(lambda name=name, source=source: writing.check(tmp_path / name, source))
    assert "16 bits became 8" in writing.caution(tmp_path / "a.webp", deep)
    assert "loses a little of every pixel" in writing.caution(tmp_path / "a.jpg", clear)
    assert writing.caution(tmp_path / "a.tif", deep) == ""


def test_a_jpeg_is_near_and_opaque(tmp_path):
    y, x = np.mgrid[:40, :50]
    source = Image(np.stack([x * 5, y * 6, x + y], axis=-1).astype(np.uint8), "RGB")
    layer = Layer(Image(np.zeros((2, 2, 4), np.uint8), "RGBA"), 0, 0, "Variation 1", RECIPE)
    writing.write(tmp_path / "a.jpg", source, [layer], "An edit")
    with Pillow.open(tmp_path / "a.jpg") as file:
        assert np.abs(np.asarray(file).astype(int) - source.pixels).max() < 12
        assert file.info["icc_profile"] == colour.srgb_icc()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"GIF89a", "a GIF"),
        (b"\0\0\0\x20ftypheic", "a HEIC"),
        (b"\0\0\0\x20ftypavif", "an AVIF"),
        (b"gimp xcf v011", "a GIMP picture (XCF)"),
        (b"%PDF-1.7", "a PDF"),
        (b'\xef\xbb\xbf<svg xmlns="">', "a vector picture (SVG)"),
        (b"hello", "not a picture"),
    ],
)
def test_a_file_is_refused_by_what_it_is(tmp_path, content, what):
    (tmp_path / "a.png").write_bytes(content + bytes(100))
    assert f"a.png is {what}, which cannot be read; use PNG" in refused(
        lambda: read_image(tmp_path / "a.png")
    )


def test_floats_serve_as_masks(tmp_path):
    values = np.array([[0.0, 0.5, 1.0, 2.0, np.nan, -1.0]], np.float32)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack")
    assert read_mask(tmp_path / "a.tif").pixels[0, :, 0].tolist() == [0, 32768, 65535, 65535, 0, 0]


@settings(max_examples=200, deadline=None)
@given(
    lower=st.lists(st.floats(0, 4, width=32), min_size=4, max_size=4),
    upper=st.lists(st.floats(0, 4, width=32), min_size=3, max_size=3),
    alphas=st.tuples(*[st.sampled_from([0.0, 1.0]) | st.floats(2**-10, 1, width=32)] * 2),
)
def test_floats_are_composited_by_porter_and_duff(lower, upper, alphas):
    from velatura.pixels.over import over

    below = np.array([[[*lower[:3], alphas[0]]]], np.float32)
    above = np.array([[[*upper, alphas[1]]]], np.float32)
    made = over(below, above)[0, 0].astype(np.float64)
    a, b = map(float, (np.float32(alphas[1]), np.float32(alphas[0])))
    out = a + b * (1 - a)
    if a == 0:
        assert np.array_equal(made, below[0, 0])
    else:
        expected = (a * above[0, 0, :3].astype(float) + (1 - a) * b * below[0, 0, :3]) / out
        assert np.allclose(made[:3], expected, rtol=1e-6, atol=1e-6) and np.isclose(made[3], out, rtol=1e-6)


def test_a_stream_of_recipes_survives_other_programs_xmp():
    text = recipes.pack([(recipes.FLAT, layer_for(picture("RGB", np.uint8)))])
    packet = xmp.with_recipes(b"", text)
    assert xmp.recipes_in(packet) == text
    assert xmp.recipes_in(xmp.with_recipes(packet, b"{}")) == b"{}"
    renamed = packet.replace(b"xmlns:velatura", b"xmlns:ns1").replace(b" velatura:", b" ns1:")
    assert xmp.recipes_in(renamed) == text
    assert xmp.recipes_in(b"<broken urn:velatura:xmp:1") == b""
    assert io.BytesIO(packet).read(9) == b"<?xpacket"
