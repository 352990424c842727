"""A method with the id of one of Velatura's."""

from velatura.methods.base import Method, Parameters


class TakenParameters(Parameters):
    """None."""


class Taken(Method):
    id = "sdedit"
    version = 1
    title = "Another SDEdit"
    summary = "Is never run."
    source = "tests"
    Parameters = TakenParameters

    def run(self, inputs, params, context):
        raise AssertionError("this is not Velatura's own")
