"""Results in files: bit-exact outside of the mask, at the source's own depth, whole or not at all."""

import io
import json
import xml.etree.ElementTree as ElementTree
import zipfile
from fractions import Fraction

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image as Pillow

from velatura.files import chunks, colour, sheet
from velatura.files.atomic import replacing
from velatura.files.compare import write_comparison
from velatura.files.composite import over
from velatura.files.images import Image, Layer
from velatura.files.ora import Group, write_groups, write_ora
from velatura.files.png import write_png
from velatura.files.reading import read_image

COUNT = {"G": 1, "GA": 2, "RGB": 3, "RGBA": 4}


@st.composite
def edits(draw):
    """A source and a layer of its depth, anywhere over, beside or around it."""
    dtype = draw(st.sampled_from([np.uint8, np.uint16]))
    full = int(np.iinfo(dtype).max)
    channels = draw(st.sampled_from(sorted(COUNT)))
    values = st.one_of(st.sampled_from([0, 1, full // 2, full - 1, full]), st.integers(0, full))
    side = st.integers(1, 6)

    def pixels(count):
        return draw(arrays.arrays(dtype, (draw(side), draw(side), count), elements=values))

    source = Image(pixels(COUNT[channels]), channels)
    opaque = channels.removesuffix("A") + "A"
    layer = Image(pixels(COUNT[opaque]), opaque)
    at = st.integers(-7, 7)
    return source, Layer(layer, draw(at), draw(at), "Variation 1", {"velatura": 1})


def reference(source, layer):
    """Porter and Duff's over, straight alpha, one pixel after another in exact fractions."""
    full = int(np.iinfo(source.pixels.dtype).max)
    result = source.pixels.copy()
    for row in range(layer.image.height):
        for column in range(layer.image.width):
            y, x = row + layer.y, column + layer.x
            *upper, a = (int(v) for v in layer.image.pixels[row, column])
            if not (0 <= y < source.height and 0 <= x < source.width) or a == 0:
                continue
            lower = [int(v) for v in source.pixels[y, x]]
            a, a_s = (
                Fraction(a, full),
                Fraction(lower.pop(), full) if source.channels.endswith("A") else Fraction(1),
            )
            a_o = a + a_s * (1 - a)
            mixed = [(a * c + a_s * (1 - a) * c_s) / a_o for c, c_s in zip(upper, lower, strict=True)]
            if source.channels.endswith("A"):
                mixed.append(a_o * full)
            result[y, x] = [int(v + Fraction(1, 2)) for v in mixed]
    return result


@given(edits())
def test_compositing_is_the_straight_alpha_over_in_exact_arithmetic(edit):
    source, layer = edit
    assert np.array_equal(over(source, layer).pixels, reference(source, layer))


@given(edits())
def test_png_is_bit_exact_outside_the_layer_and_in_the_sources_depth(tmp_path_factory, edit):
    source, layer = edit
    path = tmp_path_factory.getbasetemp() / "out.png"
    write_png(path, source, layer)
    written = imagecodecs.png_decode(path.read_bytes()).reshape(source.pixels.shape)
    assert written.dtype == source.pixels.dtype
    alpha = np.zeros(source.pixels.shape[:2], bool)
    for row, column in np.ndindex(*layer.image.pixels.shape[:2]):
        y, x = row + layer.y, column + layer.x
        if 0 <= y < source.height and 0 <= x < source.width:
            alpha[y, x] = layer.image.pixels[row, column, -1] > 0
    assert np.array_equal(written[~alpha], source.pixels[~alpha])
    assert np.array_equal(read_image(path).pixels, over(source, layer).pixels)


@given(edits())
def test_ora_holds_source_and_variations_at_their_own_depth(tmp_path_factory, edit):
    source, layer = edit
    layers = [layer, Layer(layer.image, 2, 3, "Variation 2 <\x00&\U0001f58c>", {"velatura": 1, "seed": 5})]
    path = tmp_path_factory.getbasetemp() / "out.ora"
    write_ora(path, source, layers, "SDEdit: \u201ca hat\u201d \x07")
    with zipfile.ZipFile(path) as archive:
        first = archive.infolist()[0]
        assert (first.filename, first.compress_type) == ("mimetype", zipfile.ZIP_STORED)
        assert path.read_bytes()[30:54] == b"mimetypeimage/openraster"
        content = {name: archive.read(name) for name in archive.namelist()}
        assert archive.testzip() is None
    root = ElementTree.fromstring(content["stack.xml"])
    assert (root.tag, root.get("w"), root.get("h")) == ("image", str(source.width), str(source.height))
    group, bottom = root.find("stack")
    assert (group.tag, bottom.tag, bottom.get("src")) == ("stack", "layer", "data/source.png")
    assert [e.get("visibility") for e in group] == ["visible", "hidden"]
    recipes = json.loads(content["velatura/recipes.json"])
    for element, expected in zip(group, layers, strict=True):
        pixels = imagecodecs.png_decode(content[element.get("src")]).reshape(expected.image.pixels.shape)
        assert pixels.dtype == source.pixels.dtype
        assert np.array_equal(pixels, expected.image.pixels)
        assert (int(element.get("x")), int(element.get("y"))) == (expected.x, expected.y)
        assert recipes["layers"][element.get("src")] == expected.recipe
    below = imagecodecs.png_decode(content["data/source.png"]).reshape(source.pixels.shape)
    assert np.array_equal(below, source.pixels)
    merged = imagecodecs.png_decode(content["mergedimage.png"]).reshape(source.pixels.shape)
    assert np.array_equal(merged, over(source, layer).pixels)
    with Pillow.open(io.BytesIO(content["Thumbnails/thumbnail.png"])) as thumbnail:
        assert max(thumbnail.size) <= 256
    with Pillow.open(io.BytesIO(content["data/source.png"])) as picture:
        assert picture.info["icc_profile"]


def test_groups_lie_above_each_other_and_the_first_is_shown(tmp_path):
    source = Image(np.full((4, 4, 3), 9, np.uint8), "RGB")
    layers = [Layer(Image(np.full((2, 2, 4), 255, np.uint8), "RGBA"), i, i, f"L{i}", {}) for i in range(3)]
    write_groups(tmp_path / "out.ora", source, [Group("one", layers[:2]), Group("two", layers[2:])], "t")
    with zipfile.ZipFile(tmp_path / "out.ora") as archive:
        one, two, bottom = ElementTree.fromstring(archive.read("stack.xml")).find("stack")
        merged = imagecodecs.png_decode(archive.read("mergedimage.png"))
    assert [(g.get("name"), g.get("visibility"), len(g)) for g in (one, two)] == [
        ("one", "visible", 2),
        ("two", "hidden", 1),
    ]
    assert bottom.get("src") == "data/source.png"
    assert [e.get("src") for e in (*one, *two)] == [f"data/variation-{i}.png" for i in (1, 2, 3)]
    assert np.array_equal(merged, over(source, layers[0]).pixels)


def test_a_sheet_has_short_rows_beside_each_other_and_tints_selections(tmp_path):
    source = Image(np.full((40, 30, 3), 120, np.uint8), "RGB")
    paint = Layer(Image(np.full((40, 30, 4), 255, np.uint8), "RGBA"), 0, 0, "", {})
    mask = Layer(Image(np.full((40, 30, 1), 255, np.uint8), "A"), 0, 0, "", {})
    rows = [
        sheet.Row("A dial", "more", ["20 %", "60 %", "100 %"], [paint] * 3),
        sheet.Row("One", "of two", [""], [paint]),
        sheet.Row("A word", "selected", [""], [mask]),
    ]
    assert sheet._places([4, 2, 2, 3, 2], 4) == [(0, 0), (1, 0), (1, 2), (2, 0), (3, 0)]
    sheet.write_sheet(tmp_path / "sheet.png", source, rows)
    with Pillow.open(tmp_path / "sheet.png") as picture:
        width = round(30 * sheet.SIDE / 40) + sheet.GAP
        assert picture.width == 2 * sheet.MARGIN + 4 * width - sheet.GAP
        second = sheet.MARGIN + sheet.SIDE + 2 * sheet.LINE + sheet.MARGIN + sheet.LINE + 20
        colours = [picture.getpixel((sheet.MARGIN + i * width + 20, second)) for i in range(4)]
    assert colours[0] == colours[2] == (120, 120, 120) and colours[1] == (255, 255, 255)
    assert colours[3][0] > colours[3][1]


def test_profile_chunks_are_kept(tmp_path):
    pixels = np.full((4, 4, 3), 1000, np.uint16)
    kept = (chunks.icc_chunk(colour.srgb_icc()), (b"pHYs", bytes([0, 0, 11, 19, 0, 0, 11, 19, 1])))
    (tmp_path / "in.png").write_bytes(chunks.insert(imagecodecs.png_encode(pixels), kept))
    source = read_image(tmp_path / "in.png")
    layer = Layer(Image(np.full((2, 2, 4), 65535, np.uint16), "RGBA"), 1, 1, "v", {})
    write_png(tmp_path / "out.png", source, layer)
    assert chunks.colour_chunks((tmp_path / "out.png").read_bytes()) == kept
    with Pillow.open(tmp_path / "out.png") as picture:
        assert picture.info["icc_profile"] == colour.srgb_icc()

    Pillow.new("RGB", (4, 4)).save(tmp_path / "in.jpg", icc_profile=colour.srgb_icc())
    layer = Layer(Image(np.full((2, 2, 4), 255, np.uint8), "RGBA"), 1, 1, "v", {})
    write_png(tmp_path / "jpg.png", read_image(tmp_path / "in.jpg"), layer)
    assert read_image(tmp_path / "jpg.png").icc == colour.srgb_icc()


def test_the_same_result_gives_the_same_file(tmp_path):
    source = Image(np.zeros((300, 400, 3), np.uint8), "RGB")
    layer = Layer(Image(np.full((20, 20, 4), 255, np.uint8), "RGBA"), 5, 5, "v", {"velatura": 1})
    for name in ("a.ora", "b.ora"):
        write_ora(tmp_path / name, source, [layer], "t")
    assert (tmp_path / "a.ora").read_bytes() == (tmp_path / "b.ora").read_bytes()


def test_a_layer_of_another_depth_is_no_result(tmp_path):
    source = Image(np.zeros((3, 4, 3), np.uint16), "RGB")
    layer = Layer(Image(np.zeros((2, 2, 4), np.uint8), "RGBA"), 0, 0, "v", {})
    with pytest.raises(ValueError, match="u8 layer over RGB u16"):
        over(source, layer)


def test_result_layers_are_read_as_the_protocol_has_them():
    raster = {
        "width": 1,
        "height": 1,
        "channels": "BGRA",
        "dtype": "u16",
        "profile": "sRGB",
        "rect": [3, 4, 1, 1],
    }
    data = np.array([1, 2, 3, 4], "<u2").tobytes()
    layer = Layer.from_result({"raster": raster, "title": "t", "recipe": {"velatura": 1}}, data)
    assert (layer.x, layer.y, layer.image.channels) == (3, 4, "RGBA")
    assert layer.image.pixels.tolist() == [[[3, 2, 1, 4]]]


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "out.png"
    path.write_bytes(b"before")
    path.chmod(0o640)
    with pytest.raises(RuntimeError), replacing(path) as stream:
        stream.write(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"before"
    with replacing(path) as stream:
        stream.write(b"after")
    assert path.read_bytes() == b"after"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [p.name for p in tmp_path.iterdir()] == ["out.png"]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_comparison_shows_three_panels(tmp_path, dtype):
    full = np.iinfo(dtype).max
    source = Image(np.zeros((50, 40, 3), dtype), "RGB")
    mask = Image(np.full((50, 40, 1), full, dtype), "A", "")
    layer = Layer(Image(np.full((50, 40, 4), full, dtype), "RGBA"), 0, 0, "v", {})
    write_comparison(tmp_path / "c.png", source, mask, layer)
    with Pillow.open(tmp_path / "c.png") as picture:
        third = (picture.width - 48) // 3
        middle = [
            picture.getpixel((12 + third // 2 + i * (third + 12), picture.height // 2)) for i in range(3)
        ]
    assert middle[0] == (0, 0, 0)
    assert middle[1][0] > 100 > middle[1][1]
    assert middle[2] == (255, 255, 255)
