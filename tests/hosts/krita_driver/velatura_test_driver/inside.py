"""The part of a test that runs inside a host, in the host's own Python.

Standard library only.  Krita's driver is built on it; GIMP's Python console
imports it alone and calls `main` or `serve`.
"""

import json
import os
import sys
import threading
import time
import traceback


class Notes:
    """Where a script writes what it found out, in a window or without one."""

    def __init__(self, folder):
        self.folder = folder
        self.values, self.unhandled = {}, []
        with open(os.path.join(folder, "arguments.json")) as file:
            self.args = json.load(file)
        sys.excepthook = self._record  # Krita's own opens a modal dialog
        threading.excepthook = lambda e: self._record(e.exc_type, e.exc_value, e.exc_traceback)

    def _record(self, kind, error, trace):
        self.unhandled.append("".join(traceback.format_exception(kind, error, trace)))

    def note(self, **values):
        """Put JSON values into the result."""
        self.values.update(values)

    def step(self, text):
        """Say where the script is, for the report should it not get further."""
        with open(os.path.join(self.folder, "steps.txt"), "a") as file:
            file.write(f"{text}\n")

    def path(self, name):
        """Return the path of a file that the test finds again beside the result."""
        return os.path.join(self.folder, name)

    def load(self, function):
        """Return the function of that name of the test's script."""
        scope = {"__name__": "velatura_test_script", "__file__": self.args["script"]}
        with open(self.args["script"]) as file:
            exec(compile(file.read(), self.args["script"], "exec"), scope)
        return scope[function]

    def write(self, trace):
        """Write the result whole, or not at all."""
        result = {"ok": not trace and not self.unhandled, "values": self.values}
        result.update(trace=trace, unhandled=self.unhandled)
        with open(self.path("result.partial"), "w") as file:
            json.dump(result, file)
        os.replace(self.path("result.partial"), self.path("result.json"))


def main(folder):
    """Call the script's ``run(t)``; raise what it raises, so that the host fails too."""
    notes = Notes(folder)
    try:
        notes.load("run")(notes)
    except BaseException:
        notes.write(traceback.format_exc())
        raise
    notes.write("")


def serve(folder):
    """Run the functions ``run(t)`` a test sends one by one, until it sends an empty one.

    A window is live meanwhile, so a test can click, then look at the image.
    """
    number = 0
    while True:
        number += 1
        here = os.path.join(folder, f"call{number}")
        while not os.path.exists(os.path.join(here, "arguments.json")):
            if not os.path.isdir(folder):
                return
            time.sleep(0.05)
        notes = Notes(here)
        if not notes.args["script"]:
            notes.write("")
            return
        try:
            notes.load("run")(notes)
        except Exception:
            notes.write(traceback.format_exc())
        else:
            notes.write("")
