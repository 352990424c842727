"""Runs Python and Script-Fu inside the real GIMP, and its window on a virtual display."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from installer.hosts import Host, hosts_dir

from tests.hosts.display import Display, wait_for
from tests.hosts.rest import wait_for_rest
from tests.hosts.result import REPOSITORY, HostResult, HostRun, ScriptFailed, prepare
from tests.patience import patience

#: Holds inside.py, the same for both hosts.
INSIDE = Path(__file__).parent / "krita_driver/velatura_test_driver"
GIMPRC = ("(show-welcome-dialog no)", "(color-profile-policy keep)", "(check-updates no)")
#: So that GIMP at rest has nothing to draw.
STILL = "[Settings]\ngtk-cursor-blink=0\ngtk-enable-animations=0\n"


class GimpSession:
    """A GIMP with a profile of its own; a context manager.

    ``session.python(script)`` calls the script's ``run(t)`` in GIMP's Python,
    ``session.script_fu(expression)`` gives the expression's value, both without
    a window; ``session.window(picture)`` opens GIMP's window.
    """

    def __init__(
        self,
        host: Host,
        folder: Path,
        *,
        plugins: Iterable[Path] = (),
        gimprc: Iterable[str] = (),
        env: Mapping[str, str] | None = None,
        binds: Iterable[Path] = (),
        display: Display | None = None,
    ):
        """Prepare the profile in `folder`; `binds` are more directories that GIMP must see."""
        self.host, self.folder = host, Path(folder).resolve()
        self.home = self.folder / "home"
        self.profile = self.home / ".config/GIMP" / ".".join(host.version.split(".")[:2])
        self.env = {"GIMP3_DIRECTORY": str(self.profile), **(env or {})}
        self.binds = [(path, path) for path in (REPOSITORY, self.folder, *map(Path, binds))]
        command = Path(host.command)
        self.console = str(command.with_name(command.name.replace("gimp", "gimp-console", 1)))
        self._plugins, self._gimprc, self._display, self._runs = list(plugins), [*GIMPRC, *gimprc], display, 0
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> GimpSession:
        if not self.home.exists():
            shutil.copytree(warmed_home(self.host), self.home, symlinks=True)
        with (self.profile / "gimprc").open("a") as file:  # without the version there GIMP starts as if new
            file.write("\n".join(self._gimprc) + "\n")
        gtk = self.home / ".config/gtk-3.0/settings.ini"
        gtk.parent.mkdir(parents=True, exist_ok=True)
        gtk.write_text(STILL)
        for plugin in self._plugins:
            self.install(plugin)
        return self

    def __exit__(self, *exception) -> None:
        self._stack.close()

    @property
    def display(self) -> Display:
        """Return the display windows appear on, started when it is first needed."""
        if self._display is None:
            self._display = self._stack.enter_context(Display(self.host, window_manager=True))
        return self._display

    def install(self, plugin: Path) -> None:
        """Copy the plug-in folder ``NAME`` that holds ``NAME.py``, and make that executable."""
        place = self.profile / "plug-ins" / plugin.name
        shutil.copytree(plugin, place, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        (place / f"{plugin.name}.py").chmod(0o755)  # GIMP skips it silently otherwise

    def shortcut(self, action: str, keys: str) -> None:
        """Give an action a shortcut, such as ``<Primary><Shift>F12``, that xdotool can press."""
        with (self.profile / "shortcutsrc").open("a") as file:
            file.write(f'(action "{action}" "{keys}")\n')

    def start(self, script: str | Path, *pictures: Path, timeout: float = 180, **args: Any) -> HostRun:
        """Start the ``run(t)`` of `script` (a path, or its text) on `pictures`; `args` are its ``t.args``."""
        folder = prepare(self._next(), script, **args)
        return self._start([self.console, "-i"], folder, self._call("main", folder), pictures, timeout, {})

    def python(
        self, script: str | Path, *pictures: Path, timeout: float = 180, check: bool = True, **args: Any
    ) -> HostResult:
        """Run the ``run(t)`` of `script` to its end, without a window."""
        return self.start(script, *pictures, timeout=timeout, **args).wait(check)

    def script_fu(
        self, expression: str, *pictures: Path, timeout: float = 180, check: bool = True
    ) -> HostResult:
        """Evaluate a Script-Fu expression; the result's "value" is what it wrote."""
        folder = self._next()
        folder.mkdir()
        value = folder / "value.txt"
        batch = (
            f"(let* ((value {expression}) (port (open-output-file {json.dumps(str(value))})))"
            " (write value port) (close-output-port port))"
        )
        words = [self.console, "-i", "--batch-interpreter=plug-in-script-fu-eval"]
        result = self._start(words, folder, ["-b", batch], pictures, timeout, {}).wait(check=False)
        if value.exists():  # only an expression that did not fail comes to write it
            result.ok, result.values = True, {"value": value.read_text()}
        result.trace = "" if result.ok else f"Script-Fu failed at: {expression}"
        return result.check() if check else result

    @contextlib.contextmanager
    def window(self, *pictures: Path, title: str = r"GIMP$|GNU Image", timeout: float = 180):
        """Open GIMP's window on `pictures`; give a `GimpWindow`, and close GIMP after."""
        folder = self._next()
        folder.mkdir()
        words = [self.host.command, "--new-instance", "--no-splash"]
        run = self._start(words, folder, self._call("serve", folder), pictures, timeout, self.display.env)
        window = GimpWindow(self, run, folder)
        try:
            window.python("def run(t): pass")  # GIMP runs its batch once its window is there
            window.id = self.display.wait_window(title)
            self.display.fill(window.id)
            yield window
        except BaseException:
            self.display.screenshot(folder / "failure.png")
            run.stop()
            raise
        window.close()

    def _call(self, function: str, folder: Path) -> list[str]:
        code = f"import sys; sys.path.insert(0, {str(INSIDE)!r}); import inside; "
        code += f"inside.{function}({str(folder)!r})"
        return ["--batch-interpreter=python-fu-eval", "-b", code]

    def _next(self) -> Path:
        self._runs += 1
        return self.folder / f"run{self._runs}"

    def _start(
        self,
        words: list[str],
        folder: Path,
        batch: list[str],
        pictures: Iterable[Path],
        timeout: float,
        env: Mapping[str, str],
    ) -> HostRun:
        words = [*words, *batch, "--quit", *map(str, pictures)]
        env = {**self.env, **env}
        run = HostRun(self.host, words, folder, env=env, home=self.home, binds=self.binds, timeout=timeout)
        self._stack.callback(run.stop)
        return run


