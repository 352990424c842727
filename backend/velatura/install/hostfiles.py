"""The files written beside a plugin's code: how to start the daemon, and GIMP's first methods."""

from __future__ import annotations

import json
from pathlib import Path

from velatura import __version__
from velatura.files.programs import program
from velatura.install.copy import install
from velatura.install.profiles import Profile
from velatura.install.sources import plugin
from velatura_protocol.paths import HOST_CONFIG

METHODS = "methods.json"


def install_into(profile: Profile, state_dir: str, folder: Path) -> None:
    """Put the host's plugin into the profile, with its settings.

    Args:
        profile: the profile.
        state_dir: the state directory that the person chose; empty for the default.
        folder: the path of the state directory, which holds the list of models.

    Raises OSError, VelaturaError.
    """
    extra = {HOST_CONFIG: host_config(state_dir)}
    if profile.host == "gimp":
        extra[METHODS] = first_methods(folder)
    install(profile, plugin(profile.host), extra, __version__)


def host_config(state_dir: str) -> bytes:
    """Return velatura.json: the command that starts the daemon with this Python, and its state directory.

    Inside a Flatpak the plugin runs the command outside the sandbox (see `velatura_protocol.launch`).
    """
    config = {
        "serve": list(program("velatura", "serve")),
        "state_dir": state_dir,
        "version": __version__,
    }
    return json.dumps(config, indent=1).encode("ascii")


def first_methods(folder: Path) -> bytes:
    """Return methods.json, the daemon's answer to `methods`, so that GIMP's menu is complete at once."""
    from velatura.methods.registry import describe, offer, registry
    from velatura.methods.shelving import choices
    from velatura.models.catalogue import entries

    models = entries(folder)
    answer = offer(map(describe, registry().values()), models, choices(folder, models))
    return json.dumps(answer, indent=1).encode("ascii")
