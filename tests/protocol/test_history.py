"""The history of a document: what comes back from the file, what goes for room, what is found."""

import base64
import json
import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from velatura_protocol.errors import VelaturaError
from velatura_protocol.history import BUDGET, NAME, History
from velatura_protocol.history_entries import Entry

from .picked import JOB, candidate

TEXT = st.text(max_size=20)
KEYS = st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(0, 3))
ENTRIES = st.builds(
    Entry,
    job=st.sampled_from(["a", "b", "c"]),
    variation=st.integers(0, 3),
    at=st.floats(0, 2e9),
    title=TEXT,
    recipe=st.fixed_dictionaries({"prompt": TEXT, "parameters": st.dictionaries(TEXT, TEXT, max_size=2)}),
    prompt=TEXT,
    method=TEXT,
    seed=st.integers(0, 2**31 - 1),
    thumbnail=st.binary(max_size=300),
    score=st.none() | st.floats(0, 1),
    fate=st.sampled_from(["candidate", "kept", "dropped"]),
    starred=st.booleans(),
    parent=st.none() | KEYS,
    relation=st.sampled_from(["", "again", "changed", "more"]),
    layer=TEXT,
)


def entry(number: int, prompt: str = "a hat", **changes) -> Entry:
    made = Entry.of(
        candidate(0, 0.5, job=f"job {number}"), at=float(number), title=f"{prompt} · Paint", method="Paint"
    )
    return replace(made, prompt=prompt, **changes)


def history_of(*entries: Entry, budget: int = BUDGET) -> History:
    made = History(budget)
    made.record(entries)
    return made


@given(st.lists(ENTRIES, max_size=8))
def test_the_file_gives_back_every_entry(entries):
    history = history_of(*entries)
    data = history.to_bytes()
    assert data.isascii() and len(data) == history.usage.size
    read = History.from_bytes(data)
    assert read.entries == history.entries and read.unread == 0 and read.to_bytes() == data
    assert {one.key for one in read.entries} == {one.key for one in entries}


@given(st.lists(ENTRIES, max_size=12), st.integers(0, 4000))
def test_the_budget_holds_and_no_star_is_lost(entries, budget):
    history = history_of(*entries, budget=budget)
    whole = history_of(*entries)
    starred = {one.key for one in whole.entries if one.starred}
    assert starred <= {one.key for one in history.entries}
    usage = history.usage
    assert usage.size == len(history.to_bytes())
    if usage.size > budget:
        assert all(one.starred and not one.thumbnail for one in history.entries)
    assert usage.gone + usage.entries >= whole.usage.entries and str(usage.entries) in usage.sentence


def test_the_oldest_that_the_person_did_not_want_goes_first():
    old, kept, new = entry(1), entry(0, fate="kept"), entry(2)
    history = history_of(old, kept, new)
    history.give(history.usage.size - 1)
    assert [one.at for one in history.entries] == [2.0, 0.0]
    assert "1 older ones were let go" in history.usage.sentence
    history.give(history.usage.size - 1)
    assert [one.at for one in history.entries] == [0.0]


def test_a_starred_result_loses_its_picture_last_and_stays():
    history = history_of(entry(1, starred=True, thumbnail=bytes(2000)), entry(2, thumbnail=bytes(100)))
    history.give(100)
    (left,) = history.entries
    assert left.starred and left.thumbnail == b"" and left.recipe == entry(1).recipe
    assert "starred results alone need more" in history.usage.sentence


def test_a_damaged_line_costs_one_entry():
    lines = history_of(*map(entry, range(4))).to_bytes().decode().splitlines()
    bomb = base64.b64encode(zlib.compress(bytes(64 * 1024 * 1024))).decode()
    deep = base64.b64encode(zlib.compress(("[" * 50_000).encode())).decode()
    lines[2:2] = [
        "rubbish",
        "a b c",
        f"{bomb} -",
        f"{deep} -",
        "é -",
        f"{base64.b64encode(b'{}').decode()} -",
    ]
    history = History.from_bytes("\n".join(lines).encode("latin-1"))
    assert len(history) == 4 and history.unread == 6


@given(st.binary(max_size=80))
def test_other_bytes_are_refused_in_a_sentence(data):
    if not data:
        assert len(History.from_bytes(data)) == 0
    elif not data.startswith(NAME.encode() + b" 1\n"):
        with pytest.raises(VelaturaError, match=r"damaged|newer"):
            History.from_bytes(data)


def test_a_newer_history_is_not_written_over():
    with pytest.raises(VelaturaError, match="newer Velatura"):
        History.from_bytes(f"{NAME} 2\nwhatever".encode())


@given(
    st.lists(
        st.recursive(st.none() | st.booleans() | st.floats() | TEXT, st.lists, max_leaves=4), max_size=14
    )
)
def test_any_values_in_a_line_are_read_or_left_out(values):
    keys = [
        "job",
        "variation",
        "at",
        "recipe",
        "score",
        "fate",
        "parent",
        "relation",
        "layer",
        "seed",
        "title",
    ]
    raw = json.dumps(
        {"job": JOB, "variation": 0, "at": 1.0, "recipe": {}} | dict(zip(keys, values, strict=False))
    )
    line = base64.b64encode(zlib.compress(raw.encode())).decode()
    history = History.from_bytes(f"{NAME} 1\n{line} -\n".encode())
    assert len(history) + history.unread == 1
    assert History.from_bytes(history.to_bytes()).entries == history.entries


def test_the_persons_word_stays_when_the_result_comes_again():
    history = history_of(entry(1, thumbnail=b"picture", parent=("before", 0), relation="more"))
    history.star(entry(1).key)
    history.mark(entry(1).key, "kept", "layer 7")
    history.record([entry(1, title="the final title")])
    (one,) = history.entries
    assert (one.title, one.starred, one.fate, one.layer) == ("the final title", True, "kept", "layer 7")
    assert (one.thumbnail, one.parent, one.relation) == (b"picture", ("before", 0), "more")
    history.star(("unknown", 0))
    history.remove([one.key, ("unknown", 0)])
    assert len(history) == 0 and history.to_bytes() == History().to_bytes()


def test_it_is_searched_by_any_words():
    words = {"parameters": {"words": [{"text": "Straße", "weight": 2.0}]}}
    history = history_of(
        entry(1, "a red Hat"), entry(2, "a beard", starred=True), entry(3, "", recipe=words, fate="kept")
    )
    assert [one.at for one in history.search("HAT re")] == [1.0]
    assert [one.at for one in history.search("strasse")] == [3.0]
    assert [one.at for one in history.search("paint")] == [3.0, 2.0, 1.0]
    assert [one.at for one in history.search(starred=True)] == [2.0]
    assert [one.at for one in history.search("paint", kept=True)] == [3.0]
    assert history.search("hat beard") == []


def test_lineage_leads_from_the_first_ancestor_to_the_result():
    first, second = entry(1), entry(2, parent=entry(1).key, relation="changed")
    third = entry(3, parent=second.key, relation="more")
    history = history_of(third, first, second)
    assert history.lineage(third.key) == [first, second, third]
    assert history.children(first.key) == [second] and history.lineage(("unknown", 0)) == []
    history.remove([first.key])
    assert history.lineage(third.key) == [second, third]
    history.record([entry(1, parent=third.key)])
    assert len(history.lineage(third.key)) == 3, "a circle ends"


def test_histories_are_put_together():
    one, other = history_of(entry(1), entry(2)), history_of(entry(2, starred=True), entry(3))
    one.merge(other)
    assert [e.at for e in one.entries] == [3.0, 2.0, 1.0] and one.get(entry(2).key).starred
