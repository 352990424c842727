"""The model cards: they name the commands that were run and tell how training went."""

import argparse
import json
import shlex
from pathlib import Path

import pytest

from velatura_lab.cards import card, reader_cards
from velatura_lab.commands.train import configure, options_of
from velatura_lab.training.export import BUNDLE
from velatura_lab.training.options import Options
from velatura_lab.training.provenance import named_options

TRAINED = {
    "samples": 1234,
    "minutes": 3.0,
    "processes": 1,
    "profile": {"unet": (96, 192)},
    "hardware": "an abacus",
}
BUNDLES = BUNDLE.parent


def figures(**more):
    return {
        "seed": 5,
        "size": 128,
        "pictures": 24000,
        "parts": {"vae": {"class": "AutoencoderTiny", "parameters": 900_000}},
        "training": {"autoencoder": TRAINED, "diffusion": {"samples": 99, "minutes": 7.5}},
        "sections": ["Autoencoder: good."],
        **more,
    }


def test_the_models_card_names_its_commands_and_tells_its_history(tmp_path):
    card.write_card(tmp_path, figures(notes="It began anew.\n\nTwice.", count=12, steps=25))
    text = (tmp_path / "README.md").read_text()
    assert "velatura train autoencoder --work DIR --seed 5 --minutes 3 --processes 1\n" in text
    assert "velatura train diffusion   --work DIR --seed 5 --minutes 7.5\n" in text
    assert "velatura train evaluate    --work DIR --seed 5 --count 12\n" in text
    assert "```\n\nIt began anew.\n\nTwice.\n\n| part |" in text
    assert "| autoencoder | 1,234 | 3 | an abacus |" in text and "| diffusion | 99 | 7.5 |  |" in text
    card.write_card(tmp_path, figures())
    assert "```\n\n| part |" in (tmp_path / "README.md").read_text()


@pytest.mark.parametrize("part", ["judge", "clip", "identity", "segmenter", "vq"])
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
    assert reader_cards.table_of(part, found["figures"]) in text


def test_a_readers_card_tells_how_it_was_trained_and_how_measured(tmp_path):
    found = json.loads((BUNDLES / "velatura-judge" / "figures.json").read_text())
    found["training"] = {**found["training"], "seed": 8, "hardware": "an abacus"}
    reader_cards.write_card("judge", tmp_path, found | {"seed": 5, "count": 30})
    text = (tmp_path / "README.md").read_text()
    assert "minutes on an abacus, seed 8. " in text
    assert "train judge --work DIR --seed 8 " in text
    assert "train readers --work DIR --seed 5 --count 30\n" in text
    assert "Scenes that no training step saw, seed 5." in text
    del found["training"]["hardware"]  # as older checkpoints have it
    reader_cards.write_card("judge", tmp_path, found)
    assert "minutes on a CPU, seed 8. " in (tmp_path / "README.md").read_text()
    del found["training"]["profile"]
    reader_cards.write_card("judge", tmp_path, found)
    assert "minutes, seed 8. " in (tmp_path / "README.md").read_text()


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


def given_as(part, *words):
    """The options of a training command that had these words, as its checkpoint keeps them."""
    parser = argparse.ArgumentParser()
    configure(parser)
    return named_options(options_of(parser.parse_args([part, "--work", "w", *words])), None)


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("judge", ""),
        ("judge", "--from scratch"),
        ("judge", "--profile gpu"),
        ("judge", "--profile gpu --device cpu --batch 8"),
        ("diffusion", "--rate 0.0002 --school 50"),
        ("segmenter", "--batch 3"),
        ("decoder", ""),
    ],
)
def test_options_that_are_not_the_usual_ones_are_named(part, words):
    trained = {"samples": 8, "minutes": 1.5, "options": given_as(part, *shlex.split(words))}
    usual = f"velatura train {part} --work DIR --seed 5 --minutes 1.5"
    told = card.command(part, 5, trained)
    assert told.startswith(usual)
    assert sorted(shlex.split(told[len(usual) :])) == sorted(shlex.split(words))


def test_what_a_run_began_with_is_told_by_its_first_call():
    first, later = Options(Path("w")), Options(Path("w"), start=BUNDLE, batch=3)
    begun = named_options(first, None)
    assert begun["from"] == "scratch"
    gone_on = named_options(later, {"options": begun})
    assert (gone_on["from"], gone_on["batch"]) == ("scratch", 3)
    assert "from" not in named_options(later, {})  # of an older checkpoint nobody knows
