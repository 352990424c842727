"""`velatura forget`: the edits of a document, those older than an age, all; wrong calls are refused."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from tests.daemon.samples import new_job
from velatura.cli.forget import _names
from velatura.client.requests import pixels_of
from velatura.files.reading import read_image
from velatura_protocol.client import Client
from velatura_protocol.messages import digest
from velatura_protocol.prompt_history import PromptHistory

DIGEST = digest(b"a layer")


def recipe(job):
    return json.dumps({"velatura": 1, "job": job, "inputs": {"source": {"digest": DIGEST}}}).encode()


def krita(path, job):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("picture/annotations/velatura", recipe(job))


def gimp(path, job):
    path.write_bytes(b"gimp xcf v011\0" + bytes(100) + b"velatura-recipe\0" + recipe(job) + bytes(50))


@pytest.mark.parametrize("write", [krita, gimp])
def test_a_document_names_its_edits(tmp_path, write):
    job, path = new_job(), tmp_path / "document"
    write(path, job)
    assert _names(path) == ({job}, {DIGEST})


def test_a_picture_names_the_edits_of_its_pixels(tmp_path):
    path = tmp_path / "picture.png"
    Image.new("RGB", (3, 2), "red").save(path)
    jobs, inputs = _names(path)
    assert (jobs, inputs) == (set(), {pixels_of(read_image(path).with_alpha()).raster.digest})


def test_edits_are_forgotten(cli, tmp_path):
    sample = Path("backend/velatura/samples/portrait.png")
    made = tmp_path / "made.png"
    words = ("edit", sample, "--method", "sdedit", "--prompt", "a hat", "--set", "steps=4", "--out", made)
    cli(*words)
    jobs, _ = _names(made)
    client = Client(cli.state_dir, name="test")
    client.connect()
    (job,) = client.watch(jobs)
    assert cli("forget", made, "--older-than", "1h").stdout == "0 edits forgotten.\n"
    assert cli("forget", made).stdout == "1 edit forgotten.\n"
    assert client.watch([job["job"]]) == []
    cli(*words, "--force")
    assert json.loads(cli("forget", sample, "--json").stdout)["forgotten"] == 1, "by its pixels"
    PromptHistory(cli.state_dir).add("a hat")
    cli("forget", "--all")
    assert PromptHistory(cli.state_dir).prompts() == []
    client.close()


@pytest.mark.parametrize(("words", "code"), [((), 1), (("--all", "a.png"), 1), (("--older-than", "soon"), 2)])
def test_a_call_that_says_too_little_or_too_much_is_refused(cli, words, code):
    cli("forget", *words, code=code)
