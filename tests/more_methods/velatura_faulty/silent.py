"""A command, a kind of model and a captioner, none of which says what it is."""

SUMMARY = ""
KIND = "silent"
TITLE = ""
reads = "no function"


def configure(parser):
    raise AssertionError("it has no line in the help")


def run(options):
    raise AssertionError("it has no line in the help")


def recognise(path):
    raise AssertionError("its kind has no title")


def load(*arguments):
    raise AssertionError("it reads nothing")
