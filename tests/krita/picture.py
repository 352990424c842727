"""The picture of the docker in the README: an edit of the sample portrait by dials, in the real Krita.

`python -m tests.krita.picture` writes plugin_krita/docker.jpg; `--help` says how to look at other widths and
themes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from installer.hosts import find_hosts
from PIL import Image

from tests.daemon_fixture import Daemon
from tests.hosts.krita import KritaSession
from tests.krita.plugin import REPOSITORY, put_plugin

SAMPLES = REPOSITORY / "backend/velatura/samples"
PICTURE = REPOSITORY / "plugin_krita/docker.jpg"
QUALITY = 90  #: of the picture that is kept; a PNG would be three times as large
DIALS = [
    {"less": "short", "more": "long", "strength": 60.0},
    {"less": "smiling", "more": "serious", "strength": 60.0},
]
SCRIPT = Path(__file__).with_name("in_krita_picture.py")


def main(words: list[str]) -> int:
    """Make the picture; return 1 where there is no Krita."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--width", type=int, default=340, help="of the docker, in pixels")
    parser.add_argument("--height", type=int, default=590, help="of the docker, in pixels")
    parser.add_argument("--theme", default="Krita dark")
    parser.add_argument("--out", type=Path, default=PICTURE)
    options = parser.parse_args(words)
    host = find_hosts().krita
    if host is None:
        print("There is no Krita here.")
        return 1
    sample = json.loads((SAMPLES / "samples.json").read_text())["portrait"]
    with tempfile.TemporaryDirectory(prefix="velatura-picture-") as name:
        folder = Path(name)
        plugin = put_plugin(folder / "plugin", state_dir=folder / "state")
        session = KritaSession(host, folder / "krita", plugins=[plugin])
        with Daemon(folder / "state"), session:
            with session.kritarc.open("a") as settings:
                settings.write(f"\n[theme]\nTheme={options.theme}\n")
            found = session.window(
                SCRIPT,
                timeout=700,
                portrait=SAMPLES / sample["file"],
                caption=sample["caption"],
                dials=DIALS,
                **{key: getattr(options, key) for key in ("seed", "width", "height")},
            )
            picture = Image.open(found.folder / "docker.png").convert("RGB")
            picture.save(options.out, quality=QUALITY, subsampling=0, optimize=True)
    print(f"{found['status']} {options.out}: {options.out.stat().st_size // 1000} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
