"""Methods whose descriptions no client could read."""

from velatura.methods.base import Inputs, Method, Parameters


class NoParameters(Parameters):
    """None."""


class Readable:
    """What all of them share, and what is right about them."""

    version = 1
    title = "Unreadable"
    summary = "Is never run."
    source = "tests"
    Parameters = NoParameters

    def run(self, inputs, params, context):
        raise AssertionError("no client can ask for this")


def method(name, **wrong):
    """A method with one thing wrong."""
    return type("Unreadable", (Method,), {**vars(Readable), "id": name, **wrong})


VersionZero = method("version-zero", version=0)
VersionText = method("version-text", version="1")
NoTitle = method("no-title", title="")
NumberSummary = method("number-summary", summary=1)
TooMany = method("too-many", max_variations=100)
NumberDrafts = method("number-drafts", drafts=1)
TextPlace = method("text-place", place="first")
UnknownNeed = method("unknown-need", inputs=Inputs(prompt="maybe"))
