"""What `--set` and `--dials` make of what is typed."""

import json

import pytest

from tests.krita import schemas
from velatura.cli.dials import named_or_shared
from velatura.cli.inputs import parse_item
from velatura.cli.values import parse_adapter, parse_values
from velatura_protocol.catalogue import MethodInfo
from velatura_protocol.errors import VelaturaError
from velatura_protocol.presets import Presets, export_to

LEAD, WEIGH = (MethodInfo.from_wire(described) for described in (schemas.LEAD, schemas.WEIGH))
HAIR = {"name": "", "less": "short hair", "more": "long hair", "strength": 2.0}


def test_words_are_listed_with_commas():
    assert parse_values(WEIGH, ["of_words=red, hat"])["of_words"] == [{"text": "red"}, {"text": "hat"}]


def test_dials_are_json():
    assert parse_values(LEAD, [f"dials={json.dumps([HAIR])}"]) == {"dials": [HAIR]}


def test_dials_are_of_a_file_that_somebody_shared_or_of_a_name(tmp_path):
    export_to(tmp_path / "hair.json", "Hair", [HAIR])
    assert named_or_shared(tmp_path / "state", str(tmp_path / "hair.json"), LEAD.dials) == [HAIR]
    Presets(tmp_path / "state").save("Hair", [HAIR])
    assert named_or_shared(tmp_path / "state", "hair", LEAD.dials) == [HAIR]


def test_neither_a_file_nor_a_name_is_said_in_one_sentence(tmp_path):
    for text, known in (("hair.json", "; no names"), ("~nobody-at-all/x", ", or one of these names: Beard")):
        with pytest.raises(VelaturaError) as caught:
            named_or_shared(tmp_path, text, LEAD.dials)
        said = caught.value.message
        assert said.startswith(f"There is no file '{text}', and no dials are saved as '{text}'; give")
        assert known in said
        Presets(tmp_path).save("Beard", [HAIR])


@pytest.mark.parametrize("text", ["", "{}", '{"velatura-dials": 1, "name": "x", "dials": [{"strength": 9}]}'])
def test_a_file_that_is_no_use_is_refused_in_a_sentence(tmp_path, text):
    (tmp_path / "hair.json").write_text(text)
    for name in ("hair.json", "none.json"):
        with pytest.raises(VelaturaError) as caught:
            named_or_shared(tmp_path / "state", str(tmp_path / name), LEAD.dials)
        assert caught.value.message.endswith(".")


def test_lists_that_are_empty_say_how_they_get_entries():
    with pytest.raises(VelaturaError, match=r"`velatura models find`; if it takes none, choose a method"):
        parse_adapter(LEAD, "film")
    with pytest.raises(VelaturaError, match=r"names no list .* once `velatura models find` has found a file"):
        parse_item(LEAD, "guides:file=canny")
    with pytest.raises(VelaturaError, match=r"names no list [^`]*$"):
        parse_item(LEAD, "nothing:file=canny")
