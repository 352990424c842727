"""Numbers as a person reads and moves them."""

import pytest

from velatura_protocol.amounts import amount, decimals, step_of
from velatura_protocol.schema import Field


@pytest.mark.parametrize(
    ("value", "text"),
    [(60.0, "60"), (2, "2"), (1.5, "1.5"), (-0.25, "−0.25"), (-0.001, "0"), (1e7, "10000000")],
)
def test_an_amount_has_no_more_digits_than_it_needs(value, text):
    assert amount(value) == text


@pytest.mark.parametrize(
    ("step", "places"), [(1.0, 0), (5.0, 0), (0.5, 1), (0.05, 2), (0.025, 3), (1 / 3, 2), (1 / 300, 4)]
)
def test_decimals_show_every_multiple_of_a_step(step, places):
    assert decimals(step) == places


def test_a_step_where_the_schema_names_none():
    def field(kind, low, high, step=None):
        return Field("a", kind, "A", "", low, minimum=low, maximum=high, step=step)

    assert step_of(field("number", 0.0, 2.0, 0.5)) == 0.5
    assert step_of(field("integer", 0, 7)) == 1
    assert step_of(field("number", -2.0, 4.0)) == 0.03
    assert step_of(field("number", 1.0, 1.0)) == 1.0
    assert step_of(field("number", 1.0, 1e6)) == 5000.0  # no 4999.995, for which a field is too wide
