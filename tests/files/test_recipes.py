"""Recipes in the files of results, read back by decoders that are not ours."""

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image as Pillow

from velatura.files import chunks
from velatura.files.images import Image, Layer
from velatura.files.masks import write_mask
from velatura.files.ora import write_ora
from velatura.files.png import encode, write_png
from velatura.files.reading import read_image
from velatura.files.recipes import FLAT, Made, read_recipes
from velatura_protocol.errors import VelaturaError

RECIPE = {"velatura": 1, "prompt": "a hat, \u201cred\u201d \U0001f58c", "seed": 7}


@pytest.fixture
def source():
    return Image(np.arange(4 * 6 * 3, dtype=np.uint16).reshape(4, 6, 3) * 700, "RGB")


def layer(seed=7, digest="blake2b:" + 64 * "0"):
    pixels = np.full((2, 3, 4), 40_000, np.uint16)
    return Layer(Image(pixels, "RGBA"), 1, 1, f"Variation {seed}", RECIPE | {"seed": seed}, digest)


def test_a_png_holds_its_recipe_where_other_readers_find_it(tmp_path, source):
    write_png(tmp_path / "out.png", source, layer())
    with Pillow.open(tmp_path / "out.png") as picture:
        told = json.loads(picture.text["velatura"])
    assert told["layers"] == {FLAT: RECIPE}
    assert told["results"] == {FLAT: {"title": "Variation 7", "digest": layer().digest}}
    assert read_recipes(tmp_path / "out.png") == [Made(FLAT, "Variation 7", layer().digest, RECIPE)]


def test_a_mask_holds_its_recipe(tmp_path):
    mask = Layer(Image(np.full((2, 3, 1), 200, np.uint8), "A", ""), 0, 0, "hat", RECIPE)
    write_mask(tmp_path / "mask.png", mask)
    (made,) = read_recipes(tmp_path / "mask.png")
    assert (made.title, made.recipe) == ("hat", RECIPE)


def test_an_ora_holds_the_recipe_of_each_layer_the_topmost_first(tmp_path, source):
    write_ora(tmp_path / "out.ora", source, [layer(9, "a"), layer(3, "b")], "t")
    told = [(made.title, made.digest, made.recipe["seed"]) for made in read_recipes(tmp_path / "out.ora")]
    assert told == [("Variation 9", "a", 9), ("Variation 3", "b", 3)]


@pytest.mark.parametrize("name", ["out.png", "out.ora"])
def test_own_results_are_pictures_to_edit(tmp_path, source, name):
    if name.endswith("png"):
        write_png(tmp_path / name, source, layer())
    else:
        write_ora(tmp_path / name, source, [layer()], "t")
    image = read_image(tmp_path / name)
    assert (image.dtype, image.channels) == ("u16", "RGB")
    inside = np.zeros((4, 6), bool)
    inside[1:3, 1:4] = True
    assert np.array_equal(image.pixels[~inside], source.pixels[~inside])
    assert (image.pixels[inside] != source.pixels[inside]).any()


def refusal(path):
    with pytest.raises(VelaturaError) as error:
        read_recipes(path)
    assert error.value.code == "bad-request"
    return error.value.message


def test_a_file_without_a_recipe_is_refused(tmp_path, source):
    (tmp_path / "plain.png").write_bytes(encode(source))
    Pillow.new("RGB", (4, 4)).save(tmp_path / "plain.jpg")
    with zipfile.ZipFile(tmp_path / "other.ora", "w") as archive:
        archive.writestr("mimetype", "image/openraster")
    for name in ("plain.png", "plain.jpg", "other.ora"):
        assert refusal(tmp_path / name).startswith(f"{name} has no recipe")
    assert "no file" in refusal(tmp_path / "absent.png")


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"version": 2, "layers": {}}', 9000 * b"[", b"\xff"])
def test_a_broken_recipe_is_refused(tmp_path, source, text):
    chunk = (b"iTXt", b"velatura\0\0\0\0\0" + text)
    (tmp_path / "out.png").write_bytes(encode(source, extra=(chunk,)))
    with zipfile.ZipFile(tmp_path / "out.ora", "w") as archive:
        archive.writestr("velatura/recipes.json", text)
    for name in ("out.png", "out.ora"):
        assert refusal(tmp_path / name) == f"The recipe in {name} is broken; make the edit anew."


def test_a_recipe_that_is_cut_short_is_refused(tmp_path, source):
    write_png(tmp_path / "out.png", source, layer())
    content = (tmp_path / "out.png").read_bytes()
    (data,) = (data for kind, data in chunks.walk(content) if kind == b"iTXt")
    (tmp_path / "cut.png").write_bytes(encode(source, extra=((b"iTXt", data[:-20]),)))
    assert "broken" in refusal(tmp_path / "cut.png")


def test_an_archive_that_is_no_picture_is_refused_as_one(tmp_path):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("word/document.xml", "<a/>")
    (tmp_path / "text.docx").write_bytes(stream.getvalue())
    with pytest.raises(VelaturaError, match="an archive without a merged picture, which cannot be read"):
        read_image(tmp_path / "text.docx")
