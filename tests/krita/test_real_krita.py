"""The plugin in the real Krita, with the real daemon."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from tests.colour import profiles
from tests.daemon_fixture import Daemon, wait_for
from tests.hosts.fixtures import krita_sessions
from tests.more_methods import environment, let_end
from tests.tiny import register_tiny_model
from velatura.colour import of_cicp, of_icc
from velatura.files import chunks
from velatura.models.catalogue import EMBEDDED_COMPANIONS
from velatura_protocol.messages import digest

pytestmark = [pytest.mark.krita, pytest.mark.slow, pytest.mark.timeout(900)]
SCRIPT = Path(__file__).with_name("in_krita.py")
WORDS = Path(__file__).with_name("in_krita_words.py")
DIALS = Path(__file__).with_name("in_krita_dials.py")


@pytest.fixture(scope="module")
def words(krita_host, tmp_path_factory, tiny_folder):
    """The notes of the scenes with words, one after the other in one start of Krita."""
    folder = tmp_path_factory.mktemp("words")
    register_tiny_model(folder / "state", tiny_folder, captioner=str(EMBEDDED_COMPANIONS["captioner"]))
    with Daemon(folder / "state"), krita_sessions(krita_host, folder / "state", folder) as start:
        found = start().window(WORDS, timeout=800)
    return found.values | {"journal": list((folder / "state/krita").glob("*.json"))}


def annotations(kra: Path) -> dict[str, dict]:
    """The recipes in a saved document, without Krita."""
    with zipfile.ZipFile(kra) as archive:
        names = [name for name in archive.namelist() if "/annotations/velatura-recipe-" in name]
        return {name.rsplit("-recipe-", 1)[1]: json.loads(archive.read(name)) for name in names}


def test_edits(krita_session, daemon, tmp_path):
    own = profiles.PROPHOTO
    file = tmp_path / "krita/own.png"
    file.parent.mkdir(exist_ok=True)
    pixels = np.full((96, 96, 4), 65535, np.uint16)
    file.write_bytes(chunks.insert(imagecodecs.png_encode(pixels), (chunks.icc_chunk(own.icc),)))
    words = {"scene": "edit", "file": str(file), "embedded": own.name}
    found = krita_session().window(SCRIPT, timeout=800, **words)
    assert found["names"] == ["Background", "a red hat · Fill the selection"]
    assert found["group"] == "grouplayer"
    assert [shown for _, shown in found["children"]] == [False, True]
    assert all(name.startswith("Variation ") for name, _ in found["children"])
    assert found["active"] == "Background"
    assert found["unchanged"] and found["soft"] and found["outside"] and found["projection_changed"]
    assert found["alpha_is_selection"] == [True, True]
    assert found["bounds"] == [found["rect"]] * 2
    assert found["undone"] == [["Background"], True]
    assert found["redone"] == found["names"] == found["reopened"]

    recipes = annotations(Path(found["path"]))
    assert set(recipes) == {name.strip("{}") for name in found["ids"]}
    ranks = [recipes[name.strip("{}")]["recipe"]["rank"] for name in found["ids"]]
    assert ranks == [1, 0]  # Krita's lists begin at the bottom
    for recipe in recipes.values():
        assert recipe["recipe"]["prompt"] == "a red hat" and recipe["recipe"]["parameters"]["steps"] == 4
    assert found["adjusted"] == "a red hat" and found["variations"] == 2
    assert found["seed"] == next(iter(recipes.values()))["recipe"]["seed"]
    assert found["active_after"] == "Background" and found["selection_again"]

    assert found["U16"] == ["U16", True, True, True, True]
    assert found["F32"] == found["wide"] == ["F32", True, True, True, True]
    assert found["opened"] == ["U16", True, True, True, True]
    assert found["U16 by"] == found["F32 by"] == ""
    assert found["wide by"].startswith("blake2b:") and found["opened by"] == digest(own.icc)
    assert of_icc(bytes.fromhex(found["pq"]), gray=False) == of_cicp(9, 16)

    said = found["refused"]
    assert "CMYK" in said["cmyk"][0]
    assert "is a mask" in said["mask"][0] and "'group' is empty" in said["group"][0]
    assert all("Background" in names and len(names) == 1 for _, names in (said["cmyk"], said["mask"]))
    assert found["cancelled"] == ["Background"] and found["cancel_enabled"] and not found["cancel_after"]


def test_the_daemon_killed_in_the_middle(krita_session, state_dir):
    with Daemon(state_dir, environment()) as daemon:
        run = krita_session().start(SCRIPT, scene="kill", timeout=800)
        run.wait_step("under way", 300)
        daemon.kill()
        let_end(state_dir)
        run.wait_step("noticed", 120)
        daemon.start()
        found = run.wait()
    assert found["start_visible"] and not found["run_enabled"]
    assert len(found["names"]) == 2 and found["annotations"] == 1


def test_no_daemon_and_the_button_that_starts_it(krita_session, state_dir):
    asked = state_dir / "asked"
    run = krita_session(["sh", "-c", f"touch '{asked}'; sleep 120"]).start(
        SCRIPT, scene="absent", timeout=300
    )
    wait_for(asked.exists, 120, "the button does not run the command")
    with Daemon(state_dir):
        found = run.wait()
    assert found["start_visible"] and not found["run_enabled"]
    assert found["starting"] == "Starting the daemon"
    assert found["ready"] == "Ready" and found["methods"] >= 2


def test_masks_become_selections_that_undo_takes_back(words):
    found = words["masks"]
    beard, hat = (["beard", "selectionmask", []], ["hat", "selectionmask", []])
    assert found["one"] == "'beard' is selected, and kept as a selection mask of 'Background'."
    assert found["one_tree"] == [["Background", "paintlayer", [beard]]] and found["one_selected"]
    assert found["active"] == "Background"
    assert found["undone"] and found["undone_tree"] == found["one_tree"] and found["redone"]
    assert found["undone_twice"] == [["Background", "paintlayer", []]] and found["still"]
    assert found["two"].startswith("2 selection masks above 'Background'")
    expected = [["Background", "paintlayer", []], ["Words", "grouplayer", [beard, hat]]]
    assert found["two_tree"] == found["reopened"] == expected
    assert found["two_selected"] and found["unchanged"] and found["hat"]


def test_previews_while_a_slider_is_moved(words):
    found = words["draft"]
    assert found["shown"] == [True] * 3 and found["jobs"] == 0 and found["kept"] == []
    assert found["tree"] == [["Background", "paintlayer", []]] and found["after"] == 2
    assert not words["journal"]


def test_a_word_becomes_a_dial_that_is_moved_run_and_brought_back(krita_session, state_dir, tiny_folder):
    register_tiny_model(state_dir, tiny_folder, captioner=str(EMBEDDED_COMPANIONS["captioner"]))
    with Daemon(state_dir):
        found = krita_session().window(DIALS, timeout=800)
    assert found["word"] in found["caption"] and found["title"] == f"+ {found['word']}"
    assert found["begun"] and found["shown"] and found["jobs"] == 0
    (entry,) = found["dials"]
    assert entry["more"] == found["word"] and entry["less"] == "" and entry["strength"] == found["most"]
    assert found["kind"] == "grouplayer" and found["group"].startswith(
        f"+ {found['word']} {found['most']:g} · "
    )
    assert found["again"] == found["dials"] and found["titles"] == [found["title"]]
    assert found["caption_again"] == found["caption"]


def test_a_caption_is_proposed_and_a_word_is_turned_up(words):
    found = words["word"]
    assert found["looking"] == "Looking…" and found["proposed"] == found["begun"] and found["undone"] == ""
    assert found["jobs"] == 0
    assert found["copied"] == "a man" and found["chip"].startswith("man ×")
    mark = found["chip"].removeprefix("man")
    assert found["typed"] == [
        ["a", "mans" + mark],
        ["a", "cat" + mark],
        ["a"],
        ["a", "cat" + mark],
        ["the", "cat" + mark, "and", "a"],
        ["a", "man" + mark],
    ]
    assert found["said"].startswith("1 variation above 'Background'")
    (entry,) = found["entries"]
    assert entry["text"] == "man" and entry[found["field"]] == found["most"]
