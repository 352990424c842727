"""What outlives Krita: the journal, and recipes that somebody damaged."""

import time

import pytest

from tests.krita.fake_krita import SRGB, Document

pytestmark = pytest.mark.usefixtures("krita")


def entry(job="a" * 36, **changes):
    from velatura_krita.journal import Entry

    return Entry(
        **({"job": job, "node": "n", "root": "r", "file": "", "title": "t", "created": time.time()} | changes)
    )


def journal(folder):
    from velatura_krita.journal import Journal

    return Journal(folder)


def test_entries_come_back_oldest_first(tmp_path):
    first, second = entry("b", created=time.time() - 5), entry("a")
    for one in (second, first):
        journal(tmp_path).add(one)
    assert journal(tmp_path).entries() == [first, second]
    journal(tmp_path).remove("b")
    journal(tmp_path).remove("b")
    assert journal(tmp_path).entries() == [second]


DEEP = "[" * 100_000


def test_damaged_and_old_entries_are_deleted(tmp_path):
    journal(tmp_path).add(entry(created=0.0))
    for name, text in (("x.json", "{"), ("y.json", "[]"), ("z.json", '{"job": "z"}'), ("d.json", DEEP)):
        (tmp_path / "krita" / name).write_text(text)
    assert journal(tmp_path).entries() == []
    assert list((tmp_path / "krita").iterdir()) == []


def test_without_a_folder_there_are_no_entries(tmp_path):
    assert journal(tmp_path / "nowhere").entries() == []


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"recipe": 1, "source": "x"}', b"\xff", DEEP.encode()])
def test_a_damaged_recipe_is_none(text):
    from velatura_krita import recipes

    document = Document(8, 8, "picture", "RGBA", "U8", SRGB)
    node = document.createNode("result", "paintlayer")
    document.annotations[recipes.key(node)] = text
    assert recipes.read(document, node) is None
    assert not recipes.inserted(document, "")
