"""`velatura edit` against a real daemon and a tiny real model."""

import contextlib
import io
import json
import os
import pty
import signal
import termios
import threading
import xml.etree.ElementTree as ElementTree
import zipfile

import imagecodecs
import numpy as np
import pytest
from PIL import Image as Pillow

from tests.cli.conftest import CommandLine
from tests.cli.pictures import gradient, load, save, soft_mask
from tests.daemon_fixture import Daemon, wait_for
from tests.more_methods import environment, let_end
from tests.patience import patience
from velatura_protocol.client import Client

pytestmark = pytest.mark.timeout(240)
EDIT = ("--method", "blended-latent-diffusion", "--prompt", "a hat", "--set", "steps=4", "--seed", "5")
ENDLESS = ("--method", "until-told", "--prompt", "a hat")


@pytest.fixture
def files(tmp_path):
    """An 8-bit picture and its mask, as the words of a command."""
    save(tmp_path / "in.png", gradient(3, np.uint8))
    save(tmp_path / "mask.png", soft_mask()[..., None])
    return (tmp_path / "in.png", "--mask", tmp_path / "mask.png")


@pytest.mark.parametrize(
    ("channels", "dtype"), [(1, np.uint16), (3, np.uint8), (3, np.uint16), (4, np.uint8), (4, np.uint16)]
)
def test_png_is_the_source_outside_the_mask_to_the_last_bit(cli, tmp_path, channels, dtype):
    source, mask = gradient(channels, dtype), soft_mask()
    save(tmp_path / "in.png", source)
    save(tmp_path / "mask.png", mask[..., None])
    cli("edit", tmp_path / "in.png", "--mask", tmp_path / "mask.png", *EDIT, "--out", tmp_path / "out.png")
    result = load(tmp_path / "out.png")
    assert (result.dtype, result.shape) == (source.dtype, source.shape)
    assert np.array_equal(result[mask == 0], source[mask == 0])
    assert not np.array_equal(result[mask == 255], source[mask == 255])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_ora_holds_the_source_and_each_variation_with_its_recipe(cli, tmp_path, dtype):
    source, mask = gradient(4, dtype), soft_mask()
    save(tmp_path / "in.png", source)
    save(tmp_path / "mask.png", mask[..., None])
    words = (tmp_path / "in.png", "--mask", tmp_path / "mask.png", *EDIT, "--variations", 2)
    told = cli("edit", *words, "--out", tmp_path / "out.ora")
    assert "out.ora: a hat · Fill the selection, 2 variations" in told.stdout
    assert told.stderr == ""
    with zipfile.ZipFile(tmp_path / "out.ora") as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    group, bottom = ElementTree.fromstring(content["stack.xml"]).find("stack")
    assert group.get("name") == "a hat · Fill the selection"
    assert np.array_equal(imagecodecs.png_decode(content[bottom.get("src")]), source)
    for name in ("mergedimage.png", "Thumbnails/thumbnail.png"):
        with Pillow.open(io.BytesIO(content[name])) as picture:
            assert picture.size == (64, 48)
    recipes = json.loads(content["velatura/recipes.json"])["layers"]
    ranks = []
    for element in group:
        pixels = imagecodecs.png_decode(content[element.get("src")])
        x, y = int(element.get("x")), int(element.get("y"))
        height, width = pixels.shape[:2]
        assert pixels.dtype == dtype
        alpha = np.zeros(mask.shape, dtype)
        alpha[y : y + height, x : x + width] = pixels[..., 3]
        scale = np.iinfo(dtype).max // 255
        assert np.abs(alpha.astype(int) - mask.astype(int) * scale).max() <= scale
        assert (alpha[mask == 0] == 0).all()
        recipe = recipes[element.get("src")]
        assert (recipe["seed"], recipe["parameters"]["steps"]) == (5, 4)
        assert element.get("name").startswith(f"Variation {recipe['variation'] + 1}")
        assert recipe["model"]["digest"]
        ranks.append((recipe["rank"], element.get("visibility")))
    assert ranks == [(0, "visible"), (1, "hidden")]


