"""SPEC.md is what the code does: its examples, its table of codes, its limits."""

import json
import re
from pathlib import Path

import pytest

from velatura_protocol.candidates import of
from velatura_protocol.catalogue import MethodInfo
from velatura_protocol.endpoints import proof
from velatura_protocol.errors import CODES, VelaturaError
from velatura_protocol.inputs import MAX_INPUTS, OWN, rasters_of
from velatura_protocol.kinds import RASTERS, RESULTS
from velatura_protocol.messages import MAX_DEPTH, MAX_JSON, PROTOCOL, check_protocol, decode, encode
from velatura_protocol.paths import FOR_OLDER, Connection, read_connection, write_connection
from velatura_protocol.rasters import CHANNELS, DTYPES, MAX_SIDE, Raster
from velatura_protocol.requests import MAX_PROMPT, Request
from velatura_protocol.results import MAX_TEXT, best_because, best_first, texts
from velatura_protocol.schema import MAX_ITEMS, MAX_LENGTH, complete, fields_from_schema
from velatura_protocol.words import WORD

SPEC = (Path(__file__).parents[2] / "protocol" / "SPEC.md").read_text("utf-8")
STATES = {"uploading", "queued", "started", "done", "failed", "cancelled"}
REQUESTS = {
    "hello", "ping", "methods", "submit", "get", "ack", "cancel", "watch", "list", "unload", "shutdown",
    "put", "chunk", "fetch", "challenge", "vocabulary", "forget",
}  # fmt: skip


def examples(kind: str) -> list:
    found = re.findall(rf"```json {kind}\n(.*?)```", SPEC, re.DOTALL)
    assert found
    return [json.loads(text) for text in found]


def check_job(message: dict) -> None:
    assert message["state"] in STATES
    assert texts(message.get("result", {})) == message.get("result", {}).get("texts", [])
    assert "candidates" not in message or message["state"] != "done"
    assert len(of(message)) == len(message.get("candidates", [])) or message["state"] == "done"
    for layer in [*message.get("candidates", []), *message.get("result", {}).get("layers", [])]:
        raster = Raster.from_wire(layer["raster"])
        assert raster.to_wire() == layer["raster"]
        assert layer.get("kind") in (None, "mask")
        if "kind" in layer:
            assert (raster.channels, raster.dtype, raster.profile) == ("A", "u8", "")
        if "rank" in layer:
            assert all(0.0 <= value <= 1.0 for value in (layer["score"], *layer["scores"].values()))
            assert layer.get("why", "") in layer["title"]


def check_candidates(message: dict) -> None:
    (candidate,) = of(message)
    assert candidate.index < message["of"] and candidate.recipe
    assert candidate.thumbnail is not None and candidate.score is not None


def check_methods(message: dict) -> None:
    for method in message.get("methods", []):
        properties = method["parameters"]["properties"]
        assert [field.key for field in fields_from_schema(method["parameters"])] == list(properties)
        assert complete(method["parameters"], {}).keys() == properties.keys()
        assert method["result"] in RESULTS
    described = {method["id"] for method in message.get("methods", [])}
    assert all(described.issuperset(model["lacks"]) for model in message.get("models", []))


CHECKS = {
    "error": lambda message: VelaturaError.from_wire(message).code == message["code"] or pytest.fail("code"),
    "welcome": lambda message: check_protocol(message["protocol"]),
    "hello": lambda message: check_protocol(message["protocol"], peer_is="client"),
    "submit": lambda message: Request.from_wire(message["request"]),
    "job": check_job,
    "candidate": check_candidates,
    "methods": check_methods,
}


@pytest.mark.parametrize("message", examples("message"), ids=lambda message: message["type"])
def test_examples_are_messages(message):
    assert decode(encode(message))[0] == message
    CHECKS.get(message["type"], lambda _: None)(message)


def test_a_ranked_result_has_an_example():
    jobs = [message for message in examples("message") if message["type"] == "job" and "result" in message]
    ranked = [best_first(job["result"]["layers"]) for job in jobs if len(job["result"]["layers"]) > 1]
    assert [[layer["rank"] for layer in layers] for layers in ranked] == [[0, 1]]
    assert all(f"`{part}` (" in section(4) for part in ranked[0][0]["scores"])
    assert ranked[0][0]["score"] > ranked[0][1]["score"]
    assert best_because(ranked[0]) == "Variation 2 lies on top: closest to the prompt."


def test_a_method_that_says_something_has_an_example():
    messages = examples("message")
    (method,) = [m for message in messages for m in message.get("methods", []) if m["result"] == "text"]
    assert method["inputs"] == {"source": "required", "mask": "none", "prompt": "none"}
    models = [model for m in messages if "digest" in m for model in m.get("models", [])]
    assert [method["id"]] in [model["lacks"] for model in models]
    (result,) = [m["result"] for m in messages if m["type"] == "job" and "texts" in m.get("result", {})]
    assert len(result["texts"]) > 1 and result["layers"] == []
    assert f"a line of 1 … {MAX_TEXT:,} characters" in section(4)


