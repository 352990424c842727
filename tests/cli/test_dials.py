"""`velatura edit` with dials, with no method named, and with a caption that is proposed."""

import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import CommandLine
from tests.cli.pictures import gradient, load, save
from tests.daemon_fixture import Daemon
from tests.tiny import register_tiny_model, tiny_blip
from velatura.cli.values import parse_dial, parse_values
from velatura.client.running import proposed
from velatura.methods.registry import describe, registry
from velatura_protocol.catalogue import MethodInfo
from velatura_protocol.errors import VelaturaError
from velatura_protocol.presets import KEPT, Presets, export_to
from velatura_protocol.words import find

pytestmark = pytest.mark.timeout(300)
README = Path(__file__).resolve().parents[2] / "README.md"
FEW = ("--set", "steps=4", "--seed", "5")


@pytest.fixture(scope="module")
def telling(tmp_path_factory, tiny_folder):
    """The command line beside a daemon whose model has a captioner."""
    folder = tmp_path_factory.mktemp("dials") / "state"
    register_tiny_model(folder, tiny_folder, captioner=str(tiny_blip(folder.parent / "blip")))
    with Daemon(folder):
        yield CommandLine(folder, folder.parent)


@pytest.fixture
def source(tmp_path):
    return save(tmp_path / "in.png", gradient(3, "uint8"))


@pytest.fixture
def edit(source, tmp_path):
    """Runs an edit, and gives the recipe of its result and what was said beside it."""

    def run(command_line, *words):
        ended = command_line("edit", source, *words, *FEW, "--force", "--out", tmp_path / "out.png", "--json")
        return json.loads(ended.stdout)["layers"][0]["recipe"], ended.stderr

    return run


@pytest.fixture(scope="module")
def slider():
    return MethodInfo.from_wire(describe(registry()["flow-slider"]))


def test_dials_are_turned_without_naming_a_method(cli, edit):
    words = ("--set", "source_prompt=a man, short hair", "--dial", "short=>long:60", "--dial", "beard:-60")
    recipe, told = edit(cli, *words)
    assert recipe["method"] == "flow-slider"
    assert recipe["parameters"]["dials"] == [
        {"name": "", "less": "short", "more": "long", "strength": 60.0},
        {"name": "", "less": "", "more": "beard", "strength": -60.0},
    ]
    assert told == ""


def test_the_first_method_of_pictures_is_taken_where_none_is_named(cli, edit):
    recipe, _ = edit(cli, "--set", "source_prompt=a man", "--prompt", "a woman")
    listed = json.loads(cli("methods", "--json").stdout)["methods"]
    pictures = [method["id"] for method in listed if method.get("result", "layer") == "layer"]
    assert recipe["method"] == pictures[0] == "flow-align"


def test_a_caption_is_proposed_said_and_part_of_the_recipe(telling, edit, source):
    recipe, told = edit(telling, "--prompt", "a hat")
    said = telling("edit", source, "--method", "describe").stdout.splitlines()[0]
    assert recipe["parameters"]["source_prompt"] == said
    assert told.splitlines() == [
        f'Shown now, as proposed: "{said}". To give another: --set source_prompt="…"'
    ]
    recipe, told = edit(telling, "--prompt", "a hat", "--set", "source_prompt=a cat")
    assert (recipe["parameters"]["source_prompt"], told) == ("a cat", "")


@pytest.mark.parametrize("words", [("--prompt", "a hat"), ("--dial", "beard")])
def test_a_caption_that_nobody_can_propose_is_asked_for(cli, source, tmp_path, words):
    told = cli("edit", source, *words, "--out", tmp_path / "o.png", code=1).stderr
    assert "Describe what the layer shows now" in told
    assert '--set source_prompt="…"' in told


def test_no_caption_is_sought_for_an_edit_that_is_refused(telling, source, tmp_path):
    told = telling("edit", source, "--out", tmp_path / "o.png", code=1).stderr
    assert "prompt" in told and "as proposed" not in told


def test_a_dial_at_rest_changes_nothing(cli, source, tmp_path):
    words = ("--set", "source_prompt=a man", "--dial", "beard:0", *FEW)
    cli("edit", source, *words, "--out", tmp_path / "o.png")
    assert (load(tmp_path / "o.png") == load(source)).all()


@pytest.mark.parametrize(
    ("option", "dial"),
    [
        ("beard", {"less": "", "more": "beard"}),
        ("beard:.5", {"less": "", "more": "beard", "strength": 0.5}),
        (" short hair => long hair : -2 ", {"less": "short hair", "more": "long hair", "strength": -2.0}),
        ("hat=>:1", {"less": "hat", "more": "", "strength": 1.0}),
        ("=>hat", {"less": "", "more": "hat"}),
    ],
)
def test_a_dial_is_read(slider, option, dial):
    assert parse_values(slider, [], [parse_dial(option)])["dials"] == [dial]


def test_dials_follow_those_that_are_set(slider):
    found = parse_values(slider, ['dials=[{"more": "hat"}]'], [parse_dial("beard")])["dials"]
    assert [dial["more"] for dial in found] == ["hat", "beard"]


