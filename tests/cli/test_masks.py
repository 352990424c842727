"""`velatura edit` with a method of masks, against a real daemon and a tiny real model."""

import json
import xml.etree.ElementTree as ElementTree
import zipfile

import imagecodecs
import numpy as np
import pytest
from PIL import Image as Pillow

from tests.cli.conftest import CommandLine
from tests.cli.pictures import gradient, load, save, soft_mask
from tests.daemon_fixture import Daemon
from tests.more_methods import environment
from tests.tiny import register_tiny_model

pytestmark = pytest.mark.timeout(300)
FIND = ("--method", "shades", "--prompt", "a cat")


@pytest.fixture(scope="module")
def finding(tmp_path_factory, tiny_folder):
    """The command line beside a daemon that has a method of masks."""
    folder = tmp_path_factory.mktemp("masks") / "state"
    register_tiny_model(folder, tiny_folder)
    with Daemon(folder, environment()):
        yield CommandLine(folder, folder.parent)


@pytest.fixture
def files(tmp_path):
    save(tmp_path / "in.png", gradient(3, np.uint16))
    save(tmp_path / "mask.png", soft_mask()[..., None])
    return (tmp_path / "in.png", "--mask", tmp_path / "mask.png")


def test_each_word_has_a_picture_of_its_own(finding, tmp_path, files):
    told = finding("edit", *files, *FIND, "--out", tmp_path / "out.png", "--json").stdout
    answer = json.loads(told)
    names = [str(tmp_path / "out-a.png"), str(tmp_path / "out-cat.png")]
    assert (answer["files"], answer["out"]) == (names, names[0])
    assert [(one["title"], one["kind"]) for one in answer["layers"]] == [("a", "mask"), ("cat", "mask")]
    first, second = (load(tmp_path / f"out-{word}.png") for word in ("a", "cat"))
    assert (first.shape, first.dtype) == ((48, 64, 1), np.uint8)
    assert (first[soft_mask() == 0] == 0).all() and first.any()
    assert (second <= first).all() and (second < first).any()
    assert not (tmp_path / "out.png").exists()


def test_one_word_has_the_name_that_was_given(finding, tmp_path, files):
    words = (*files, *FIND, "--set", "words=Cat", "--out", tmp_path / "out.png")
    told = finding("edit", *words).stdout
    assert "out.png: a cat · Shades, 1 mask in" in told
    assert load(tmp_path / "out.png").shape == (48, 64, 1)


def test_ora_has_white_paint_over_the_source(finding, tmp_path, files):
    words = (*files, *FIND, "--set", 'words=[{"text": "cat"}, {"text": "a"}]', "--out", tmp_path / "out.ora")
    assert "out.ora: a cat · Shades, 2 masks in" in finding("edit", *words).stdout
    with zipfile.ZipFile(tmp_path / "out.ora") as archive:
        group, bottom = ElementTree.fromstring(archive.read("stack.xml")).find("stack")
        layers = [imagecodecs.png_decode(archive.read(element.get("src"))) for element in group]
        assert bottom.get("name") == "Source"
    assert [element.get("name") for element in group] == ["cat", "a"]
    for pixels in layers:
        assert pixels.dtype == np.uint16 and pixels.shape == (48, 64, 4)
        assert (pixels[..., :3] == 65535).all()
        assert (pixels[..., 3] % 257 == 0).all() and (pixels[..., 3][soft_mask() == 0] == 0).all()


def test_a_comparison_shows_the_first(finding, tmp_path, files):
    finding("edit", *files, *FIND, "--out", tmp_path / "o.ora", "--compare", tmp_path / "c.png")
    with Pillow.open(tmp_path / "c.png") as picture:
        assert picture.width > 3 * picture.height


def test_what_is_read_is_not_written_over(finding, tmp_path, files):
    source = save(tmp_path / "out-cat.png", gradient(3, np.uint8))
    before = source.read_bytes()
    told = finding("edit", source, *FIND, "--out", tmp_path / "out.png", code=1).stderr
    assert "is also a picture to read" in told
    assert source.read_bytes() == before and not (tmp_path / "out-a.png").exists()


def test_the_method_says_that_it_makes_masks(finding):
    told = finding("methods", "shades").stdout
    assert "The result is masks" in told
    assert "--set words=… words of the prompt with commas between, or a JSON list" in told
