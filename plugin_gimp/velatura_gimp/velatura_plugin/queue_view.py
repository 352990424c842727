"""The runs of the window that go on or have failed, each with its own button. Needs a window."""

from __future__ import annotations

from gi.repository import Gtk, Pango

from .jobs import Job
from .style import icon_button, small_button


class QueueView(Gtk.Box):
    """The queue: empty and out of sight where nothing runs."""

    def __init__(self) -> None:
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=4)
        self._rows: dict[str, _Row] = {}
        self.jobs: list[Job] = []
        self._all = small_button("Stop all", "Stops every run", lambda _: self.stop())
        self._all.set_no_show_all(True)
        self.pack_end(self._all, False, False, 0)

    @property
    def running(self) -> list[Job]:
        """The runs that are not over."""
        return [job for job in self.jobs if job.state == "running"]

    def add(self, job: Job) -> None:
        """Adds a run at the end."""
        self.jobs.append(job)
        self._rows[job.id] = row = _Row(job, self._dismiss)
        self.pack_start(row, False, False, 0)
        row.show_all()
        self.draw(job)

    def draw(self, job: Job) -> None:
        """Shows a run's present state; one that is done leaves, unless it has something to say."""
        row = self._rows.get(job.id)
        if row is not None:
            row.draw()
            if job.state in ("done", "cancelled") and not (job.state == "done" and job.says):
                self._dismiss(job)
        self._all.set_visible(len(self.running) > 1)

    def stop(self) -> None:
        """Stops every run."""
        for job in self.running:
            job.stop()

    def _dismiss(self, job: Job) -> None:
        row = self._rows.pop(job.id, None)
        if row is not None:
            row.destroy()


class _Row(Gtk.Box):
    def __init__(self, job: Job, dismiss: object) -> None:
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=2)
        self._job, self._dismiss = job, dismiss
        line = Gtk.Box(spacing=4)
        title = Gtk.Label(label=job.title, xalign=0.0, ellipsize=Pango.EllipsizeMode.END, max_width_chars=28)
        self._button = icon_button("gtk-cancel", f"Stop “{job.title}”")
        self._button.connect("clicked", lambda _: self._press())
        line.pack_start(title, True, True, 0)
        line.pack_end(self._button, False, False, 0)
        self._bar = Gtk.ProgressBar(show_text=True, ellipsize=Pango.EllipsizeMode.END)
        self._says = Gtk.Label(xalign=0.0, wrap=True, max_width_chars=32, selectable=True, can_focus=False)
        self._says.set_no_show_all(True)
        for part in (line, self._bar, self._says):
            self.pack_start(part, False, False, 0)

    def draw(self) -> None:
        job, is_running = self._job, self._job.state == "running"
        self._bar.set_text(job.says)
        self._bar.set_fraction(min(1.0, max(0.0, job.fraction)))
        self._bar.set_visible(is_running)
        self._says.set_text(job.says)
        self._says.set_visible(not is_running and bool(job.says))
        if not is_running:
            self._button.set_tooltip_text("Take this away")
            self._button.get_image().set_from_icon_name("edit-delete", Gtk.IconSize.MENU)

    def _press(self) -> None:
        if self._job.state == "running":
            self._job.stop()
        else:
            self._dismiss(self._job)
