"""When drafts begin and end while a slider is dragged, without a daemon and without a clock."""

import pytest

from tests.krita.schemas import METHOD, known

TICK = 0.15  #: seconds; a movement is over once nothing has moved for longer than one


class Drag:
    """A docker whose daemon ends no draft by itself, and `tick` in the place of time.

    drafts: the ids and settings of the drafts that are asked for. cancelled: the ids of those cancelled.
    """

    def __init__(self, desk, monkeypatch):
        self.desk, self.state, self.drafts, self.cancelled = desk, desk.session.state, [], []
        network = desk.session.network
        monkeypatch.setattr(network, "draft", lambda job, edit, *_: self.drafts.append((job, edit)))
        monkeypatch.setattr(network, "cancel", self.cancelled.append)
        self._timer = desk.session.drafts._timer
        self._timer.setInterval(10**9)
        self.now = 0.0
        desk.session.drafts.policy.clock = lambda: self.now

    def slide(self, position):
        self.desk["steps.slider"].setValue(position)

    def move(self, position):
        self.slide(position)
        self.tick()

    def tick(self):
        assert self.waits
        self.now += TICK
        self._timer.stop()
        self._timer.timeout.emit()

    @property
    def waits(self):
        """Whether a newer state is still to be asked for."""
        return self._timer.isActive()

    def begun(self, count):
        """The id of the newest draft, once there have been so many."""
        self.desk.until(lambda: len(self.drafts) == count)
        return self.drafts[-1][0]

    def is_newest(self):
        return self.drafts[-1][1].parameters["steps"] == self.desk["steps"].value()

    def answer(self, job, state, **more):
        self.desk.session.emit_news("job", {"job": job, "state": state, **more})
        self.desk.until(lambda: self.state.draft is None or self.state.draft.phase.ended)


@pytest.fixture
def drag(desks, tmp_path, document, monkeypatch):
    from velatura_krita.state import Daemon

    desk = desks(tmp_path / "state")
    desk.until(lambda: desk.session.state.daemon is Daemon.ABSENT)
    desk.session.state.set_known(known(METHOD))
    desk["prompt"].setPlainText("a hat")
    desk.session.state.set_protocol("1.2")
    desk.session.state.set_daemon(Daemon.CONNECTED, "Ready", "")
    return Drag(desk, monkeypatch)


def test_while_the_slider_moves_the_draft_that_runs_is_let_finish(drag):
    drag.move(3)
    first = drag.begun(1)
    for position in (4, 5, 6):
        drag.move(position)
        assert drag.waits
    drag.answer(first, "done")
    drag.move(7)
    second = drag.begun(2)
    assert drag.is_newest() and not drag.cancelled and not drag.waits
    drag.move(8)
    assert not drag.cancelled
    drag.tick()  # nothing has moved since
    drag.begun(3)
    assert drag.is_newest() and drag.cancelled == [second] and not drag.waits


def test_after_an_edit_the_newest_state_is_asked_for(drag):
    from velatura_krita.state import Job, Phase

    drag.state.add_job(Job("edit", "Edit"))
    drag.move(3)
    for phase in (Phase.RUNNING, Phase.INSERTING):
        drag.state.change_job("edit", phase=phase)
        drag.tick()
    drag.slide(9)
    drag.state.say("1 variation above 'source'.")
    drag.state.change_job("edit", phase=Phase.DONE)
    drag.tick()
    drag.begun(1)
    assert drag.is_newest() and not drag.waits
    assert drag.state.status, "what was said of the edit goes with the next move"


@pytest.mark.parametrize("end", ["no prompt", "no previews", "failed"])
def test_no_preview_of_an_older_state_stays(drag, end):
    drag.move(3)
    drag.answer(drag.begun(1), "done")
    assert drag.state.draft is not None
    if end == "no prompt":
        drag.desk["prompt"].clear()
        drag.move(4)
    elif end == "no previews":
        drag.desk["previews"].click()
    else:
        drag.move(4)
        error = {"code": "internal", "message": "It cannot be."}
        drag.answer(drag.begun(2), "failed", error=error)
        assert drag.state.status == "It cannot be."
    assert drag.state.draft is None and not drag.waits


def test_what_fails_while_the_slider_moves_on_is_not_said(drag):
    drag.move(3)
    first = drag.begun(1)
    drag.move(4)
    drag.answer(first, "failed", error={"code": "internal", "message": "It cannot be."})
    assert not drag.state.status and drag.waits
    drag.tick()
    drag.begun(2)
    assert drag.is_newest()
