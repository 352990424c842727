"""Evidence of a layer's pixels."""

import pytest

from velatura_protocol.evidence import Evidence, hasher


def test_the_same_pixels_are_the_same_wherever_they_lie():
    hashed = hasher("BGRA u8")
    for band in (b"ab", b"cd"):
        hashed.update(band)
    here = Evidence(hashed.hexdigest(), (1, 2, 3, 4))
    assert here.is_same(Evidence(here.digest, (7, 8, 3, 4)))
    assert not here.is_same(Evidence(here.digest, (1, 2, 4, 3))) and not here.is_same(None)
    assert hasher("BGRA u8").hexdigest() != hasher("RGBA u8").hexdigest()
    assert Evidence.from_json(here.to_json()) == here


@pytest.mark.parametrize(
    "value", [None, [], {}, {"digest": "a", "rect": [1, 2, 3]}, {"digest": 1, "rect": [1] * 4}]
)
def test_what_is_no_evidence(value):
    assert Evidence.from_json(value) is None
