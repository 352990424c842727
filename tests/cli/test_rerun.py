"""`velatura show` and `velatura rerun`: how a result was made, from its file, and the same once more."""

import json

import numpy as np
import pytest
from PIL import Image as Pillow

from tests.cli.pictures import gradient, load, save, soft_mask
from velatura.files.chunks import insert
from velatura.files.images import Layer
from velatura.files.png import encode
from velatura.files.reading import read_image
from velatura.files.recipes import read_recipes, text_chunk

pytestmark = pytest.mark.timeout(240)
METHOD = ("--method", "blended-latent-diffusion", "--prompt", "a hat")
EDIT = (*METHOD, "--set", "steps=4", "--seed", "5", "--mask", "mask.png")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a picture and its mask, which the command line runs in."""
    save(tmp_path / "in.png", gradient(3, np.uint16))
    save(tmp_path / "mask.png", soft_mask()[..., None])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_result_tells_how_it_was_made(cli, folder):
    cli("edit", "in.png", *EDIT, "--variations", 2, "--out", "out.ora")
    told = cli("show", "out.ora").stdout
    first, second, hint = told.split("\n\n")
    assert hint == "To run it again: velatura rerun out.ora\n"
    assert first.startswith("1. Variation ") and second.startswith("2. Variation ")
    for words in (
        "Fill the selection (blended-latent-diffusion)",
        "Prompt:                a hat\n",
        "Steps:                 4\n",
        "Picture:               in.png, 64 x 48, RGBA u16 (blake2b:",
        "Selection:             mask.png, 64 x 48, A u8 (blake2b:",
    ):
        assert words in first and words in second
    assert {line for line in told.splitlines() if "Seed:" in line} == {
        f"  Seed:                  {seed}" for seed in (5, 6)
    }


def test_a_recipe_is_printed_as_json(cli, folder):
    made = json.loads(cli("edit", "in.png", *EDIT, "--out", "out.png", "--json").stdout)["layers"]
    told = json.loads(cli("show", "out.png", "--json").stdout)
    (layer,) = told["layers"]
    assert (told["ok"], layer["layer"], layer["title"]) == (True, 1, made[0]["title"])
    assert layer["recipe"] == made[0]["recipe"] and layer["digest"].startswith("blake2b:")


def test_a_file_without_a_recipe_is_refused(cli, folder):
    told = cli("show", "in.png", "--json", code=1)
    assert "in.png has no recipe" in told.stderr and not json.loads(told.stdout)["ok"]


def rerun(cli, *words, code=0):
    told = cli("rerun", *words, "--json", code=code)
    return json.loads(told.stdout)


def test_the_same_bytes_come_of_a_png_whose_pictures_have_other_names(cli, folder):
    cli("edit", "in.png", *EDIT, "--out", "out.png")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    told = cli("rerun", "out.png").stdout
    assert "The pixels are those of out.png, to the bit." in told
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    (folder / "in.png").rename(folder / "Zebra.png")
    (folder / "mask.png").rename(folder / "Apple.png")
    answer = rerun(cli, "out.png", "--out", "again.png")
    assert (answer["same"], answer["why"], answer["out"]) == (True, [], "again.png")
    assert np.array_equal(load(folder / "again.png"), load(folder / "out.png"))
    assert rerun(cli, "again.png")["same"]


def test_each_layer_of_an_ora_gives_its_bytes_and_the_picture_is_in_the_file(cli, folder):
    cli("edit", "in.png", *EDIT, "--variations", 2, "--out", "out.ora")
    (folder / "in.png").unlink()
    first, second = (rerun(cli, "out.ora", "--layer", n) for n in (1, 2))
    assert first["same"] and second["same"] and first["digest"] != second["digest"]
    assert {first["recipe"]["seed"], second["recipe"]["seed"]} == {5, 6}
    assert "has no layer 3, 1 to 2" in cli("rerun", "out.ora", "--layer", 3, code=1).stderr


def test_a_mask_is_made_again(cli, folder):
    words = ("--method", "word-map", "--prompt", "a red hat", "--set", "words=red,hat", "--seed", 5)
    made = json.loads(cli("edit", "in.png", *words, "--out", "map.png", "--json").stdout)["files"]
    assert len(made) == 2
    for file in made:
        assert rerun(cli, file)["same"]


def test_a_change_is_run_and_named(cli, folder):
    cli("edit", "in.png", *EDIT, "--out", "out.png")
    answer = rerun(cli, "out.png", "--set", "steps=5", "--seed", 6, "--out", "other.png")
    assert answer["same"] is False
    assert answer["why"] == [
        "the seed is another, as you asked",
        "the setting steps is another, as you asked",
    ]
    assert (answer["recipe"]["seed"], answer["recipe"]["parameters"]["steps"]) == (6, 5)
    cli(
        "edit", "in.png", *METHOD, "--mask", "mask.png", "--set", "steps=5", "--seed", 6, "--out", "plain.png"
    )
    assert np.array_equal(load(folder / "other.png"), load(folder / "plain.png"))
    assert rerun(cli, "other.png")["same"]
    assert "has no option 'stepps'" in cli("rerun", "out.png", "--set", "stepps=3", code=1).stderr


def test_a_changed_picture_is_not_taken_for_the_recipes(cli, folder):
    cli("edit", "in.png", *EDIT, "--out", "out.png")
    pixels = load(folder / "in.png")
    pixels[0, 0, 0] ^= 1
    save(folder / "in.png", pixels)
    told = cli("rerun", "out.png", code=1).stderr
    assert "picture of out.png, in.png, is not in its folder, or was changed" in told and "--source" in told
    answer = rerun(cli, "out.png", "--source", "in.png")
    assert answer["same"] in (True, False)
    if not answer["same"]:
        assert answer["why"] == ["the picture in.png is not the one that the recipe names"]
    save(folder / "small.png", pixels[:10])
    assert "small.png is 64 x 10" in cli("rerun", "out.png", "--source", "small.png", code=1).stderr
    (folder / "mask.png").unlink()
    told = cli("rerun", "out.png", "--source", "in.png", code=1).stderr
    assert "mask of out.png, mask.png, is not" in told and "--mask" in told


def altered(path, change):
    """Write a result's file anew with a recipe that `change` alters."""
    image = read_image(path)
    (made,) = read_recipes(path)
    change(made.recipe)
    layer = Layer(image, 0, 0, made.title, made.recipe, made.digest)
    path.write_bytes(encode(image, extra=(text_chunk(layer),)))


