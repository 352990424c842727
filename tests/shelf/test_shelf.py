"""The shelf: what is kept comes back, survives a kill while it is written, and a broken file is left out."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from velatura.shelf import Dial, Shelf
from velatura.shelf import shelf as shelf_module
from velatura.shelf.dial import ENDING, LONGEST_TITLE, checked_title, described
from velatura_protocol.errors import VelaturaError

GENERATOR = "blake2b:" + 64 * "1"


def dial(title="Beard", generator=GENERATOR, value=1.0, kind="direction"):
    tensors = {"s0": torch.full((4,), value), "s3": torch.tensor([0.5, -2.0]).half()}
    return Dial("", title, generator, kind, tensors, {"method": "styleclip-direction", "text": "a beard"})


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path / "shelf")


def titles(shelf, generator=""):
    return [entry.title for entry in shelf.entries(generator)]


def test_a_dial_comes_back_whole(shelf):
    id = shelf.keep(dial("  Beard,\n full "))
    (entry,) = shelf.entries()
    assert (entry.id, entry.title, entry.generator, entry.kind) == (id, "Beard, full", GENERATOR, "direction")
    again, made = shelf.load(id), dial()
    assert again.recipe == entry.recipe == made.recipe
    assert again.tensors.keys() == made.tensors.keys()
    for name, x in made.tensors.items():
        assert torch.equal(again.tensors[name], x) and again.tensors[name].dtype == x.dtype


def test_dials_are_listed_by_their_titles_and_by_generator(shelf):
    for value, (title, generator) in enumerate((("smile", "a"), ("Beard", "a"), ("hat", "b"))):
        shelf.keep(dial(title, generator, float(value)))
    assert titles(shelf) == ["Beard", "hat", "smile"]
    assert titles(shelf, "a") == ["Beard", "smile"]


def test_the_same_dial_is_kept_once_and_another_one_of_the_same_title_gets_a_number(shelf):
    first = shelf.keep(dial())
    assert shelf.keep(dial("Full beard")) == first and titles(shelf) == ["Full beard"]
    shelf.keep(dial("full BEARD", value=2.0))
    shelf.keep(dial("Full beard", generator="another"))  # another model's may have the name too
    assert sorted(titles(shelf)) == ["Full beard", "Full beard", "full BEARD (2)"]
    shelf.keep(dial(LONGEST_TITLE * "x", value=3.0))
    shelf.keep(dial(LONGEST_TITLE * "x", value=4.0))
    assert max(map(len, titles(shelf))) == LONGEST_TITLE


def test_renaming_and_removing(shelf):
    id, other = shelf.keep(dial()), shelf.keep(dial("Hat", value=2.0))
    shelf.rename(id, "Moustache")
    assert titles(shelf) == ["Hat", "Moustache"] and shelf.load(id).title == "Moustache"
    shelf.remove(other)
    assert titles(shelf) == ["Moustache"]
    for act in (shelf.load, shelf.remove):
        with pytest.raises(VelaturaError, match="no slider"):
            act(other)


def test_an_exported_dial_is_the_same_on_another_shelf(shelf, tmp_path):
    id = shelf.keep(dial())
    shelf.export(id, tmp_path / f"beard{ENDING}")
    elsewhere = Shelf(tmp_path / "elsewhere")
    assert elsewhere.take(tmp_path / f"beard{ENDING}") == id
    assert torch.equal(elsewhere.load(id).tensors["s0"], dial().tensors["s0"])
    (tmp_path / "other.dial.safetensors").write_bytes(b"no dial")
    with pytest.raises(VelaturaError, match="no slider that Velatura has exported"):
        elsewhere.take(tmp_path / "other.dial.safetensors")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda data: data[:-1], "cut off"),
        (lambda data: data[:20], "cut off"),
        (lambda data: b"", "cut off"),
        (lambda data: data + b"x", "cut off"),
        (lambda data: data.replace(b'\\"format\\":1', b'\\"format\\":9'), "another version"),
        (lambda data: data.replace(b"direction", b"direktion"), "unknown kind"),
        (lambda data: b"\xff" * 8 + data[8:], "cut off"),
    ],
)
def test_a_broken_file_is_named_and_left_out(shelf, tmp_path, damage, reason):
    id = shelf.keep(dial())
    shelf.keep(dial("Hat", value=2.0))
    path = tmp_path / "shelf" / f"{id}{ENDING}"
    path.write_bytes(damage(path.read_bytes()))
    assert titles(shelf) == ["Hat"]
    (broken,) = shelf.broken()
    assert broken.path == path and reason in broken.reason
    assert shelf.keep(dial()) == id and len(titles(shelf)) == 2, "keeping it again mends it"


def test_changed_numbers_are_noticed_when_it_is_read(shelf, tmp_path):
    id = shelf.keep(dial())
    path = tmp_path / "shelf" / f"{id}{ENDING}"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(VelaturaError, match=f"'Beard' is damaged; .*delete {id}"):
        shelf.load(id)


def test_a_slider_without_finite_numbers_is_not_taken(shelf, tmp_path):
    id = shelf.keep(dial(value=float("nan")))
    with pytest.raises(VelaturaError, match="is damaged; remove it"):
        shelf.load(id)
    shelf.export(id, tmp_path / "nan.safetensors")
    with pytest.raises(VelaturaError, match="choose another file"):
        Shelf(tmp_path / "other").take(tmp_path / "nan.safetensors")


def test_a_file_under_another_ones_name_is_left_out(shelf, tmp_path):
    id = shelf.keep(dial())
    os.rename(tmp_path / "shelf" / f"{id}{ENDING}", tmp_path / "shelf" / f"{'0' * 16}{ENDING}")
    assert titles(shelf) == [] and "another slider" in shelf.broken()[0].reason


WRITER = """
import sys, torch
from pathlib import Path
from velatura.files import atomic
from velatura.shelf import Dial, Shelf
import os
def killed(_):
    print("writing", flush=True)
    os.kill(os.getpid(), 9)
