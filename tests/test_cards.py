"""The model cards: they name the commands that were run and tell how training went."""

import json

import pytest

from velatura.training import card, reader_cards
from velatura.training.export import BUNDLE

TRAINED = {"samples": 1234, "minutes": 3.0, "processes": 1, "profile": {"unet": (96, 192)}}
BUNDLES = BUNDLE.parent


def figures(**more):
    return {
        "seed": 5,
        "size": 128,
        "machine": "an abacus",
        "pictures": 24000,
        "parts": {"vae": {"class": "AutoencoderTiny", "parameters": 900_000}},
        "training": {"autoencoder": TRAINED, "diffusion": {"samples": 99, "minutes": 7.5}},
        "sections": ["Autoencoder: good."],
        **more,
    }


def test_the_models_card_names_its_commands_and_tells_its_history(tmp_path):
    card.write_card(tmp_path, figures(notes="It began anew.\n\nTwice."))
    text = (tmp_path / "README.md").read_text()
    assert "velatura train autoencoder --work DIR --seed 5 --minutes 3 --processes 1\n" in text
    assert "velatura train diffusion   --work DIR --seed 5 --minutes 7.5\n" in text
    assert "velatura train evaluate    --work DIR --seed 5\n" in text
    assert "On an abacus.\n\nIt began anew.\n\nTwice.\n\n| part |" in text
    card.write_card(tmp_path, figures())
    assert "On an abacus.\n\n| part |" in (tmp_path / "README.md").read_text()


@pytest.mark.parametrize("part", ["judge", "clip", "identity"])
def test_a_readers_card_is_what_its_figures_say(part, tmp_path):
    bundle = BUNDLES / f"velatura-{part}"
    found = json.loads((bundle / "figures.json").read_text())
    (weights,) = bundle.glob("*.safetensors")
    (tmp_path / weights.name).symlink_to(weights)
    reader_cards.write_card(part, tmp_path, found)
    text = (tmp_path / "README.md").read_text()
    assert text == (bundle / "README.md").read_text()
    assert card.command(part, found["seed"], found["training"]) in text
    assert found["notes"] in text


def test_a_note_stays_with_its_training():
    before = json.loads(json.dumps({"training": TRAINED, "notes": "It rained."}))
    assert card.note_of(None, TRAINED, before) == "It rained."
    assert card.note_of("The sun shone.", TRAINED, before) == "The sun shone."
    assert card.note_of("", TRAINED, before) == ""
    assert card.note_of(None, TRAINED | {"samples": 1235}, before) == ""
    assert card.note_of(None, TRAINED, {}) == ""


def test_a_checkpoint_from_before_processes_were_kept():
    state = {"samples": 8, "seconds": 90.0}
    assert card.record(state) == {"samples": 8, "minutes": 1.5}
    assert card.record(state | {"processes": 2}) == {"samples": 8, "minutes": 1.5, "processes": 2}


def test_the_command_is_the_one_that_was_given():
    counted = {"samples": 80, "minutes": 1.5, "processes": 2, "seed": 8, "pictures": 900, "counted": True}
    told = "velatura train judge --work DIR --seed 8 --pictures 900 {} --processes 2"
    assert card.command("judge", 5, counted) == told.format("--samples 80")
    assert card.command("judge", 5, counted | {"counted": False}) == told.format("--minutes 1.5")
