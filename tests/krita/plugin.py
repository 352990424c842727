"""The plugin as it lies in Krita's folder: with its copy of the protocol and the installer's file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
NAME = "velatura_krita"


def put_plugin(folder: Path, serve: Sequence[str] = (), state_dir: Path | str = "") -> Path:
    """Put `NAME.desktop` and `NAME/` into `folder`, as `velatura install krita` does; return the folder."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY / "plugin_krita", folder, dirs_exist_ok=True, ignore=ignore)
    place = folder / NAME
    protocol = REPOSITORY / "protocol/velatura_protocol"
    shutil.copytree(protocol, place / "velatura_protocol", dirs_exist_ok=True, ignore=ignore)
    config = {"serve": list(serve), "state_dir": str(state_dir), "version": "0.1.0"}
    (place / "velatura.json").write_text(json.dumps(config))
    return folder
