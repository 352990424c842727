"""`velatura edit` and `rerun` on files of floats and of layers, against a real daemon and a tiny model."""

import numpy as np
import OpenEXR
import pytest
import tifffile
from psd_tools import PSDImage

from tests.cli.pictures import SIZE, gradient, save, soft_mask

pytestmark = pytest.mark.timeout(240)
EDIT = ("--method", "blended-latent-diffusion", "--prompt", "a hat", "--set", "steps=4", "--seed", "5")


@pytest.fixture
def masked(tmp_path):
    save(tmp_path / "mask.png", soft_mask()[..., None])
    return ("--mask", tmp_path / "mask.png", *EDIT)


def test_a_float_tiff_is_edited_in_its_own_light_and_rerun(cli, tmp_path, masked):
    light = (gradient(3, np.uint16) / 65535.0 * 3.0).astype(np.float32)  # up to three times white
    tifffile.imwrite(tmp_path / "in.tif", light, photometric="rgb")
    cli("edit", tmp_path / "in.tif", *masked, "--out", tmp_path / "out.tif")
    result, mask = tifffile.imread(tmp_path / "out.tif"), soft_mask()
    assert result.dtype == np.float32 and result.shape == light.shape
    assert np.array_equal(result[mask == 0], light[mask == 0])
    assert not np.array_equal(result[mask == 255], light[mask == 255])
    assert '"same": true' in cli("rerun", tmp_path / "out.tif", "--json").stdout
    assert "a hat" in cli("show", tmp_path / "out.tif").stdout


def test_an_exr_keeps_its_channels_and_says_how_it_was_made(cli, tmp_path, masked):
    planes = dict(
        zip("RGB", np.moveaxis(gradient(3, np.uint16) / 65535.0, -1, 0).astype(np.float16), strict=True)
    )
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    with OpenEXR.File(header, {name: plane.copy() for name, plane in planes.items()}) as file:
        file.write(str(tmp_path / "in.exr"))
    refused = cli("edit", tmp_path / "in.exr", *masked, "--out", tmp_path / "out.png", code=1)
    assert "cannot hold the floats" in refused.stderr
    cli("edit", tmp_path / "in.exr", *masked, "--out", tmp_path / "out.exr")
    with OpenEXR.File(str(tmp_path / "out.exr"), separate_channels=True) as file:
        made = {name: channel.pixels for name, channel in file.channels().items()}
    outside = soft_mask() == 0
    assert made.keys() == planes.keys()
    assert all(np.array_equal(made[name][outside], planes[name][outside]) for name in planes)
    assert "a hat" in cli("show", tmp_path / "out.exr").stdout


def test_one_layer_of_a_psd_becomes_a_psd_with_variations(cli, tmp_path, masked):
    file = PSDImage.new("RGB", (SIZE[1], SIZE[0]), depth=16)
    file.create_pixel_layer_from_array(gradient(3, np.uint16), name="Paper")
    file.create_pixel_layer_from_array(gradient(4, np.uint16)[:30], name="Face", top=4, left=2)
    file.save(tmp_path / "in.psd")
    words = ("edit", tmp_path / "in.psd", "--layer", "Face", *masked, "--variations", 2)
    cli(*words, "--out", tmp_path / "out.psd")
    layers = [layer for layer in PSDImage.open(tmp_path / "out.psd").descendants() if layer.kind == "pixel"]
    assert [layer.visible for layer in layers] == [True, False, True]
    assert layers[0].name == "Source" and {layer.numpy().shape[-1] for layer in layers} == {4}
    assert '"same": true' in cli("rerun", tmp_path / "out.psd", "--json").stdout
