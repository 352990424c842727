"""What is asked of the daemon while a dialog is open: drafts, proposals, words to be selected."""

from __future__ import annotations

import pytest

from tests.daemon_fixture import wait_for
from tests.gimp.conftest import INSIDE, install
from tests.hosts.gimp import GimpSession

pytestmark = [pytest.mark.gimp, pytest.mark.timeout(450)]

PNG = "89504e470d0a1a0a"


@pytest.fixture(scope="module")
def live(gimp_host, knowing, tmp_path_factory):
    folder = tmp_path_factory.mktemp("live")
    with GimpSession(gimp_host, folder / "gimp", binds=[knowing.state_dir]) as session:
        plugin = install(session, knowing.state_dir, offered_by=knowing)
        return session.python(INSIDE / "live.py", plugin=plugin, timeout=400)


def test_a_draft_shows_what_would_be_made_and_leaves_nothing(live):
    found = live["draft"]
    assert found["png"] == PNG
    assert found["rect"] == [-9, -7, 80, 60]
    assert set(found["said"]) == {""}
    assert found["asked"] == 2
    assert found["as_it_was"]


def test_the_run_begins_with_the_seed_that_was_seen(live):
    assert live["draft"]["seed"]
    assert live["draft"]["own_seed"] == 7


def test_drafts_come_during_a_drag_and_the_last_is_of_the_last_state(live):
    assert live["dragged"] == [True, True]


def test_during_a_drag_a_draft_is_let_finish_and_at_its_end_it_is_not(live):
    assert live["outrun"] == [True, True, True, 2]


def test_the_layer_is_read_once_until_it_may_have_changed_and_not_where_no_preview_is_wanted(live):
    assert live["kept"] == [1, 2, 3]


def test_a_draft_waits_for_what_the_person_has_asked_for(live):
    assert live["gives_way"] == [True, 1, 2]
    assert live["comes_back"] == [3, True, 1]


def test_a_draft_that_is_refused_says_why_and_none_is_made_without_a_prompt_or_left_to_be_seen(live):
    shown, (_, sentence, *others) = live["refused"]
    assert shown == [True, False, True, False]
    assert sentence.endswith(".")
    assert "no_such_thing" in sentence
    assert others == [""]


def test_a_method_that_gives_no_drafts_is_asked_for_none(live):
    assert live["none"] == [0, []]


def test_a_newer_draft_cancels_the_one_before_it(live, knowing):
    assert live["newer"] == [2, ["", ""]]
    assert knowing.log.count("is cancelled") >= 1


def test_what_is_stopped_is_heard_of_no_more_and_cancelled(live, knowing):
    assert live["stopped"] == [True, True, [""]]
    wait_for(lambda: knowing.log.count("is cancelled") >= 2, 30, "it is not cancelled")


def test_a_caption_is_proposed_for_the_layer_whatever_is_selected(live):
    (text,), said, overs, can, as_it_was = live["proposed"]
    assert text
    assert "\n" not in text
    assert said == ["put"]
    assert overs == 1
    assert can
    assert as_it_was


def test_a_word_is_selected_the_run_waits_for_it_and_the_next_draft_is_of_the_selection(live):
    names, (_, sentence, _), held, some, reads = live["selected"]
    assert names == ["hat"]
    assert "“hat” is selected" in sentence
    assert held
    assert some
    assert reads == 2


def test_a_large_layer_is_read_between_the_windows_own_events(live):
    turns, same, gone, rect, width, height, size = live["steps"]
    assert turns >= 10
    assert same
    assert gone == []
    assert rect == [0, 0, 50, 1295]
    assert (width, size) == (50, 4 * width * height)
    assert 512 <= height < 1295


def test_what_was_deleted_changed_or_closed_meanwhile_is_said(live):
    deleted, indexed, closed = live["gone"]
    assert deleted.startswith("The layer has been deleted")
    assert "Image > Mode > RGB" in indexed
    assert closed.startswith("The picture was closed")
