"""`velatura show`: how a result was made, from its file."""

import json

import numpy as np
import pytest

from tests.cli.pictures import gradient, save, soft_mask

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
    first, second = told.split("\n\n")
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
