"""Metadata of pictures in the files of results, read back by Pillow."""

import io
import zipfile

import imagecodecs
import numpy as np
import pytest
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from velatura.files import chunks
from velatura.files.images import Image, Layer, stripped
from velatura.files.ora import write_ora
from velatura.files.png import write_png
from velatura.files.reading import read_image

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>'
    b"</rdf:RDF></x:xmpmeta>"
)
ARTIST, ORIENTATION, EXIF, GPS, LENS, WIDTH = 315, 274, 0x8769, 0x8825, 0xA434, 0xA002


def exif():
    made = Pillow.Exif()
    made[ARTIST], made[ORIENTATION] = "A. Painter", 6
    made[EXIF] = {LENS: "50 mm", WIDTH: 6}
    made[GPS] = {1: "N"}
    return made


def picture(path, **options):
    Pillow.new("RGB", (6, 4), (90, 40, 20)).save(path, exif=exif().tobytes(), **options)
    return path


def result(path, source):
    depth = np.iinfo(source.pixels.dtype).max
    layer = Layer(Image(np.full((2, 2, 4), depth, source.pixels.dtype), "RGBA"), 1, 1, "v", {"velatura": 1})
    (write_png(path, source, layer) if path.suffix == ".png" else write_ora(path, source, [layer], "t"))
    return path


def upright(opened):
    """Fail unless the picture has its EXIF, turned upright."""
    opened.load()
    told = opened.getexif()
    assert (told[ARTIST], told.get(ORIENTATION, 1), opened.size) == ("A. Painter", 1, (4, 6))
    assert (told.get_ifd(EXIF)[LENS], told.get_ifd(EXIF)[WIDTH], told.get_ifd(GPS)[1]) == ("50 mm", 4, "N")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("in.jpg", {"dpi": (300, 300), "xmp": XMP, "comment": b"of mine"}),
        ("in.webp", {"xmp": XMP}),
        ("in.tif", {"dpi": (300, 300)}),
        ("in.png", {"dpi": (300, 300)}),
    ],
)
def test_a_result_keeps_what_the_file_says(tmp_path, name, options):
    source = read_image(picture(tmp_path / name, **options))
    with Pillow.open(result(tmp_path / "out.png", source)) as opened:
        upright(opened)
        if "dpi" in options:
            assert opened.info["dpi"] == pytest.approx((300, 300), abs=0.02)
        if "xmp" in options:
            assert opened.info["xmp"] == XMP.replace(b'"6"', b'"1"')
        assert opened.text.get("Comment", "") == options.get("comment", b"").decode()
    with zipfile.ZipFile(result(tmp_path / "out.ora", source)) as archive:
        for part in ("data/source.png", "mergedimage.png"):
            with Pillow.open(io.BytesIO(archive.read(part))) as opened:
                upright(opened)
    again = read_image(tmp_path / "out.png")
    assert (again.width, again.height) == (4, 6)
    with Pillow.open(result(tmp_path / "bare.png", stripped(source))) as opened:
        opened.load()
        assert not opened.getexif() and "dpi" not in opened.info and opened.text.keys() == {"velatura"}


def test_texts_of_a_16_bit_png_are_kept_and_an_older_recipe_is_not(tmp_path):
    pixels = imagecodecs.png_encode(np.full((4, 6, 3), 1000, np.uint16))
    texts = ((b"tEXt", b"Title\0Hat"), (b"iTXt", b"velatura\0\0\0\0\0{}"), (b"eXIf", exif().tobytes()[6:]))
    (tmp_path / "in.png").write_bytes(chunks.insert(pixels, texts))
    with Pillow.open(result(tmp_path / "out.png", read_image(tmp_path / "in.png"))) as opened:
        upright(opened)
        assert opened.text["Title"] == "Hat" and opened.text["velatura"] != "{}"


def test_a_picture_with_broken_exif_is_read(tmp_path):
    pixels = imagecodecs.png_encode(np.full((4, 6, 3), 1000, np.uint16))
    (tmp_path / "in.png").write_bytes(chunks.insert(pixels, ((b"eXIf", b"MM\0*\0\0\0\x08\xff\xff"),)))
    assert read_image(tmp_path / "in.png").width == 6


def test_a_picture_without_metadata_gives_none(tmp_path):
    Pillow.new("RGB", (6, 4)).save(tmp_path / "in.png", pnginfo=PngInfo())
    assert read_image(tmp_path / "in.png").metadata == ()