@pytest.mark.parametrize(
    ("assigned", "turned", "said"),
    [
        ([], [""], "has no words"),
        ([], ["=>:1"], "has no words"),
        ([], ["beard:much"], "does not end in a number"),
        ([], ["beard:nan"], r"^\+ beard: How much"),
        ([], ["hat", "short=>long:101"], "^short → long: How much: enter a number from -100"),
        (['dials=[{"name": "Hair", "more": "long", "strength": 600}]'], [], "^Hair: How much"),
        ([], ["beard"] * 17, "^There can be 16 dials and no more; remove some first.$"),
        (['dials=[{"more": "hat"}]'], ["beard"] * 16, "^There can be 16 dials"),
        ([f"dials={json.dumps([{'more': 'hat'}] * 17)}"], [], "^There can be 16 dials"),
        (["dials=3"], ["beard"], "Dials: enter a list"),
        (["dials=[3]"], [], "Dials: enter a list"),
        ([], ["a=>b=>c:10"], "has more than one =>"),
        ([], ["=>=>c"], "has more than one =>"),
    ],
)
def test_what_is_no_dial_is_refused(slider, assigned, turned, said):
    with pytest.raises(VelaturaError, match=said) as refused:
        parse_values(slider, assigned, list(map(parse_dial, turned)))
    assert refused.value.code == "bad-request"


def test_the_dials_of_the_readme_lead_from_words_of_its_caption(slider):
    text = README.read_text("utf-8")
    caption = re.search(r'source_prompt="([^"]+)"', text).group(1)
    dials = [parse_dial(option) for option in re.findall(r'--dial "([^"]+)"', text)]
    assert parse_values(slider, [], dials)["dials"] == dials
    led_from = [dial["less"] for dial in dials if dial["less"]]
    assert led_from and all(find(caption, words) for words in led_from)


def test_a_method_without_dials_says_so():
    with pytest.raises(VelaturaError, match="has no dials"):
        parse_values(MethodInfo.from_wire(describe(registry()["sdedit"])), [], [parse_dial("beard")])


def test_the_methods_page_says_how_a_dial_is_written(cli):
    assert "--dial FROM=>TO:N" in cli("methods", "flow-slider").stdout


def own(listed):
    """The lines of `velatura dials` but for the sliders that come with a model."""
    return [line for line in listed.splitlines() if "comes with a model" not in line]


def test_dials_are_kept_listed_shared_and_forgotten(cli, source, tmp_path, slider):
    kept = [{"less": "short", "more": "long", "strength": 1.5, "name": ""}]
    shared = tmp_path / "hair.json"
    export_to(shared, "Hair", kept)
    assert cli("dials", "import", shared).stdout == KEPT.format("Hair") + "\n"
    assert cli("dials").stdout == cli("dials", "list").stdout
    (line,) = own(cli("dials").stdout)
    assert line.split() == ["Hair", "short", "→", "long", "1.5"]
    assert json.loads(cli("dials", "show", "hair").stdout) == kept
    cli("dials", "export", "Hair", tmp_path / "again.json")
    assert json.loads((tmp_path / "again.json").read_text("utf-8")) == json.loads(shared.read_text("utf-8"))
    cli("dials", "delete", "Hair")
    assert own(cli("dials").stdout) == []
    told = cli("dials", "show", "Hair", code=1).stderr
    assert "No dials are saved as 'Hair'; there are: Age, Beard" in told, "what comes with a model"


@pytest.mark.parametrize("is_file", [True, False])
def test_an_edit_takes_dials_of_a_file_or_a_name_and_more(cli, edit, tmp_path, is_file):
    shared = tmp_path / "hair.json"
    export_to(shared, "Hair", [{"less": "short", "more": "long", "strength": 1.5, "name": ""}])
    if not is_file:
        cli("dials", "import", shared)
    words = ("--set", "source_prompt=a man, short hair", "--dial", "beard")
    recipe, _ = edit(cli, *words, "--dials", shared if is_file else "Hair")
    turned = [(dial["less"], dial["more"], dial["strength"]) for dial in recipe["parameters"]["dials"]]
    assert turned == [("short", "long", 1.5), ("", "beard", 60.0)]


def test_dials_that_are_not_there_are_named_in_the_refusal(cli, source, tmp_path):
    words = ("--set", "source_prompt=a man", "--dials", "hair.json", "--out", tmp_path / "o.png")
    told = cli("edit", source, *words, code=1).stderr
    assert "There is no file 'hair.json', and no dials are saved as 'hair.json'; give the path" in told


def test_dials_that_fit_no_method_are_listed_with_the_reason_and_can_be_forgotten(cli, running):
    presets = Presets(running.state_dir)
    for name, strength in (("Beard", 30.0), ("Hair", 600.0), ("Waves", 20.0)):
        presets.save(name, [{"name": "", "less": "straight", "more": "wavy", "strength": strength}])
    beard, hair, waves = own(cli("dials", "list").stdout)
    assert beard.split()[0] == "Beard" and waves.split() == ["Waves", "straight", "→", "wavy", "20"]
    assert hair.startswith("Hair ") and "does not fit: straight → wavy: How much: enter a number" in hair
    assert "straight → wavy: How much" in cli("dials", "show", "Hair", code=1).stderr
    for name in ("hair", "Beard", "Waves"):
        cli("dials", "delete", name)
    assert presets.names() == []
    assert "none are saved yet" in cli("dials", "delete", "Hair", code=1).stderr


def test_a_captioner_that_says_nothing_is_told_in_a_sentence():
    with pytest.raises(VelaturaError, match="about this picture; write what it shows") as refused:
        proposed({"result": {"texts": [" "]}}, "give a caption")
    assert refused.value.hint == "give a caption"