def test_the_marks_of_words_have_an_example():
    described = [method for m in examples("message") for method in m.get("methods", [])]
    forms = [field for method in described for field in fields_from_schema(method["parameters"])]
    (group,) = [field for field in forms if field.words == "prompt"]
    assert [field.key for field in group.fields[:2]] == ["text", "which"]
    assert [field.key for field in forms if field.source_prompt] == ["source_prompt"]
    assert f"`{WORD.pattern}`" in section(6)


def test_the_mark_of_dials_has_an_example():
    described = [method for m in examples("message") for method in m.get("methods", [])]
    forms = [field for method in described for field in fields_from_schema(method["parameters"])]
    (group,) = [field for field in forms if field.dials]
    assert {field.key: field.kind for field in group.fields} == {
        "name": "string",
        "less": "string",
        "more": "string",
        "strength": "number",
    }


def test_the_mark_of_seeds_to_stay_close_to_has_an_example():
    described = [MethodInfo.from_wire(method) for m in examples("message") for method in m.get("methods", [])]
    (method,) = [method for method in described if method is not None and method.around is not None]
    assert method.around not in method.form, "a client does not show it"
    assert method.complete({"around": [{"seed": 3, "distance": 0.5}]})


def test_further_rasters_have_an_example():
    described = [method for m in examples("message") for method in m.get("methods", [])]
    (method,) = [m for m in described if rasters_of(m)]
    assert [(r.name, r.kind, r.need) for r in rasters_of(method)] == [
        ("segments", "labels", "required"),
        ("style", "reference", "optional"),
    ]
    own = {raster["name"]: raster["need"] for raster in method["rasters"] if raster["name"] in OWN}
    assert own == {name: method["inputs"][name] for name in OWN}
    (group,) = fields_from_schema(method["parameters"])
    assert [(field.key, field.raster) for field in group.fields] == [("text", ""), ("where", "mask")]
    assert re.findall(r"^\| `([a-z]+)` \| a layer", section(4), re.MULTILINE) == list(RASTERS)
    assert f"more than {MAX_INPUTS} are `too-large`" in section(5)


def test_every_request_has_an_example():
    """A request has `seq`, an answer `re`, an event neither."""
    messages = examples("message")
    assert {message["type"] for message in messages if "seq" in message} == REQUESTS
    assert not [message for message in messages if "seq" in message and "re" in message]


def test_the_connection_file(tmp_path):
    (example,) = examples("connection")
    connection = Connection(**{key: value for key, value in example.items() if key not in FOR_OLDER})
    write_connection(tmp_path, connection)
    assert json.loads((tmp_path / "connection.json").read_text("utf-8")) == example
    assert read_connection(tmp_path) == connection


def test_the_proofs():
    """The example is right, so that whoever writes another client can compare."""
    (example,) = examples("connection")
    (challenge,), (answer,) = (
        [message for message in examples("message") if message["type"] == kind]
        for kind in ("challenge", "proof")
    )
    assert answer["proof"] == proof(example["token"], example["control"], challenge["nonce"])
    for text in ('MAC("velatura client ADDRESS")', 'MAC("velatura daemon ADDRESS NONCE")'):
        assert text in section(1)


def test_an_older_client_is_told_to_update():
    """What it does with the file: it checks the ports, then the version, before it connects."""
    (example,) = examples("connection")
    assert all(0 < example[port] < 65536 for port in ("control_port", "blob_port"))
    assert example["host"].startswith("127.")
    with pytest.raises(VelaturaError, match=r"speaks 1\.3: update the plugin") as raised:
        check_protocol(example["protocol"], own="1.3")
    assert raised.value.code == "protocol-version"


def section(number: int) -> str:
    return SPEC.split(f"\n## {number}. ")[1].split("\n## ")[0]


def test_the_codes():
    assert set(re.findall(r"^\| `([a-z-]+)` \|", section(3), re.MULTILINE)) == CODES


def test_the_forms():
    """Each row of the table is exercised in test_schema."""
    from .test_schema import FORMS

    assert re.findall(r"^\| ([a-z]+) \| `type", section(6), re.MULTILINE) == [*FORMS, "raster"]


def test_the_limits():
    assert f"version {PROTOCOL}" in SPEC.splitlines()[0]
    assert f"at most {MAX_JSON // 1024} KiB, at most {MAX_DEPTH} levels deep" in section(2)
    assert f"`prompt` | at most {MAX_PROMPT:,} characters" in section(5)
    assert f"{MAX_SIDE:,} pixels" in section(3)
    assert f"(else {MAX_LENGTH:,})" in section(6) and f"`maxItems` (at most {MAX_ITEMS})" in section(6)
    assert all(f"`{name}`" in section(5) for name in (*CHANNELS, *DTYPES))
