"""`velatura mcp` against a real daemon, by the protocol's own client and directly."""

import asyncio
import base64
import io

import numpy as np
import pytest
import tifffile
from mcp import Client, StdioServerParameters
from PIL import Image as Pillow

import velatura
from tests.cli.pictures import gradient, load, save, soft_mask
from tests.patience import patience
from velatura.assistants.folders import Folders
from velatura.assistants.tools import MODELS, SHOW, Tools
from velatura_protocol.errors import VelaturaError

pytestmark = pytest.mark.timeout(240)
FILL = "blended-latent-diffusion"


@pytest.fixture
def folder(tmp_path):
    """A folder that the assistant may use, beside one that it may not."""
    (tmp_path / "secret").mkdir()
    save(tmp_path / "secret" / "other.png", gradient(3, np.uint8))
    folder = tmp_path / "mine"
    folder.mkdir()
    save(folder / "in.png", gradient(3, np.uint16))
    save(folder / "mask.png", soft_mask()[..., None])
    (folder / "link.png").symlink_to(tmp_path / "secret" / "other.png")
    (folder / "out.png").write_bytes(b"mine")
    return folder


@pytest.fixture
def tools(running, folder):
    with velatura.connect(running.state_dir, start=False) as session:
        yield Tools(session, Folders([folder]))


def test_an_assistant_edits_a_picture_through_the_protocol(running, cli, folder):
    words = cli.words(["mcp", "--folder", folder])
    place = StdioServerParameters(command=words[0], args=words[1:], env=cli.environment)
    call = {"picture": "in.png", "mask": "mask.png", "prompt": "a hat", "seed": 5, "settings": {"steps": 4}}
    heard = []

    async def hear(progress, total, message):
        heard.append((progress, total, message))

    async def talk():
        async with Client(place) as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            done = await client.call_tool(FILL, {**call, "out": "hat.png"}, progress_callback=hear)
            again = await client.call_tool(FILL, {**call, "out": "hat.png"})
            shown = await client.call_tool(SHOW, {"file": "hat.png"})
            return tools, done, again, shown

    tools, done, again, shown = asyncio.run(asyncio.wait_for(talk(), patience(200)))
    assert tools[FILL].input_schema["properties"]["settings"]["properties"]["steps"]["type"] == "integer"
    assert tools[SHOW].annotations.read_only_hint and not tools[FILL].annotations.destructive_hint
    assert not done.is_error, done.content
    assert heard[-1][1] == 1.0 and [one[0] for one in heard] == sorted(one[0] for one in heard)
    source, result = load(folder / "in.png"), load(folder / "hat.png")
    assert result.dtype == np.uint16
    assert np.array_equal(result[soft_mask() == 0], source[soft_mask() == 0])
    assert not np.array_equal(result, source)
    assert done.structured_content["files"] == [str(folder / "hat.png")]
    assert done.structured_content["layers"][0]["seed"] == 5
    picture = Pillow.open(io.BytesIO(base64.b64decode(done.content[1].data)))
    assert np.abs(np.asarray(picture).astype(int) - (result >> 8)).max() == 0
    assert again.is_error and "is there already; give the result another name" in again.content[0].text
    assert shown.structured_content["layers"][0]["recipe"]["prompt"] == "a hat"


def test_every_method_is_a_tool_with_the_arguments_that_it_takes(tools):
    listed = {tool.name: tool for tool in tools.listed()}
    assert listed.keys() == {method.id for method in tools._session.methods} | {MODELS, SHOW}
    for method in tools._session.methods:
        schema = listed[method.id].schema
        assert ("mask" in schema["required"]) == (method.need("mask") == "required")
        assert ("prompt" in schema["properties"]) == (method.need("prompt") != "none")
        assert ("out" in schema["required"]) == (method.kind.insert != "texts")
        assert set(schema["required"]) <= schema["properties"].keys()
        assert {raster.name for raster in method.further} <= schema["properties"].keys()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"picture": "../secret/other.png"}, "outside of the folders"),
        ({"picture": "link.png"}, "outside of the folders"),
        ({"picture": "/etc/passwd"}, "outside of the folders"),
        ({"picture": "gone.png"}, "There is no file gone.png"),
        ({"picture": "a\0b"}, "is no path"),
        ({"picture": "."}, "outside of the folders"),
        ({"picture": 3}, "picture has to be text"),
        ({"mask": "link.png"}, "outside of the folders"),
        ({"out": "../secret/new.png"}, "outside of the folders"),
        ({"out": "out.png"}, "is there already"),
        ({"out": "sub/new.png"}, "There is no folder"),
        ({"out": "new.gif"}, "must end in .ora, .psd"),
        ({"seed": 1.5}, "whole number"),
        ({"variations": True}, "whole number"),
        ({"settings": [1]}, "The settings are no object"),
        ({"settings": {"stepz": 1}}, "has no setting 'stepz'"),
        ({"model": "gone"}, "gone"),
        ({"magic": 1}, "has no argument 'magic'"),
    ],
)
def test_what_is_wrong_or_outside_is_refused_and_nothing_is_written(tools, folder, change, sentence):
    before = sorted(folder.rglob("*")), sorted((folder.parent / "secret").iterdir())
    call = {"picture": "in.png", "mask": "mask.png", "prompt": "a hat", "out": "new.png"} | change
    with pytest.raises(VelaturaError, match=sentence):
        job, out = tools.begin(FILL, call)
        tools.end(job.result(), out)
    assert (sorted(folder.rglob("*")), sorted((folder.parent / "secret").iterdir())) == before
    assert (folder / "out.png").read_bytes() == b"mine"


def test_files_in_lists_stay_in_the_folders_too(tools):
    field = ("concepts", "where")
    entry = {"text": "hat", field[1]: "link.png"}
    call = {"picture": "in.png", "prompt": "a hat", "out": "new.png", "settings": {field[0]: [entry]}}
    with pytest.raises(VelaturaError, match="outside of the folders"):
        tools.begin("sega", call)


def test_a_folder_has_to_be_named_and_to_be_there(cli, tmp_path):
    assert "--folder DIR" in cli("mcp", code=1).stderr
    assert "There is no folder" in cli("mcp", "--folder", tmp_path / "gone", code=1).stderr


def test_models_are_told(tools):
    answer = tools.told(MODELS, {})
    assert [model["id"] for model in answer.facts["models"]] == [model.id for model in tools._session.models]
    assert tools.told(FILL, {}) is None


def test_floats_are_edited_shown_and_refused_before_work_where_a_format_cannot_hold_them(tools, folder):
    light = (gradient(3, np.uint16) / 65535.0 * 3.0).astype(np.float32)
    tifffile.imwrite(folder / "light.tif", light, photometric="rgb")
    call = {"picture": "light.tif", "mask": "mask.png", "prompt": "a hat", "settings": {"steps": 4}}
    with pytest.raises(VelaturaError, match="cannot hold the floats"):
        tools.begin(FILL, {**call, "out": "new.png"})
    assert tools._session._jobs == []
    job, out = tools.begin(FILL, {**call, "out": "new.tif"})
    with Pillow.open(io.BytesIO(tools.end(job.result(), out).thumbnail)) as picture:
        assert (picture.mode, picture.size) == ("RGB", (64, 48))
    assert tifffile.imread(folder / "new.tif").dtype == np.float32
