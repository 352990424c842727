"""`velatura edit` with a method of texts, against a real daemon and a tiny real model with a captioner."""

import json

import numpy as np
import pytest

from tests.cli.conftest import CommandLine
from tests.cli.pictures import gradient, save, soft_mask
from tests.daemon_fixture import Daemon
from tests.tiny import register_tiny_model, tiny_blip

pytestmark = pytest.mark.timeout(300)
DESCRIBE = ("--method", "describe")


@pytest.fixture(scope="module")
def describing(tmp_path_factory, tiny_folder):
    """The command line beside a daemon whose model has a captioner."""
    folder = tmp_path_factory.mktemp("texts") / "state"
    captioner = tiny_blip(folder.parent / "blip")
    register_tiny_model(folder, tiny_folder, captioner=str(captioner))
    with Daemon(folder):
        yield CommandLine(folder, folder.parent)


@pytest.fixture
def source(tmp_path):
    return save(tmp_path / "in.png", gradient(3, np.uint8))


def test_the_texts_are_printed_and_nothing_is_written(describing, source, tmp_path):
    lines = describing("edit", source, *DESCRIBE).stdout.splitlines()
    assert lines and all(line == line.strip() != "" for line in lines)
    answer = json.loads(describing("edit", source, *DESCRIBE, "--json").stdout)
    assert answer["texts"] == lines and (answer["ok"], answer["exit"]) == (True, 0)
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--out", "o.png"), "leave out --out"),
        (("--compare", "c.png"), "leave out --out"),
        (("--prompt", "a cat"), "takes no prompt"),
        (("--variations", "2"), "at most 1"),
        (("--set", "steps=3"), "no option 'steps'"),
    ],
)
def test_what_it_does_not_take_is_refused(describing, source, words, said):
    assert said in describing("edit", source, *DESCRIBE, *words, code=1).stderr


def test_a_selection_is_refused(describing, source, tmp_path):
    mask = save(tmp_path / "mask.png", soft_mask()[..., None])
    told = describing("edit", source, *DESCRIBE, "--mask", mask, code=1).stderr
    assert "takes no selection" in told


def test_other_methods_need_a_file(describing, source):
    told = describing("edit", source, "--method", "sdedit", "--prompt", "a hat", code=1).stderr
    assert "name a file for it with --out" in told


def test_a_model_without_a_captioner_says_what_to_do(describing, cli, source):
    told = cli("edit", source, *DESCRIBE, code=1).stderr
    assert "'Tiny' has no captioner" in told and "--captioner" in told


def test_the_method_says_what_it_makes(describing):
    assert "The result is text" in describing("methods", "describe").stdout
