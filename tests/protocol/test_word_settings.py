"""What is set for words of a prompt, whatever is typed: the behaviour of every host."""

from __future__ import annotations

from dataclasses import replace

from tests.protocol.page import GROUP, Page
from velatura_protocol.words import find

# A word is corrected


def test_a_word_that_is_written_otherwise_keeps_its_setting_all_the_while():
    page = Page("a beard", "beard").after("beard").type("s")
    assert page.set == ["beards ×2"]
    assert page.backspace(5).set == ["b ×2"]
    assert page.type("oat").set == ["boat ×2"]
    assert page.at("boat").type("grey").set == ["greyboat ×2"]
    assert page.delete("boat").set == ["grey ×2"]


def test_letters_typed_over_the_first_are_part_of_the_word():
    page = Page("a beard", "beard").type_over("beard", "hat").delete("h").type("c")
    assert page.settings.prompt == "a cat"
    assert page.set == ["cat ×2"]


def test_a_word_that_is_typed_over_gives_what_is_set_for_it_to_the_new_one():
    assert Page("a man with a beard", "beard").type_over("beard", "hat").set == ["hat ×2"]
    assert Page("a man with a beard", "beard").paste_over("beard", "hat").set == ["hat ×2"]
    page = Page("a man with a beard, old", "beard").delete("beard").type("hat")
    assert page.set == ["hat ×2"], "select, delete and type is the same as to type over"
    assert Page("a beard", "beard").backspace(5).type("hat").set == ["hat ×2"]


def test_several_words_pasted_over_one_take_nothing_over_unless_they_are_swapped_in():
    assert Page("a cat, old", "cat").paste_over("cat", "dog and a red fox").set == []
    page = Page("a cat on a chair", "cat")
    page.settings.choose(find("a cat on a chair", "cat"))
    page.settings.swap(find("a cat on a chair", "cat"), " red  fox ")
    assert page.settings.prompt == "a red fox on a chair"
    assert page.set == ["red fox ×2"]
    assert page.settings.chosen().word.text == "red fox"


# A word is deleted, and typed again


def test_a_word_that_is_deleted_is_set_again_when_it_is_typed_again():
    page = Page("a man with a beard, old", "beard").delete("beard")
    assert page.set == [] and page.settings.value() == []
    page.after("old").type(" and a long beard")
    assert page.set == ["beard ×2"]


def test_only_what_is_typed_right_where_it_was_takes_the_place_of_a_deleted_word():
    page = Page("a man with a beard, old", "beard").delete("beard").after("old").type(" hat")
    assert page.set == []
    page = Page("a man with a beard", "beard").backspace(8).type("in the rain")
    assert page.set == []
    page = Page("a man with a beard", "beard").delete("with a beard").type("in the rain")
    assert page.set == []
    page = Page("a man with a beard", "beard").type_over("with a beard", "in the rain")
    assert page.set == []
    assert page.type(", beard").set == ["beard ×2"]


def test_another_word_that_only_begins_like_the_deleted_one_does_not_get_its_setting():
    page = Page("a man", "a").delete("a ").after("man").type(" eats an apple")
    assert page.set == []
    assert page.type(", a").set == ["a ×2"], "so far it is the same word"
    assert page.type("nd").set == []
    page.type(" a cat")
    assert page.set == ["a ×2"]
    assert page.type(", and an apple").set == ["a ×2"]


def test_a_word_that_is_deleted_letter_by_letter_is_set_again_when_it_is_typed_again():
    page = Page("a red hat on a man", "red").after("red").backspace(4)
    assert page.settings.prompt == "a hat on a man" and page.set == []
    assert page.after("man").type(", red").set == ["red ×2"]
    page = Page("a red hat on a man", "red").after("red").backspace(4).after("man").paste(" red")
    assert page.set == ["red ×2"]
    page = Page("a red hat on a man", "red").at("red").put(2, 3, "").put(2, 4, "").after("man").type(" red")
    assert page.set == ["red ×2"], "with Delete, and two letters at once"
    page = Page("red hat, old", "red").after("red")
    page.settings.swap(find("red hat, old", "red"), "dark red")
    assert page.after("dark red").backspace(8).after("old").paste(" dark red").set == ["dark red ×2"]


