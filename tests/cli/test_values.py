"""What `--set` makes of what is typed."""

import json

import pytest

from tests.krita.schemas import LEAD, WEIGH
from velatura.cli.values import parse_values
from velatura_protocol.errors import VelaturaError
from velatura_protocol.presets import export_to

HAIR = {"name": "", "less": "short hair", "more": "long hair", "strength": 2.0}


def test_words_are_listed_with_commas():
    assert parse_values(WEIGH, ["of_words=red, hat"])["of_words"] == [{"text": "red"}, {"text": "hat"}]


def test_dials_are_json_or_a_file_that_somebody_shared(tmp_path):
    export_to(tmp_path / "hair.json", "Hair", [HAIR])
    assert parse_values(LEAD, [f"dials={tmp_path / 'hair.json'}"]) == {"dials": [HAIR]}
    assert parse_values(LEAD, [f"dials={json.dumps([HAIR])}"]) == {"dials": [HAIR]}


@pytest.mark.parametrize("text", ["", "{}", '{"velatura-dials": 1, "name": "x", "dials": [{"strength": 9}]}'])
def test_a_file_that_is_no_use_is_refused_in_a_sentence(tmp_path, text):
    (tmp_path / "hair.json").write_text(text)
    for name in ("hair.json", "none.json"):
        with pytest.raises(VelaturaError) as caught:
            parse_values(LEAD, [f"dials={tmp_path / name}"])
        assert caught.value.message.endswith(".")
