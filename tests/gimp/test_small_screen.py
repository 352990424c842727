"""The dialog with everything open on a screen of 1366 by 768 pixels."""

from __future__ import annotations

import re

import pytest
from PIL import Image

from tests.daemon_fixture import wait_for
from tests.gimp.conftest import install
from tests.hosts.display import Display
from tests.hosts.gimp import GimpSession

pytestmark = [pytest.mark.gimp, pytest.mark.timeout(300)]

SIZE = 1366, 768
TITLE_BAR = 24
CAPTION = "a photo of a smiling man with tan skin, short brown hair and glasses in a garden with many flowers"


@pytest.fixture(scope="module")
def shapes(gimp_host, knowing, tmp_path_factory):
    """The dialog's width and height: as it opens, with a prompt, with all that is advanced, without again."""
    folder = tmp_path_factory.mktemp("small")
    picture = folder / "picture.png"
    Image.radial_gradient("L").convert("RGB").resize((128, 96)).save(picture)
    with (
        Display(gimp_host, SIZE, window_manager=True) as display,
        GimpSession(gimp_host, folder / "gimp", binds=[knowing.state_dir], display=display) as session,
    ):
        install(session, knowing.state_dir, offered_by=knowing)
        session.shortcut("velatura-prompt-to-prompt", "<Primary><Shift>F12")
        with session.window(picture) as window:
            window.keys("ctrl+shift+F12")
            dialog = window.wait_window("Change words")

            def size():
                window.rest(knowing.pid)
                said = display.xdotool("getwindowgeometry", dialog)
                return [int(number) for number in re.search(r"Geometry: (\d+)x(\d+)", said).groups()]

            def settled():
                return wait_for(lambda: (seen := size()) == size() and seen, 60, "it grows and shrinks")

            found = {"opened": settled()}
            window.keys("Tab", window=dialog)
            display.xdotool("type", "--delay", 20, CAPTION)
            found["typed"] = settled()
            window.keys("alt+v", window=dialog)
            wait_for(lambda: size()[1] > found["typed"][1], 60, "it stays as low as it was")
            found["advanced"] = settled()
            window.screenshot("advanced.png")
            window.keys("alt+v", window=dialog)
            wait_for(lambda: size()[1] < found["advanced"][1], 60, "it stays as high as it was")
            found["closed"] = settled()
            window.keys("Escape", window=dialog)
            yield found


@pytest.mark.parametrize("state", ["opened", "typed", "advanced", "closed"])
def test_the_whole_dialog_and_so_its_buttons_are_on_the_screen(shapes, state):
    """The window manager moves it there, where it fits."""
    width, height = shapes[state]
    assert width <= SIZE[0]
    assert height + TITLE_BAR <= SIZE[1]


def test_it_is_as_high_as_what_it_holds(shapes):
    assert shapes["opened"][1] <= shapes["typed"][1] < shapes["advanced"][1]
    assert shapes["closed"][1] < shapes["advanced"][1]
