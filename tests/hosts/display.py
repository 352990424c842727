"""A virtual display of a test's own: started on a free number, looked at, torn down."""

from __future__ import annotations

import selectors
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from installer.hosts import Host, HostError, stop_process
from PIL import Image

from tests.patience import patience

T = TypeVar("T")
XWD_HEADER = struct.Struct(">25I")


def wait_for(condition: Callable[[], T], timeout: float, what: str, pause: float = 0.1) -> T:
    """Return the first true value of `condition`; raise TimeoutError after patience(timeout) seconds."""
    end = time.monotonic() + patience(timeout)
    while not (value := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"Waited {patience(timeout):g} s in vain for {what}.")
        time.sleep(pause)
    return value


def reserve_number() -> tuple[socket.socket, int]:
    """Return a display number no one else uses, and what reserves it until it is closed.

    A name in Linux's abstract socket space: the kernel frees it when its
    process ends, however that ends, and it leaves no file.
    """
    for number in range(100, 1000):
        reservation = socket.socket(socket.AF_UNIX)
        try:
            reservation.bind(f"\0velatura-display-{number}")
        except OSError:
            reservation.close()
            continue
        with socket.socket(socket.AF_UNIX) as client:
            if client.connect_ex(f"/tmp/.X11-unix/X{number}") != 0:
                return reservation, number
        reservation.close()  # someone else's server answers there
    raise HostError("No display number is free.")


class Display:
    """An X server without a screen; a context manager.

    Its number is reserved here: servers in process namespaces of their own take
    each other's lock files for stale ones and would take each other's numbers.
    """

    def __init__(self, host: Host, size: tuple[int, int] = (1600, 1000), window_manager: bool = False):
        self.host, self.size, self.window_manager = host, size, window_manager
        self.name = ""
        self._processes: list[subprocess.Popen] = []
        self._reservation: socket.socket | None = None

    @property
    def env(self) -> dict[str, str]:
        """Return what a program needs in its environment to appear here."""
        return {"DISPLAY": self.name}

    @property
    def pids(self) -> list[int]:
        """Return the processes that carry keys to windows."""
        return [process.pid for process in self._processes]

    def __enter__(self) -> Display:
        if not self.host.has("Xvfb"):
            raise HostError("Xvfb is not there, so nothing with a window can be tested.")
        self._folder = tempfile.TemporaryDirectory(prefix="velatura-display-")
        self.folder = Path(self._folder.name)
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self) -> None:
        self._reservation, number = reserve_number()
        screen = ["-screen", "0", "{}x{}x24".format(*self.size)]
        told = ["-displayfd", "1"]  # it writes its number there once it is ready
        # Without -noreset it starts over when its last client leaves, and refuses the next meanwhile.
        server = self.host.popen(
            ["Xvfb", f":{number}", *screen, *told, "-noreset", "-nolisten", "tcp", "-fbdir", self.folder],
            home=self.folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._processes.append(server)
        with selectors.DefaultSelector() as selector:
            selector.register(server.stdout, selectors.EVENT_READ)
            ready = selector.select(30) and server.stdout.readline().strip()
        if not ready:
            raise HostError("The virtual display did not start within 30 s.")
        self.name = f":{number}"
        if self.window_manager:
            manager = self.host.popen(
                ["openbox"], env=self.env, home=self.folder,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            self._processes.append(manager)

    def __exit__(self, *exception) -> None:
        for process in reversed(self._processes):
            stop_process(process)
            if process.stdout:
                process.stdout.close()
        self._processes.clear()
        if self._reservation:
            self._reservation.close()
        self._folder.cleanup()

    def picture(self) -> Image.Image:
        """Return what the display shows now, read from the server's own frame buffer."""
        data = (self.folder / "Xvfb_screen0").read_bytes()
        header = XWD_HEADER.unpack_from(data)
        start, width, height, stride, colours = header[0], header[4], header[5], header[12], header[19]
        pixels = data[start + 12 * colours :]
        return Image.frombuffer("RGB", (width, height), pixels, "raw", "BGRX", stride, 1)

    def screenshot(self, path: Path) -> Path:
        """Save what the display shows now as a PNG."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.picture().save(path)
        return path

    def xdotool(self, *words: object, timeout: float = 20) -> str:
        """Run xdotool here and return what it says; empty when it finds nothing."""
        command = ["xdotool", *map(str, words)]
        ended = self.host.run(command, env=self.env, home=self.folder, timeout=patience(timeout))
        return ended.stdout.strip() if ended.returncode == 0 else ""

    def windows(self, title: str) -> list[str]:
        """Return the visible windows whose title matches the regular expression `title`."""
        return self.xdotool("search", "--onlyvisible", "--name", title).split()

    def wait_window(self, title: str, timeout: float = 60) -> str:
        """Wait for a visible window with such a title; return its id."""
        found = wait_for(lambda: self.windows(title), timeout, f"a window named {title!r}", 0.3)
        return found[-1]

    def fill(self, window: str) -> None:
        """Give a window the whole display, but for the manager's title bar."""
        self.xdotool("windowmove", "--sync", window, 0, 0)
        self.xdotool("windowsize", window, self.size[0], self.size[1] - 24)


def colours(picture: Image.Image) -> int:
    """Return how many different colours a picture has, up to 4096: a blank one has one."""
    found = picture.convert("RGB").getcolors(4096)
    return len(found) if found else 4096
