"""Runs test scripts inside the real Krita, with a window or without one."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from installer.hosts import Host, hosts_dir

from tests.hosts.display import Display
from tests.hosts.result import REPOSITORY, HostResult, HostRun, prepare
from tests.patience import PATIENCE, patience

DRIVER = Path(__file__).with_name("krita_driver")
DRIVER_NAME = "velatura_test_driver"


class KritaSession:
    """A Krita with a HOME of its own; a context manager.

    ``session.window(script)`` runs the script's generator ``drive(t)`` in a real
    Krita on a virtual display, ``session.batch(script)`` its function ``run(t)``
    in Krita's runner, where there is neither a window nor an event loop.  Both
    may be called again and again, one after the other; the HOME stays.
    """

    def __init__(
        self,
        host: Host,
        folder: Path,
        *,
        plugins: Iterable[Path] = (),
        env: Mapping[str, str] | None = None,
        binds: Iterable[Path] = (),
        display: Display | None = None,
    ):
        """Prepare HOME in `folder`; `binds` are more directories that Krita must see."""
        self.host, self.folder, self.env = host, Path(folder).resolve(), dict(env or {})
        self.binds = [(path, path) for path in (REPOSITORY, self.folder, *map(Path, binds))]
        self.home = self.folder / "home"
        self.resources = self.home / ".local/share/krita"
        self.kritarc = self.home / ".config/kritarc"
        self._plugins, self._display, self._runs = list(plugins), display, 0
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> KritaSession:
        if not self.home.exists():
            shutil.copytree(warmed_home(self.host), self.home, symlinks=True)
        for plugin in (DRIVER, *self._plugins):
            self.install(plugin)
        return self

    def __exit__(self, *exception) -> None:
        self._stack.close()
        shutil.rmtree(self.home, ignore_errors=True)  # 81 MB that no one looks at again

    @property
    def display(self) -> Display:
        """Return the display windows appear on, started when it is first needed."""
        if self._display is None:
            self._display = self._stack.enter_context(Display(self.host))
        return self._display

    def install(self, plugin: Path) -> None:
        """Copy a folder that holds ``NAME.desktop``, ``NAME/`` and perhaps ``NAME.action``, and enable each
        such plugin."""
        place, actions = self.resources / "pykrita", self.resources / "actions"
        ignore = shutil.ignore_patterns("__pycache__", "*.action")
        shutil.copytree(plugin, place, dirs_exist_ok=True, ignore=ignore)
        for entry in plugin.glob("*.action"):
            actions.mkdir(exist_ok=True)
            shutil.copy(entry, actions)
        for entry in plugin.glob("*.desktop"):
            self.enable(entry.stem)

    def enable(self, name: str) -> None:
        """Enable an installed plugin, leaving all else in kritarc as it is."""
        self.kritarc.parent.mkdir(parents=True, exist_ok=True)
        lines = self.kritarc.read_text().splitlines() if self.kritarc.exists() else []
        lines = [line for line in lines if not line.startswith(f"enable_{name}=")]
        if "[python]" not in lines:
            lines.append("[python]")
        lines.insert(lines.index("[python]") + 1, f"enable_{name}=true")
        self.kritarc.write_text("\n".join(lines) + "\n")

    def start(self, script: str | Path, *, timeout: float = 180, **args: Any) -> HostRun:
        """Start `script` (a path, or its text) in Krita's window; `args` are its ``t.args``."""
        words = [self.host.command, "--nosplash"]
        return self._start(words, script, args, self.display.env, timeout)

    def window(
        self, script: str | Path, *, timeout: float = 180, check: bool = True, **args: Any
    ) -> HostResult:
        """Run `script` in Krita's window to its end."""
        return self.start(script, timeout=timeout, **args).wait(check)

    def batch(
        self, script: str | Path, *, timeout: float = 120, check: bool = True, **args: Any
    ) -> HostResult:
        """Run `script` in Krita's runner, without a window."""
        place = self.home / ".local/share/kritarunner/pykrita"
        shutil.copytree(DRIVER / DRIVER_NAME, place / DRIVER_NAME, dirs_exist_ok=True)
        env = {"QT_QPA_PLATFORM": "offscreen", "VELATURA_DRIVER_NO_WINDOW": "1"}
        runner = str(Path(self.host.command).with_name("kritarunner"))
        words = [runner, "-s", DRIVER_NAME, "-f", "run_without_window"]
        return self._start(words, script, args, env, timeout).wait(check)

    def _start(
        self,
        words: list[str],
        script: str | Path,
        args: dict[str, Any],
        env: Mapping[str, str],
        timeout: float,
    ) -> HostRun:
        self._runs += 1
        folder = self.folder / f"run{self._runs}"
        args["patience"] = PATIENCE
        args["timeout"] = patience(max(timeout - 20, timeout / 2))  # the rest: Krita's start and a report
        prepare(folder, script, path=[str(self.resources / "pykrita")], **args)
        env = {**self.env, **env, "VELATURA_DRIVER_FOLDER": str(folder)}
        run = HostRun(self.host, words, folder, env=env, home=self.home, binds=self.binds, timeout=timeout)
        self._stack.callback(run.stop)
        return run


def warmed_home(host: Host) -> Path:
    """Return a HOME in which Krita has started once, made on first use.

    The first start fills a database of brushes and takes 20 s; every session
    begins with a copy of this one instead.  Krita's runner has one of its own.
    """
    cache = hosts_dir().parent
    cache.mkdir(parents=True, exist_ok=True)
    home = cache / f"krita-home-{host.version}"
    with (cache / "krita-home.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if home.exists():
            return home
        with tempfile.TemporaryDirectory(prefix="velatura-krita-") as folder:
            session = KritaSession(host, Path(folder))
            session.home.mkdir()
            with session:
                session.window("def drive(t):\n    yield 1\n", timeout=240)
                if host.has("kritarunner"):
                    session.batch("def run(t):\n    pass\n", timeout=120)
                partial = home.with_name(home.name + ".partial")
                shutil.rmtree(partial, ignore_errors=True)
                shutil.move(session.home, partial)
                os.rename(partial, home)
    return home