def test_another_word_that_is_the_first_letter_of_the_deleted_one_does_not_get_its_setting():
    page = Page("a bowl with an apple", "apple").backspace(5).backspace(4).type("h on a table")
    assert page.set == []
    assert page.type(" and an apple").set == ["apple ×2"]


def test_a_word_that_was_shortened_comes_back_in_its_short_form():
    page = Page("two beards, old", "beards").after("beards").backspace(1).after("old").type("er")
    assert page.set == ["beard ×2"]
    assert page.after("beard").backspace(6).after("older").type(", beards").set == []
    assert page.type(" beard").set == ["beard ×2"]
    page = Page("two beards, older", "beards").after("beards").backspace(1).after("older").backspace(2)
    assert page.delete("beard").after("old").type(" beard").set == ["beard ×2"]


def test_the_setting_of_a_deleted_word_does_not_go_to_its_equal():
    page = Page("cat, cat", "cat").put(0, 3, "")
    assert page.set == []
    assert page.after(", cat").type("s and").set == []
    assert Page("cat, cat", "cat:2").put(0, 5, "").set == ["cat ×2"]


def test_of_several_deleted_words_the_last_one_comes_back_first():
    page = Page("cat and cat, old", "cat")
    page.settings.set(find("cat and cat, old", "cat", 2), {"weight": 3.0})
    page.put(0, 4, "").put(4, 8, "").after("old").type(" cat")
    assert page.set == ["cat ×3"]
    assert page.type(" cat").set == ["cat ×3", "cat(2) ×2"]


def test_a_word_that_has_a_setting_wakes_no_other():
    page = Page("a beard, a hat, old", "beard")
    page.settings.set(find("a beard, a hat, old", "hat"), {"weight": 3.0})
    page.delete("a hat, ").type_over("beard", "hat")
    assert page.set == ["hat ×2"]
    assert page.after("old").type(" hat").set == ["hat ×2", "hat(2) ×3"]


def test_what_has_waited_longest_is_forgotten_in_the_end():
    from velatura_protocol.following import MOST_WAITING

    words_there = [f"w{number}" for number in range(MOST_WAITING + 1)]
    wide = replace(GROUP, max_items=99)
    page = Page(" ".join([*words_there, "end"]), *words_there, field=wide)
    for word in words_there:
        page.delete(word + " ")
    page.after("end").paste(" " + words_there[0]).paste(" " + words_there[1])
    assert page.set == ["w1 ×2"]


def test_a_word_typed_right_behind_and_then_apart_takes_nothing():
    page = Page("a cat", "cat").type("dog")
    assert page.set == ["catdog ×2"]
    assert page.put(5, 5, " ").set == ["cat ×2"]


def test_a_word_that_is_moved_takes_its_setting_along():
    page = Page("a long beard on a man", "beard").delete("a long beard on ").after("man")
    assert page.paste(" with a long beard").set == ["beard ×2"]
    dragged = Page("red hat, blue scarf", "hat", "scarf")
    dragged.put(0, len("red hat, blue scarf"), "blue scarf, red hat")
    assert dragged.set == ["scarf ×2", "hat ×2"]


def test_a_phrase_that_is_moved_takes_its_setting_along():
    page = Page("a cat", "cat")
    page.settings.swap(find("a cat", "cat"), "red fox")
    page.put(0, len("a red fox"), "dogs and one red fox there")
    assert page.set == ["red fox ×2"]


def test_a_phrase_that_is_typed_again_word_by_word_is_set_again_when_it_is_whole():
    page = Page("a cat, old", "cat")
    page.settings.swap(find("a cat, old", "cat"), "red fox")
    page.delete("red fox").after("old").type(" and a red fo")
    assert page.set == []
    assert page.type("x").set == ["red fox ×2"]
    assert page.type("y").set == []
    assert page.backspace(1).set == ["red fox ×2"]
    assert page.type(" cub").set == ["red fox ×2"]


# Other words are typed


def test_an_equal_word_typed_before_or_after_takes_nothing():
    page = Page("a cat", "cat").at("cat").type("cat ")
    assert page.settings.prompt == "a cat cat"
    assert page.set == ["cat(2) ×2"]
    assert Page("a cat", "cat").after("cat").type(" cat").set == ["cat ×2"]
    assert Page("a cat", "cat").at("cat").paste("cat ").after("a cat cat").paste(" cat").set == ["cat(2) ×2"]