def test_the_best_variation_is_what_a_png_shows(cli, tmp_path, files):
    words = (*files, *EDIT, "--variations", 4, "--json")
    answer = json.loads(cli("edit", *words, "--out", tmp_path / "best.png").stdout)
    layers = answer["layers"]
    assert [layer["rank"] for layer in layers] == [0, 1, 2, 3]
    assert [layer["score"] for layer in layers] == sorted((layer["score"] for layer in layers), reverse=True)
    assert all(layer["scores"].keys() == {"asked", "seam"} for layer in layers)
    assert all(layer.get("why", "") in layer["title"] for layer in layers) and answer["note"] == ""
    again = dict(layers[0]["recipe"])
    words = (*files, *EDIT[:-1], again["seed"] + again["variation"])
    cli("edit", *words, "--out", tmp_path / "alone.png")
    assert np.array_equal(load(tmp_path / "best.png"), load(tmp_path / "alone.png"))


def test_the_order_and_its_reason_are_printed(cli, tmp_path, files):
    told = cli("edit", *files, *EDIT, "--variations", 2, "--out", tmp_path / "out.ora").stdout.splitlines()
    assert len(told) == 3 and " · best, c" in told[1] and " · best" not in told[2]


def test_the_same_seed_gives_the_same_pixels(cli, tmp_path, files):
    for name in ("a.png", "b.png"):
        cli("edit", *files, *EDIT, "--out", tmp_path / name)
    assert np.array_equal(load(tmp_path / "a.png"), load(tmp_path / "b.png"))


def test_without_a_mask_the_whole_picture_is_edited(cli, tmp_path):
    save(tmp_path / "in.png", gradient(3, np.uint8))
    words = (
        "--method",
        "sdedit",
        "--prompt",
        "a hat",
        "--set",
        "steps=4",
        "--out",
        tmp_path / "out.png",
        "--json",
    )
    answer = json.loads(cli("edit", tmp_path / "in.png", *words).stdout)
    assert (answer["ok"], answer["exit"], answer["layers"][0]["rect"]) == (True, 0, [0, 0, 64, 48])
    assert answer["layers"][0]["recipe"]["method"] == "sdedit"


def test_a_comparison_is_written(cli, tmp_path, files):
    cli("edit", *files, *EDIT, "--out", tmp_path / "o.ora", "--compare", tmp_path / "c.png")
    with Pillow.open(tmp_path / "c.png") as picture:
        assert picture.width > 3 * picture.height


def test_embedded_profile_is_kept(cli, tmp_path, files):
    from velatura.files.colour import srgb_icc

    with Pillow.open(files[0]) as picture:
        picture.save(tmp_path / "icc.png", icc_profile=srgb_icc())
    cli("edit", tmp_path / "icc.png", *files[1:], *EDIT, "--out", tmp_path / "out.png")
    with Pillow.open(tmp_path / "out.png") as picture:
        assert picture.info["icc_profile"] == srgb_icc()


@pytest.mark.parametrize(
    ("change", "code", "sentence"),
    [
        (("--method", "sedit"), 1, "no method 'sedit'"),
        (("--model", "absent"), 1, "absent"),
        (("--set", "steps=many"), 1, "steps=many"),
        (("--set", "steps=100000"), 1, "Steps"),
        (("--set", "strength=nan"), 1, "Strength"),
        (("--set", "colour=red"), 1, "no option 'colour'"),
        (("--set", "steps"), 1, "--set key=value"),
        (("--variations", "99"), 1, "variations"),
        (("--prompt", " "), 1, "prompt"),
        (("--prompt", "hat " * 300), 1, "prompt"),
        (("--mask", "absent.png"), 1, "no file absent.png"),
        (("--out", "/absent/out.png"), 1, "no folder /absent"),
        (("--out", "out.gif"), 2, "must end in"),
        (("--timeout", "-1"), 2, "above 0"),
        (("--bogus",), 2, "--bogus"),
    ],
)
def test_refusals_have_a_sentence_and_an_exit_code(cli, tmp_path, files, change, code, sentence):
    result = cli("edit", *files, *EDIT, "--out", tmp_path / "out.png", *change, code=code)
    assert sentence in result.stderr
    if code != 2:
        assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out.png").exists()


