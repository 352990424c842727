"""Dials: entries, their titles, lists of them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from velatura_protocol import dials
from velatura_protocol.errors import VelaturaError
from velatura_protocol.schema import fields_from_schema
from velatura_protocol.words import find

from .test_spec import examples

(FIELD,) = [
    field
    for message in examples("message")
    for method in message.get("methods", [])
    for field in fields_from_schema(method["parameters"])
    if field.dials
]
TEXTS = st.text("ab -→é\n", max_size=12) | st.text(max_size=20).filter(lambda t: t.isprintable())
ENTRIES = st.fixed_dictionaries(
    {
        "name": TEXTS.map(lambda text: text[:60]),
        "less": TEXTS,
        "more": TEXTS,
        "strength": st.floats(-3.0, 3.0, width=32),
    }
)
LISTS = st.lists(ENTRIES, max_size=FIELD.max_items)


def entry(less="", more="", name="", strength=1.0):
    return {"name": name, "less": less, "more": more, "strength": strength}


@pytest.mark.parametrize(
    ("made", "title"),
    [
        (entry("short", "long"), "short → long"),
        (entry(more=" a grey\n beard "), "+ a grey beard"),
        (entry("beard"), "− beard"),
        (entry("short", "long", " Length "), "Length"),
        (entry(" ", "\n"), dials.NAMELESS),
        ({"less": "short", "more": "long", "strength": 0.0}, "short → long"),
    ],
)
def test_titles(made, title):
    assert dials.title(made) == title


@pytest.mark.parametrize(
    ("caption", "prompt", "word", "expected"),
    [
        ("a man with brown hair", "a man with red hair", "red", ("brown", "red")),
        ("a man with brown hair", "a man with red hair", "hair", ("", "hair")),
        ("a man with a beard", "a man with glasses", "glasses", ("beard", "glasses")),
        ("a man", "a man with glasses", "glasses", ("", "glasses")),
        ("", "red hair", "red", ("", "red")),
        ("two dogs", "a man with red hair", "red", ("", "red")),
    ],
)
def test_a_word_of_a_prompt_leads_from_what_it_replaces(caption, prompt, word, expected):
    assert dials.of_word(caption, prompt, find(prompt, word)) == expected


def test_a_dial_that_says_all_and_one_that_does_not():
    assert dials.says_all("brown", "red", "brown hair", "red hair")
    assert dials.says_all("", "hair", "red  hair", "red hair")
    assert not dials.says_all("", "hair", "brown hair", "red hair")
    assert not dials.says_all("brown", "red", "brown hair", "red hair, short")


def test_the_texts_of_a_dial_stand_from_less_to_more():
    mixed = list(FIELD.fields)[::-1]
    assert [field.key for field in dials.in_order(mixed)][:2] == ["less", "more"]
    assert list(dials.strings(FIELD)) == ["less", "more", "name"]


@given(ENTRIES)
def test_a_title_is_one_line(made):
    title = dials.title(made)
    assert title and title == " ".join(title.split())


def test_what_an_edit_does_in_one_line():
    fields = [FIELD, *fields_from_schema({"properties": {"now": {
        "type": "string", "title": "Now", "default": "", "x-source-prompt": True}}})]  # fmt: skip
    several = [
        entry("short", "long", strength=-1.5),
        entry(more="beard"),
        entry(),
        entry("hat", strength=0.0),
    ]
    assert dials.about(several) == "short → long −1.5, + beard 1"
    tell = lambda prompt, **values: dials.about_edit(fields, prompt, values)  # noqa: E731
    assert tell("", now="a man", dials=several) == "short → long −1.5, + beard 1"
    assert tell("a man with a hat", now="a man", dials=several[1:2]) == "+ with a hat, + beard 1"
    assert tell("a\n dog", now="one thing or another", dials=[]) == tell("a dog") == "a dog"
    assert tell("") == ""


@given(TEXTS | st.text("x", min_size=600, max_size=700), TEXTS)
def test_a_new_dial_fits_whatever_it_is_made_of(less, more):
    made = dials.new(FIELD, less, more)
    assert FIELD.check([made]) == [made]
    assert made["strength"] == 1.0 and made["name"] == ""
    assert " ".join(less.split()).startswith(made["less"])


@given(LISTS, st.integers(0, 15), st.integers(-3, 20))
def test_lists_grow_shrink_and_are_put_in_order_within_the_bounds(entries, index, to):
    before = [dict(e) for e in entries]
    made = dials.new(FIELD, "short", "long")
    if dials.is_full(FIELD, entries):
        with pytest.raises(VelaturaError, match="16 dials"):
            dials.add(FIELD, entries, made)
    else:
        assert dials.add(FIELD, entries, made) == [*entries, made]
    if index < len(entries):
        assert dials.remove(FIELD, entries, index) == entries[:index] + entries[index + 1 :]
        moved = dials.move(entries, index, to)
        place = max(0, min(to, len(entries) - 1))
        assert moved[place] is entries[index]
        assert moved[:place] + moved[place + 1 :] == entries[:index] + entries[index + 1 :]
        assert dials.move(moved, place, index) == entries
    assert entries == before


def test_no_fewer_than_the_least_and_nothing_out_of_bounds():
    least = replace(FIELD, min_items=1)
    with pytest.raises(VelaturaError, match="1 dials are the least"):
        dials.remove(least, [entry("a")], 0)
    assert dials.add(replace(FIELD, min_items=3), [], entry("a")) == [entry("a")]
    with pytest.raises(VelaturaError, match=r"^− a: "):
        dials.add(FIELD, [], entry("a", strength=9.0))


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([entry("short", "long", strength=9.0)], "short → long: "),
        ([entry("a"), entry(more="b", strength="much")], "+ b: "),
        ([{"name": "Hair", "colour": "red"}], "Hair: This method has no parameter 'colour'"),
        ([entry("x\x07\ud800" * 100, strength=9.0)], "− x  x  x"),
        ([entry(more="a")] * (FIELD.max_items + 1), f"There can be {FIELD.max_items} dials and no more;"),
        ([3], f"{FIELD.title}: "),
        (None, f"{FIELD.title}: "),
    ],
)
def test_what_does_not_fit_is_named(entries, said):
    with pytest.raises(VelaturaError) as refused:
        dials.check(FIELD, entries)
    message = refused.value.message
    assert message.startswith(said) and message.isprintable() and len(message) < 200


@given(LISTS)
def test_what_fits_is_returned_as_the_field_does(entries):
    assert dials.check(FIELD, entries) == FIELD.check(entries)


@given(LISTS)
def test_what_is_sent_says_something(entries):
    sent = dials.spoken(entries)
    assert [e for e in entries if e in sent] == sent
    assert all(any(c.isalnum() for c in e["less"] + e["more"]) for e in sent)
    assert not any(c.isalnum() for e in entries if e not in sent for c in e["less"] + e["more"])


def test_dials_between_the_same_texts():
    assert dials.same(entry("short", "Long hair", "a", 2.0), entry(" SHORT", "long\nhair"))
    assert not dials.same(entry("short", "long"), entry("long", "short"))


def test_where_nothing_changes():
    assert dials.rest(FIELD) == 0.0
    fields = tuple(replace(f, minimum=0.5) if f.key == "strength" else f for f in FIELD.fields)
    assert dials.rest(replace(FIELD, fields=fields)) == 1.0


def test_the_words_of_a_caption_that_may_become_dials():
    caption = "A man with a short beard, wearing a hat; the Hat is Café-brown"
    assert dials.offered(caption) == ["man", "short", "beard", "hat", "Café-brown"]
    there = [entry(more="HAT"), entry("short", "beard")]
    assert dials.offered(caption, there) == ["man", "short", "beard", "Café-brown"]


@given(st.text("aA bB,'-é\u0301", max_size=40))
def test_each_word_that_is_offered_stands_in_the_caption_once(caption):
    found = dials.offered(caption)
    assert all(find(caption, word) is not None for word in found)
    assert len({find(caption, word).start for word in found}) == len(found)
    for word in found:
        assert word not in dials.offered(caption, [dials.new(FIELD, more=word)])
