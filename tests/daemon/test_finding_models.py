"""The daemon looks for the models of other programs when it starts."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.daemon_fixture import Daemon, wait_for
from velatura_protocol.client import Client

pytestmark = pytest.mark.timeout(300)


def test_they_are_offered_without_a_command(tmp_path, tiny_folder, no_torch):
    home, state_dir = tmp_path / "home", tmp_path / "state"
    shutil.copytree(tiny_folder, home / "ComfyUI" / "models" / "checkpoints" / "mine")
    nowhere = {"HOME": str(home), "HF_HUB_CACHE": str(home / "hub"), "XDG_DATA_HOME": str(home / "data")}
    with Daemon(state_dir, no_torch | nowhere, prestart=False, find_models=True) as daemon:
        client = Client(state_dir, name="test")
        client.connect()
        try:
            wait_for(
                lambda: "mine" in [model["id"] for model in client.methods()["models"]], 60.0, daemon.log
            )
        finally:
            client.close()
        wait_for(lambda: "1 models of other programs" in daemon.log, 10.0, "it is not logged")
    assert not (state_dir / "models.json").exists()
    assert json.loads((state_dir / "found.json").read_text())[0]["path"].endswith("mine")