def test_bad_pictures_and_masks_are_refused(cli, tmp_path, files):
    def refuse(picture, mask, sentence):
        words = (picture, "--mask", mask, *EDIT, "--out", tmp_path / "out.png")
        assert sentence in cli("edit", *words, code=1).stderr

    empty = save(tmp_path / "empty.png", np.zeros((48, 64, 1), np.uint8))
    small = save(tmp_path / "small.png", np.full((4, 4, 1), 255, np.uint8))
    Pillow.new("CMYK", (64, 48)).save(tmp_path / "cmyk.jpg")
    (tmp_path / "broken.png").write_bytes(files[0].read_bytes()[:60])
    refuse(files[0], empty, "Nothing is selected")
    refuse(files[0], small, "4 x 4 and the picture 64 x 48")
    refuse(tmp_path / "cmyk.jpg", files[2], "CMYK")
    refuse(tmp_path / "broken.png", files[2], "broken")
    words = (*files, *EDIT, "--out", files[0])
    assert "is also a picture to read" in cli("edit", *words, code=1).stderr


def test_errors_are_one_json_object_where_that_is_asked_for(cli, tmp_path, files):
    words = (*files, "--method", "sdedit", "--out", tmp_path / "o.png", "--json")
    result = cli("edit", *words, code=1)
    answer = json.loads(result.stdout)
    assert (answer["ok"], answer["exit"], answer["error"]["code"]) == (False, 1, "empty-prompt")


def test_ctrl_c_cancels_the_job(cli, tmp_path, files):
    process = cli.start("edit", *files, *ENDLESS, "--out", tmp_path / "out.png", stderr=-1, stdout=-1)
    started = lambda: _jobs(cli, "started") or process.poll() is not None  # noqa: E731
    job = wait_for(started, 60, "the job does not start")
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=patience(60))
    assert process.returncode == 5, told
    assert "Cancelling the edit." in told
    assert "was cancelled" in told
    assert not (tmp_path / "out.png").exists()
    wait_for(lambda: not _jobs(cli, "started"), 20, "the job goes on")
    assert job


def test_a_time_limit_cancels_the_job(cli, tmp_path, files):
    words = (*files, *ENDLESS, "--out", tmp_path / "out.png", "--timeout", "0.5")
    assert "--timeout" in cli("edit", *words, code=5).stderr


def test_progress_is_shown_on_a_terminal_only(cli, tmp_path, files):
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    shown = bytearray()

    def read():
        with contextlib.suppress(OSError):  # raised when the other end is closed
            while True:
                shown.extend(os.read(ours, 4096))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    process = cli.start("edit", *files, *EDIT, "--out", tmp_path / "out.png", stderr=theirs, stdout=-1)
    os.close(theirs)
    process.communicate(timeout=patience(120))
    assert process.returncode == 0
    reader.join(patience(10))
    os.close(ours)
    assert b"Starting" in shown  # what is shown after it depends on how fast the machine is


def test_a_daemon_is_started_and_stopped(alone, tmp_path, files):
    assert alone("stop").stdout == "No daemon was running.\n"
    alone("edit", *files, *EDIT, "--out", tmp_path / "out.png")
    assert load(tmp_path / "out.png").shape == (48, 64, 3)
    assert alone("stop").stdout == "The daemon has stopped.\n"
    assert not (alone.state_dir / "connection.json").exists()


def test_an_edit_survives_the_death_of_the_daemon(tmp_path, files, state_dir):
    alone = CommandLine(state_dir, tmp_path / "home", environment())
    told = tmp_path / "told.txt"
    with Daemon(state_dir, environment()) as daemon, told.open("w") as stderr:
        process = alone.start("edit", *files, *ENDLESS, "--out", tmp_path / "out.png", stderr=stderr)
        wait_for(lambda: _jobs(alone, "started"), 60, "no job")
        daemon.kill()
        let_end(state_dir)
        assert process.wait(patience(120)) == 0, told.read_text()  # it starts another
        assert "waiting for it to come back" in told.read_text()
        assert alone("stop").stdout == "The daemon has stopped.\n"
    assert load(tmp_path / "out.png").shape == (48, 64, 3)


def _jobs(cli, state):
    client = Client(cli.state_dir, name="test")
    try:
        client.connect()
        return client.request({"type": "list", "states": [state]})["jobs"]
    finally:
        client.close()
