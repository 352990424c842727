"""What is set for words of a prompt, as it is shown, sent and loaded."""

from __future__ import annotations

from tests.protocol.page import GROUP, LIST, Page
from velatura_protocol.word_settings import WordSettings
from velatura_protocol.words import find


def test_chips_and_entries():
    page = Page("a man with a beard, and a hat", "beard")
    page.settings.set(find(page.settings.prompt, "hat"), {"weight": 0.25})
    page.settings.set(find(page.settings.prompt, "man"), {"until": 0.5})
    page.settings.set(find(page.settings.prompt, "beard"), {"until": 0.5})
    chips = page.settings.chips()
    assert [chip.label for chip in chips] == [
        "a", "man •", "with", "a", "beard ×2", "and", "a", "hat ×0.25"]  # fmt: skip
    assert chips[4].about == "Weight: 2, Until: 0.5"
    assert page.settings.value() == [
        {"text": "man", "which": 1, "weight": 1.0, "until": 0.5},
        {"text": "beard", "which": 1, "weight": 2.0, "until": 0.5},
        {"text": "hat", "which": 1, "weight": 0.25, "until": 1.0},
    ]


def test_a_word_with_nothing_but_defaults_has_no_entry():
    settings = Page("a hat", "hat").settings
    assert settings.value() == [{"text": "hat", "which": 1, "weight": 2.0, "until": 1.0}]
    settings.set(find("a hat", "hat"), {"weight": 1.0 + 1e-9})
    assert settings.value() == []


def test_a_full_group_takes_no_more_and_says_so():
    settings = Page("a b c d", "a", "b", "c").settings
    assert not settings.set(find("a b c d", "d"), {"weight": 2.0})
    assert [entry["text"] for entry in settings.value()] == ["a", "b", "c"]
    assert settings.set(find("a b c d", "a"), {"weight": 3.0})


def test_where_nothing_can_be_set_the_entries_are_a_list():
    settings = WordSettings(LIST, "a hat")
    assert settings.is_list
    (listed,) = settings.settings
    settings.set(find("a hat", "hat"), {listed.key: True})
    assert settings.value() == [{"text": "hat", "which": 1}]
    assert [chip.label for chip in settings.chips()] == ["a", "hat ✓"]
    settings.reset(find("a hat", "hat"))
    assert settings.value() == []
    settings.load([{"text": "a", "which": 1}])
    assert settings.value() == [{"text": "a", "which": 1}]


def test_entries_are_loaded_and_those_without_a_word_wait_for_it():
    settings = WordSettings(GROUP, "a hat, a hat")
    settings.load(
        [{"text": "Hat", "which": 2, "weight": 3.0, "until": 1.0}, {"text": "beard", "weight": 2.0}]
    )
    assert settings.value() == [{"text": "hat", "which": 2, "weight": 3.0, "until": 1.0}]
    settings.follow("a hat, a hat and a beard", 24)
    assert [chip.label for chip in settings.chips() if chip.is_set] == ["hat ×3", "beard ×2"]


def test_of_two_entries_for_one_word_the_last_counts():
    entries = [{"text": text, "weight": w} for text, w in (("caf\u00e9", 2.0), ("cafe\u0301", 3.0))]
    settings = WordSettings(GROUP, "a caf\u00e9", entries)
    assert settings.value() == [{"text": "caf\u00e9", "which": 1, "weight": 3.0, "until": 1.0}]


def test_a_phrase_of_saved_entries_is_one_chip():
    settings = WordSettings(GROUP, "a red hat, a red hat", [{"text": "Red hat", "which": 2, "weight": 2.0}])
    assert [chip.word.text for chip in settings.chips()] == ["a", "red", "hat", "a", "red hat"]
    assert settings.value() == [{"text": "red hat", "which": 2, "weight": 2.0, "until": 1.0}]


def test_the_chosen_word_stays_chosen_while_it_is_written_otherwise_and_no_longer():
    page = Page("a big hat")
    page.settings.choose(find("a big hat", "big"))
    assert page.settings.chosen().word.text == "big"
    page.after("big").type("gest")
    assert page.settings.chosen().word.text == "biggest"
    page.delete("biggest ")
    assert page.settings.chosen() is None
    page.undo()
    assert page.settings.chosen() is None and page.settings.value() == []
