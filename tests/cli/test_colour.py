"""`velatura edit` in a file's own colours: the bytes around the edit, the profile, and the recipe."""

import json

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from tests.cli.pictures import gradient, load, save, soft_mask
from tests.colour import profiles
from velatura.files import chunks
from velatura.files.reading import read_image
from velatura_protocol.errors import VelaturaError

pytestmark = pytest.mark.timeout(240)
EDIT = ("--method", "blended-latent-diffusion", "--prompt", "a hat", "--set", "steps=4", "--seed", "5")
PQ = (b"cICP", bytes([9, 16, 0, 1]))
GAMMA = (b"gAMA", (55556).to_bytes(4, "big"))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a mask, which the command line runs in."""
    save(tmp_path / "mask.png", soft_mask()[..., None])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("channels", "dtype", "extra"),
    [
        (3, np.uint16, chunks.icc_chunk(profiles.PROPHOTO.icc)),
        (4, np.uint8, chunks.icc_chunk(profiles.TABLE.icc)),
        (1, np.uint16, chunks.icc_chunk(profiles.GRAY.icc)),
        (1, np.uint8, chunks.icc_chunk(profiles.ADOBE.icc)),
        (3, np.uint16, PQ),
        (3, np.uint8, GAMMA),
    ],
    ids=["ProPhoto", "table", "gray", "gray in Adobe RGB", "PQ", "gAMA"],
)
def test_a_picture_is_edited_in_its_own_colours(cli, folder, channels, dtype, extra):
    source, mask = gradient(channels, dtype), soft_mask()
    (folder / "in.png").write_bytes(
        chunks.insert(imagecodecs.png_encode(source[..., 0] if channels == 1 else source), (extra,))
    )
    words = ("in.png", "--mask", "mask.png", *EDIT, "--json", "--compare", "seen.png")
    made = json.loads(cli("edit", *words, "--out", "out.png").stdout)["layers"][0]["recipe"]
    result = load(folder / "out.png").reshape(source.shape)
    assert result.dtype == dtype
    assert np.array_equal(result[mask == 0], source[mask == 0])
    assert not np.array_equal(result[mask == 255], source[mask == 255])
    assert extra in chunks.colour_chunks((folder / "out.png").read_bytes())
    assert made["inputs"]["source"].get("icc", "") == ("" if extra is PQ else made["inputs"]["source"]["icc"])
    again = json.loads(cli("rerun", "out.png", "--json").stdout)
    assert (again["same"], again["why"]) == (True, [])
    cli("edit", *words[:-3], "--out", "out.ora")
    told = json.loads(cli("rerun", "out.ora", "--json").stdout)
    assert told["same"]


def test_the_same_numbers_in_another_profile_are_another_picture(cli, folder):
    pixels = imagecodecs.png_encode(gradient(3, np.uint8))
    for name, made in (("a.png", profiles.ADOBE), ("b.png", profiles.DISPLAY_P3)):
        (folder / name).write_bytes(chunks.insert(pixels, (chunks.icc_chunk(made.icc),)))
    cli("edit", "a.png", "--mask", "mask.png", *EDIT, "--out", "out.png")
    (folder / "a.png").unlink()
    told = cli("rerun", "out.png", code=1)
    assert "The picture of out.png, a.png, is not in its folder" in told.stderr
    again = json.loads(cli("rerun", "out.png", "--source", "b.png", "--json").stdout)
    assert not again["same"] and "b.png is not the one that the recipe names" in again["why"][0]


@pytest.mark.parametrize(("mode", "name"), [("CMYK", "in.jpg"), ("CMYK", "in.tif"), ("LAB", "in.tif")])
def test_ink_and_lab_are_refused_or_converted_as_asked(cli, folder, mode, name):
    colour = {"CMYK": (0, 200, 200, 20), "LAB": (128, 200, 180)}[mode]
    Pillow.new(mode, (64, 48), colour).save(folder / name)
    words = (name, "--mask", "mask.png", *EDIT, "--out", "out.png")
    told = cli("edit", *words, code=1)
    kind = {"CMYK": "CMYK", "LAB": "Lab"}[mode]
    assert f"{name} is in {kind} colours. Add --convert to edit an RGB copy" in told.stderr
    assert not (folder / "out.png").exists()
    cli("edit", *words, "--convert")
    result = load(folder / "out.png")
    red, green, blue = result[0, 0].astype(int)
    assert red > green + 60 and red > blue + 60
    assert (result[soft_mask() == 0] == result[0, 0]).all()
    assert json.loads(cli("rerun", "out.png", "--json").stdout)["same"]


def test_ink_is_converted_by_its_own_profile(cli, folder):
    icc = profiles.ink_profile()
    Pillow.new("CMYK", (64, 48), (255, 0, 0, 0)).save(folder / "in.tif", icc_profile=icc)
    cli("edit", "in.tif", "--mask", "mask.png", *EDIT, "--out", "out.png", "--convert")
    assert np.abs(load(folder / "out.png")[0, 0].astype(int) - (119, 119, 119)).max() <= 1


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_ink_of_sixteen_bits_becomes_rgb_of_sixteen_bits(tmp_path, planar):
    ink = np.zeros((5, 7, 4), np.uint16)
    ink[..., 0] = 65535
    for icc, wanted in ((profiles.ink_profile(), [30561] * 3), (None, [0, 65535, 65535])):
        stored = ink if planar == "contig" else np.moveaxis(ink, -1, 0)
        tifffile.imwrite(
            tmp_path / "in.tif", stored, photometric="separated", planarconfig=planar, iccprofile=icc
        )
        image = read_image(tmp_path / "in.tif", convert=True)
        assert (image.channels, image.dtype, image.profile, image.icc) == ("RGB", "u16", "sRGB", b"")
        assert np.abs(image.pixels.astype(int) - wanted).max() <= 4
        with pytest.raises(VelaturaError, match="--convert"):
            read_image(tmp_path / "in.tif")
