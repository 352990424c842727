"""kritarc: one switch on and off, the rest byte for byte as it was."""

import configparser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from velatura.install.krita_config import disable, enable, is_enabled

LINE = st.sampled_from(
    [
        b"",
        b"  ",
        b"[python]",
        b"[other]",
        b"[python][sub]",
        b"# [python]",
        b"a=1",
        b"\xff=\xfe",
        b"enable_other=true",
        b"enable_velatura_krita_too=true",
        b"enable_velatura_krita=true",
        b"enable_velatura_krita=false",
        b"enable_velatura_krita = TRUE",
    ]
)
FILES = st.builds(
    lambda lines, end, last: end.join(lines) + (end if last and lines else b""),
    st.lists(LINE, max_size=8),
    st.sampled_from([b"\n", b"\r\n"]),
    st.booleans(),
)


@given(FILES)
def test_switching_on_and_off_restores_every_byte(content):
    switched, undo = enable(content)
    assert is_enabled(switched)
    assert disable(switched, undo) == content


@given(FILES)
def test_only_the_switch_changes(content):
    switched, _ = enable(content)
    rest = [line for line in switched.splitlines() if not line.startswith(b"enable_velatura_krita")]
    before = [line for line in content.splitlines() if not line.startswith(b"enable_velatura_krita")]
    assert [line for line in rest if line.strip() and line != b"[python]"] == [
        line for line in before if line.strip() and line != b"[python]"
    ]


@given(FILES)
def test_switching_on_twice_is_switching_on_once(content):
    once, _ = enable(content)
    assert enable(once)[0] == once


@pytest.mark.parametrize(
    "before", [b"", b"[python]\n", b"[a]\nx=1\n\n[python]\nenable_x=true\n[z]\ny=2\n", b"top=1"]
)
def test_an_independent_reader_agrees(before):
    switched, _ = enable(before)
    reader = configparser.ConfigParser(strict=False)
    reader.read_string("[top]\n" + switched.decode())
    assert reader["python"]["enable_velatura_krita"] == "true"


def test_krita_may_rewrite_the_file_in_between():
    switched, undo = enable(b"[a]\nx=1\n")
    rewritten = b"[a]\nx=2\n\n[python]\nenable_other=true\nenable_velatura_krita=true\n\n[z]\n"
    assert is_enabled(switched)
    assert disable(rewritten, undo) == b"[a]\nx=2\n\n[python]\nenable_other=true\n\n[z]\n"
    assert disable(b"[a]\n", undo) == b"[a]\n"


def test_a_switch_that_was_off_is_off_again():
    switched, undo = enable(b"[python]\nenable_velatura_krita=false\n")
    assert switched == b"[python]\nenable_velatura_krita=true\n"
    assert disable(switched, undo) == b"[python]\nenable_velatura_krita=false\n"