atomic.os.fsync = killed
Shelf(Path(sys.argv[1])).keep(Dial("", "Hat", "g", "vector", {"ws": torch.ones(2, 3)}, {}))
"""


@pytest.mark.timeout(120)
def test_a_kill_in_the_middle_of_writing_leaves_what_was_there(shelf, tmp_path):
    """The process dies when the bytes are written and not yet safe; its part is removed later."""
    shelf.keep(dial())
    folder = tmp_path / "shelf"
    ended = subprocess.run(
        [sys.executable, "-c", WRITER, str(folder)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert ended.stdout == b"writing\n" and ended.returncode == -9
    assert titles(shelf) == ["Beard"] and shelf.broken() == []
    (part,) = folder.glob("*.part")
    shelf.keep(dial("Scarf", value=5.0))
    assert part.exists(), "another process may be writing it"
    old = time.time() - 2 * shelf_module._STALE_S
    os.utime(part, (old, old))
    shelf.keep(dial("Tie", value=6.0))
    assert not part.exists() and titles(shelf) == ["Beard", "Scarf", "Tie"]


@given(st.text(max_size=80))
def test_a_title_is_refused_or_can_be_kept(title):
    try:
        plain = checked_title(title)
    except VelaturaError as error:
        assert error.code == "bad-request"
        return
    assert 0 < len(plain) <= LONGEST_TITLE and plain.isprintable() and plain == checked_title(plain)
    assert plain.encode()  # it can be sent


@given(st.text(min_size=1, max_size=40))
def test_an_id_never_leads_to_another_file(tmp_path_factory, id):
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    with pytest.raises(VelaturaError, match="no slider"):
        shelf.load(id)


def test_room_is_checked_before_work_begins(shelf, monkeypatch):
    monkeypatch.setattr(shelf_module, "MOST", 2)
    for i in range(2):
        shelf.keep(dial(f"Dial {i}", value=float(i)))
    with pytest.raises(VelaturaError, match="2 sliders already"):
        shelf.check_room("one more")
    with pytest.raises(VelaturaError, match="1 to 60 characters"):
        shelf.check_room(" ")
    with pytest.raises(VelaturaError, match="Nothing can be kept here"):
        Shelf(None).check_room("one")


def test_dials_that_ship_with_a_model_are_listed_and_stay(shelf, tmp_path):
    maker = Shelf(tmp_path / "model" / "dials")
    id = maker.keep(dial("Smile", generator=""))
    both = Shelf(tmp_path / "shelf", [tmp_path / "model" / "dials"])
    both.keep(dial("Beard"))
    assert titles(both) == ["Beard", "Smile"] and titles(both, GENERATOR) == ["Beard", "Smile"]
    assert titles(both, "another model") == ["Smile"]
    assert both.load(id).title == "Smile"
    for act in (both.remove, lambda id: both.rename(id, "Grin")):
        with pytest.raises(VelaturaError, match="belongs to a model"):
            act(id)


def test_a_dial_that_is_too_large_is_refused(shelf, monkeypatch):
    monkeypatch.setattr("velatura.shelf.packing.LARGEST", 100)
    with pytest.raises(VelaturaError, match="cannot be kept"):
        shelf.keep(dial())
    assert titles(shelf) == []


def test_listing_imports_no_torch(shelf, tmp_path):
    shelf.keep(dial())
    code = (
        "import sys; from pathlib import Path; from velatura.shelf import Shelf;"
        f"assert len(Shelf(Path({str(tmp_path / 'shelf')!r})).entries()) == 1;"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )


def test_a_description_that_is_no_regular_json_is_refused(tmp_path):
    path = tmp_path / f"x{ENDING}"
    header = b"[" * 5000
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(ValueError):
        described(path)