def test_a_changed_model_and_method_are_named(cli, folder):
    cli("edit", "in.png", *EDIT, "--out", "out.png")

    def older(recipe):
        recipe["method_version"] += 1
        recipe["model"]["digest"] = "blake2b:" + 64 * "0"

    altered(folder / "out.png", older)
    answer = rerun(cli, "out.png")
    assert answer["same"] is True  # the files here are the same after all
    altered(folder / "out.png", lambda recipe: recipe.update(seed=6))
    told = cli("rerun", "out.png").stdout
    assert "The pixels are not those of out.png: “Fill the selection” has version" in told
    assert "the files of the model" in told and "have changed" in told


def test_a_result_is_not_written_over_its_recipe_or_a_picture(cli, folder):
    cli("edit", "in.png", *EDIT, "--out", "out.png")
    for name in ("out.png", "in.png", "mask.png"):
        assert "is also a picture to read" in cli("rerun", "out.png", "--out", name, code=1).stderr


def test_a_recipe_finds_its_further_pictures(cli, folder):
    strokes = np.zeros((48, 64, 4), np.uint8)
    strokes[20:30, 20:40] = (200, 10, 10, 255)
    save(folder / "strokes.png", strokes)
    cli("edit", "in.png", *EDIT, "--input", "scribble=strokes.png", "--out", "out.png")
    (folder / "strokes.png").rename(folder / "red.png")
    assert rerun(cli, "out.png")["same"]
    (folder / "red.png").rename(folder / "red")
    (folder / "elsewhere").mkdir()
    (folder / "red").rename(folder / "elsewhere" / "red.png")
    told = cli("rerun", "out.png", code=1).stderr
    assert "The input scribble of out.png, strokes.png, is not" in told
    assert rerun(cli, "out.png", "--input", "scribble=elsewhere/red.png")["same"]
    assert "no input 'paint'" in cli("rerun", "out.png", "--input", "paint=in.png", code=1).stderr


def test_metadata_are_kept_unless_they_are_stripped(cli, folder):
    picture = (folder / "in.png").read_bytes()
    (folder / "in.png").write_bytes(insert(picture, ((b"tEXt", b"Author\0A. Painter"),)))
    cli("edit", "in.png", *EDIT, "--out", "kept.png")
    cli("edit", "in.png", *EDIT, "--strip", "--out", "bare.png")
    cli("rerun", "bare.png", "--out", "again.png")
    for name, author in (("kept.png", "A. Painter"), ("bare.png", None), ("again.png", "A. Painter")):
        with Pillow.open(folder / name) as opened:
            opened.load()
            assert opened.text.get("Author") == author and "velatura" in opened.text