def test_a_new_prompt_altogether_keeps_what_it_has_the_words_for():
    page = Page("a cat and a dog", "cat", "dog").put(0, 15, "dogs and a dog")
    assert page.set == ["dog ×2"]
    assert Page("a man with a beard", "beard").put(0, 18, "two dogs").set == []
    assert Page("a beard", "beard").put(0, 7, "a bright dog").set == [], "a letter in common is not enough"
    page = Page("a cat and a dog", "cat", "dog").put(0, 15, "")
    assert page.type("dogs and a dog").set == ["dog ×2"]


def test_two_words_that_become_one_and_two_again():
    page = Page("red hat", "red")
    page.settings.set(find("red hat", "hat"), {"weight": 3.0})
    page.put(3, 4, "")
    assert page.set == ["redhat ×2"]
    assert page.put(3, 3, " ").set == ["red ×2", "hat ×3"]
    assert page.put(3, 4, "-").set == ["red-hat ×2"]


def test_part_of_a_phrase_is_written_otherwise():
    page = Page("a cat", "cat")
    page.settings.swap(find("a cat", "cat"), "red fox")
    assert page.type_over("fox", "panda").set == ["red panda ×2"]
    assert page.delete("red ").set == ["panda ×2"]


def test_accents_belong_to_their_word_however_they_are_typed():
    apart, together = "cafe\u0301", "caf\u00e9"
    page = Page("a cafe", "cafe").type("\u0301 au lait")
    assert page.set == [f"{apart} ×2"]
    page.put(2, 7, together)
    assert page.set == [f"{together} ×2"]
    assert page.delete(together).after("lait").type(f", {apart}").set == [f"{apart} ×2"]


# The buttons, and undo


def test_add_and_remove():
    page = Page("a man with a beard, old", "beard")
    settings = page.settings
    settings.add(find(settings.prompt, "beard"), "long", before=True)
    settings.add(find(settings.prompt, "beard"), "indeed", before=False)
    assert settings.prompt == "a man with a long beard indeed, old" and page.set == ["beard ×2"]
    settings.remove(find(settings.prompt, "indeed"))
    settings.remove(find(settings.prompt, "a"))
    assert settings.prompt == "man with a long beard, old" and page.set == ["beard ×2"]
    settings.remove(find(settings.prompt, "beard"))
    assert settings.prompt == "man with a long, old" and page.set == []
    settings.remove(find(settings.prompt, "old"))
    assert settings.prompt == "man with a long,"


def test_the_edit_of_a_button_makes_the_new_prompt_of_the_old_one():
    for act in (lambda s, w: s.swap(w, "cat cat"), lambda s, w: s.add(w, "cat", True),
                lambda s, w: s.add(w, "cat", False), lambda s, w: s.remove(w)):  # fmt: skip
        page = Page("a cat, cat", "cat:2")
        old = page.settings.prompt
        edit = act(page.settings, find(old, "cat", 2))
        new = page.settings.prompt
        assert old[: edit.start] + new[edit.start : edit.new_end] + old[edit.old_end :] == new
        page.settings.follow(new, 0)  # the editor says so, too
        page.settings.follow(old, edit.old_end)
        assert page.set == ["cat(2) ×2"], "undo"


def test_undo_brings_back_what_was_set_with_the_values_of_now():
    page = Page("a beard", "beard").type_over("beard", "hat")
    page.settings.set(find("a hat", "hat"), {"weight": 3.0})
    for _ in range(3):
        page.undo()
    assert page.settings.prompt == "a beard" and page.set == ["beard ×3"]
    page.delete("beard").undo()
    assert page.set == ["beard ×3"]
    page.settings.reset(find("a beard", "beard"))
    page.type("s").undo()
    assert page.set == []


def test_several_letters_that_are_taken_back_at_once():
    page = Page("red hat", "red")
    page.settings.set(find("red hat", "hat"), {"weight": 3.0})
    page.put(3, 4, "")
    page.cursor = 6
    page.backspace(6)
    page.settings.follow("redhat", 6)
    page.settings.follow("red hat", 4)
    assert page.set == ["red ×2", "hat ×3"]
