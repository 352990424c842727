"""`velatura edit` with a third raster and a list whose entries have one, against a real daemon."""

import json

import numpy as np
import pytest

from tests.cli.conftest import CommandLine
from tests.cli.pictures import load, save
from tests.daemon_fixture import Daemon
from tests.more_methods import environment
from tests.tiny import register_tiny_model
from velatura.cli.inputs import parse_inputs, parse_item
from velatura.cli.values import parse_values
from velatura_protocol.catalogue import MethodInfo
from velatura_protocol.errors import VelaturaError

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def composing(tmp_path_factory, tiny_folder):
    """The command line beside a daemon that has the method."""
    folder = tmp_path_factory.mktemp("inputs") / "state"
    register_tiny_model(folder, tiny_folder)
    with Daemon(folder, environment(), prestart=False):
        yield CommandLine(folder, folder.parent)


@pytest.fixture
def files(tmp_path):
    """A grey picture, a segmentation that is red on its left half, and a mask of its lower half."""
    save(tmp_path / "in.png", np.full((48, 64, 3), 100, np.uint8))
    segments = np.zeros((48, 64, 4), np.uint8)
    segments[:, :32] = (200, 0, 0, 255)
    save(tmp_path / "Segments.png", segments)
    mask = np.zeros((48, 64, 1), np.uint8)
    mask[32:] = 255
    save(tmp_path / "low.png", mask)
    save(tmp_path / "small.png", mask[:8])
    return tmp_path


def edited(composing, files, *words):
    told = composing(
        "edit", files / "in.png", "--method", "arrange", "--input", f"segments={files / 'Segments.png'}",
        *words, "--out", files / "out.png", "--json",
    ).stdout  # fmt: skip
    return json.loads(told), load(files / "out.png")[..., :3].astype(int)


@pytest.mark.parametrize("how", ["item", "json"])
def test_every_file_is_in_its_place(composing, files, how):
    low = str(files / "low.png")
    words = {
        "item": ["--item", f'concepts:text="light, a little",where={low}'],
        "json": ["--set", "concepts=" + json.dumps([{"text": "light, a little", "where": low}])],
    }[how]
    answer, made = edited(composing, files, *words)
    (layer,) = answer["layers"]
    recipe = layer["recipe"]
    (concept,) = recipe["parameters"]["concepts"]
    assert concept == {"text": "light, a little", "amount": 1.0, "where": "concepts.1.where"}
    assert recipe["inputs"]["segments"]["layer"] == "Segments.png"
    assert recipe["inputs"]["concepts.1.where"]["layer"] == "low.png"
    assert abs(made[4:24, 4:24] - (125, 75, 75)).max() <= 6
    assert abs(made[4:24, 40:60] - 100).max() <= 6
    assert made[40:46, 4:60].min() > 240


def test_what_is_missing_or_does_not_fit_is_said(composing, files):
    edit = ("edit", files / "in.png", "--method", "arrange", "--out", files / "out.png")
    said = composing(*edit, code=1).stderr
    assert "“Arrange” needs “Segments”; give it with --input segments=FILE." in said
    said = composing(*edit, "--input", f"segments={files / 'small.png'}", code=1).stderr
    assert "small.png is 64 x 8 and the picture 64 x 48; make the file for “Segments”" in said
    said = composing(*edit, "--input", "sky=a.png", code=1).stderr
    assert "“Arrange” has no input 'sky'; it has: segments, style." in said


def test_the_options_are_shown(composing):
    said = composing("methods", "arrange").stdout
    assert "--input segments=FILE labels, required\n    Segments. A layer with a colour for" in said
    assert "--set concepts=… by --item concepts:key=value,… each, or a JSON list of at most 4" in said


@pytest.fixture(scope="module")
def method():
    from tests.more_methods.velatura_examples.arrange import Arrange
    from velatura.methods.registry import describe

    return MethodInfo.from_wire(describe(Arrange()))


def test_items_follow_those_that_are_set(method):
    item = parse_item(method, "concepts: amount=0.5 , where=b.png")
    values = parse_values(method, ['concepts=[{"text": "a"}]'], items=[item])
    assert values == {"concepts": [{"text": "a"}, {"amount": 0.5, "where": "b.png"}]}
    given = parse_inputs(method, ["style=a=b.png", "segments=c.png"])
    assert given == {"input.style": "a=b.png", "input.segments": "c.png"}


@pytest.mark.parametrize(
    ("item", "entry"),
    [
        (r"text=a hat,where=C:\hats\hat.png", {"text": "a hat", "where": r"C:\hats\hat.png"}),
        (r'where="C:\hats, caps\hat.png"', {"where": r"C:\hats, caps\hat.png"}),
        ("where=hats\\,text=a", {"where": "hats\\", "text": "a"}),
        ("text=a dog's hat,amount=2", {"text": "a dog's hat", "amount": "2"}),
        ("text=the dogs' hats, where='s.png", {"text": "the dogs' hats", "where": "'s.png"}),
        ('text="a dog\'s hat, red"', {"text": "a dog's hat, red"}),
    ],
)
def test_backslashes_and_apostrophes_are_letters_like_any_other(method, item, entry):
    assert parse_item(method, f"concepts:{item}")[1] == entry


def test_an_open_quotation_mark_is_said(method):
    item = 'concepts:text=a 5" hat'
    with pytest.raises(VelaturaError, match="quotation mark") as raised:
        parse_item(method, item)
    assert item in raised.value.message and "--set concepts=" in raised.value.message
    values = parse_values(method, ['concepts=[{"text": "a 5\\" hat"}]'])
    assert values == {"concepts": [{"text": 'a 5" hat'}]}


@pytest.mark.parametrize(
    "item", ["concepts", "hats:text=a", "concepts:size=3", "concepts:text", 'concepts:text="a']
)
def test_items_that_cannot_be_read_are_named(method, item):
    with pytest.raises(VelaturaError, match="--item") as raised:
        parse_item(method, item)
    assert raised.value.code == "bad-request" and item in raised.value.message
