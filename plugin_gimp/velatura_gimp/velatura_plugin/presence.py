"""One Velatura window for each picture: a second start brings the open one to the front.

GIMP tells a plug-in nothing of its other processes, so they speak by a parasite of the picture.
"""

from __future__ import annotations

from gi.repository import Gimp, GLib

PRESENT = "velatura-window-present"  # the parasite: the window of this picture comes to the front
LOOK = 400  # milliseconds between two looks of the open window
ANSWER = 1500  # milliseconds that it has for an answer


def is_open(image: Gimp.Image) -> bool:
    """Whether the picture has a window; it comes to the front."""
    image.attach_parasite(Gimp.Parasite.new(PRESENT, 0, b"1"))
    loop, waited = GLib.MainLoop(), [0]

    def look() -> bool:
        waited[0] += LOOK // 4
        if image.get_parasite(PRESENT) is not None and waited[0] < ANSWER:
            return True
        loop.quit()
        return False

    GLib.timeout_add(LOOK // 4, look)
    loop.run()
    return not is_wanted(image)


def is_wanted(image: Gimp.Image) -> bool:
    """Whether the picture's window was asked to come to the front; asked once."""
    if image.get_parasite(PRESENT) is None:
        return False
    image.detach_parasite(PRESENT)
    return True
