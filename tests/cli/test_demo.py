"""`velatura demo`: every edit is what the judge reads as asked, on one sheet and in one layered file."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from tests.cli.conftest import CommandLine
from velatura.cli.demo import SAMPLES
from velatura_lab.readers import load_judge


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_edit_of_the_demo_fails(tmp_path):
    cli = CommandLine(tmp_path / "state", tmp_path / "home")  # where the embedded model is the only one
    try:
        cli("demo", "--out", tmp_path / "shown", timeout=110)
    finally:
        cli("stop")
    with Image.open(tmp_path / "shown" / "demo.png") as sheet:
        assert sheet.width > 1000 and sheet.height > 500
    samples = json.loads((SAMPLES / "samples.json").read_text("utf-8"))
    entries = json.loads((SAMPLES / "demo.json").read_text("utf-8"))
    portrait = Image.open(SAMPLES / samples["portrait"]["file"]).convert("RGBA")
    with zipfile.ZipFile(tmp_path / "shown" / "demo.ora") as archive:
        groups = ElementTree.fromstring(archive.read("stack.xml")).findall("stack/stack")
        assert len(groups) == len(entries)
        for group, entry in zip(groups, entries, strict=True):
            layers = group.findall("layer")
            assert len(layers) == len(entry.get("shares", [0] * entry.get("variations", 1)))
            if "expect" in entry:
                # of a dial its end, else every variation
                for shown in layers[-1:] if "shares" in entry else layers:
                    assert_reads(archive, portrait, shown, entry["expect"])


def assert_reads(archive, portrait, layer, expected):
    picture = portrait.copy()
    with archive.open(layer.get("src")) as file:
        picture.alpha_composite(Image.open(file).convert("RGBA"), (int(layer.get("x")), int(layer.get("y"))))
    image = torch.from_numpy(np.asarray(picture.convert("RGB")).copy()).permute(2, 0, 1)[None].float() / 255.0
    (reading,) = load_judge().read(image)
    assert {name: reading.values[name] for name in expected} == expected, layer.get("name")