class GimpWindow:
    """GIMP's open window: press keys, look at it, and run Python in it meanwhile."""

    def __init__(self, session: GimpSession, run: HostRun, folder: Path):
        self.session, self.run, self.folder, self.id = session, run, folder, ""
        self.display = session.display
        self._calls = 0

    def python(self, script: str | Path, timeout: float = 120, check: bool = True, **args: Any) -> HostResult:
        """Call the ``run(t)`` of `script` in the GIMP that is open."""
        self._calls += 1
        folder = prepare(self.folder / f"call{self._calls}", script, **args)

        def answered() -> bool:
            if self.run.process.poll() is not None:
                raise ScriptFailed("GIMP has ended.\n" + self.run.report())
            return (folder / "result.json").exists()

        wait_for(answered, timeout, f"GIMP to run call {self._calls}", 0.05)
        result = HostResult.read(folder, 0, "")
        return result.check() if check else result

    def keys(self, *keys: str, window: str = "") -> None:
        """Press keys such as ``ctrl+z`` in GIMP's window, or in another."""
        self.display.xdotool("windowactivate", "--sync", window or self.id)
        self.display.xdotool("key", "--clearmodifiers", *keys)

    def wait_window(self, title: str, timeout: float = 30) -> str:
        """Wait for a dialog whose title matches the regular expression `title`; return its id."""
        return self.display.wait_window(title, timeout)

    def rest(self, *others: int) -> None:
        """Wait until GIMP, its plug-ins, its display and the processes `others` have nothing left to do."""
        wait_for_rest(self.run.process.pid, *self.display.pids, *others)

    def screenshot(self, name: str = "window.png") -> Path:
        """Save what the display shows as a PNG."""
        return self.display.screenshot(self.folder / name)

    def close(self) -> None:
        """Leave GIMP, whatever is unsaved."""
        self._calls += 1
        folder = self.folder / f"call{self._calls}"
        folder.mkdir()
        (folder / "arguments.json").write_text('{"script": ""}')
        try:
            self.run.process.wait(patience(15))
        finally:
            self.run.stop()


def warmed_home(host: Host) -> Path:
    """Return a HOME in which GIMP has started once, made on first use.

    The first start asks all its plug-ins what they offer and lists all fonts;
    a copy of this HOME, whatever its path, saves a session those 6 s.
    """
    cache = hosts_dir().parent
    cache.mkdir(parents=True, exist_ok=True)
    home = cache / f"gimp-home-{host.version}"
    with (cache / "gimp-home.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if home.exists():
            return home
        with tempfile.TemporaryDirectory(prefix="velatura-gimp-") as folder:
            session = GimpSession(host, Path(folder))
            session.profile.mkdir(parents=True)
            with session:
                session.python("def run(t): pass", timeout=180)
            partial = home.with_name(home.name + ".partial")
            shutil.rmtree(partial, ignore_errors=True)
            shutil.move(session.home, partial)
            os.rename(partial, home)
    return home
