"""Packages outside Velatura, built as wheels and installed by pip, and daemons that have them.

`velatura_examples` offers methods and a kind of model, `velatura_faulty` what cannot be used.
"""

from __future__ import annotations

import atexit
import base64
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
VERSION = "1.0"
LET_END = "let-end"
"""In a state directory: the file at which the method `until-told` ends."""
ENTRY_POINTS = {
    "velatura_examples": {
        "velatura.methods": {
            "shades": "velatura_examples.shades",
            "weighed": "velatura_examples.weighed:Weighed",
            "until-told": "velatura_examples.until_told",
            "exaggerate": "velatura_examples.exaggerate",
            "arrange": "velatura_examples.arrange",
        },
        "velatura.generators": {"eigenpictures": "velatura_examples.eigenpictures"},
    },
    "velatura_faulty": {
        "velatura.methods": {
            "gone": "velatura_faulty.gone",
            "taken": "velatura_faulty.taken",
            "empty": "velatura_faulty",
            "number": "velatura_faulty.kind:KIND",
            "base": "velatura.methods.base:Method",
            "ends": "velatura_faulty.ends",
            "version-zero": "velatura_faulty.unreadable:VersionZero",
            "version-text": "velatura_faulty.unreadable:VersionText",
            "no-title": "velatura_faulty.unreadable:NoTitle",
            "number-summary": "velatura_faulty.unreadable:NumberSummary",
            "too-many": "velatura_faulty.unreadable:TooMany",
            "number-drafts": "velatura_faulty.unreadable:NumberDrafts",
            "text-place": "velatura_faulty.unreadable:TextPlace",
            "unknown-need": "velatura_faulty.unreadable:UnknownNeed",
        },
        "velatura.generators": {
            "nothing": "velatura_faulty.kind",
            "diffusers": "velatura_faulty.kind",
            "silent": "velatura_faulty.silent",
            "sizes": "velatura_faulty.sizes",
        },
        "velatura.commands": {
            "silent": "velatura_faulty.silent",
            "ends": "velatura_faulty.ends",
            "incomplete": "velatura_faulty.kind",
            "edit": "velatura_faulty.percent",
            "two words": "velatura_faulty.percent",
            "brighten": "velatura_faulty.percent",
        },
        "velatura.captioners": {
            "silent": "velatura_faulty.silent",
            "ends": "velatura_faulty.ends",
            "moody": "velatura_faulty.percent",
        },
    },
}


def environment(package: str = "velatura_examples") -> dict[str, str]:
    """For a process: a package of this folder is installed beside Velatura."""
    return {"PYTHONPATH": os.pathsep.join([str(site(package)), *sys.path])}


def let_end(state_dir: Path) -> None:
    """Jobs of the method `until-told`, which would run for ever, end now, also those still to come."""
    (state_dir / LET_END).touch()


@cache
def site(package: str) -> Path:
    """A folder into which pip has installed the package; it goes when the tests end."""
    folder = Path(tempfile.mkdtemp(prefix="velatura-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    wheel = _wheel(folder, package)
    words = ["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-index"]
    words += ["--root-user-action", "ignore", "--target", str(folder / "site"), str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True, timeout=300)
    return folder / "site"


@contextmanager
def installed(package: str = "velatura_examples") -> Iterator[None]:
    """Within the block this process has the package too."""
    sys.path.insert(0, str(site(package)))
    _forget(package)
    try:
        yield
    finally:
        sys.path.remove(str(site(package)))
        _forget(package)


def _forget(package: str) -> None:
    """What was found out before the package came, or is gone."""
    from velatura.cli import commands
    from velatura.companions import captioners
    from velatura.generators import kinds
    from velatura.methods import registry

    registry._known.cache_clear()
    for group in (kinds, captioners, commands):
        group.offered.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]


def _wheel(folder: Path, package: str) -> Path:
    """The package as a wheel: its files, and what its build would write beside them."""
    info, name = f"{package}-{VERSION}.dist-info", package.replace("_", "-")
    points = "".join(
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in offers.items()) + "\n"
        for group, offers in ENTRY_POINTS[package].items()
    )
    files = {f"{package}/{path.name}": path.read_bytes() for path in (HERE / package).glob("*.py")}
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {VERSION}\n".encode()
    tag = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{info}/WHEEL"] = tag.encode()
    files[f"{info}/entry_points.txt"] = points.encode()
    record = [f"{path},sha256={_hash(data)},{len(data)}\n" for path, data in files.items()]
    files[f"{info}/RECORD"] = "".join([*record, f"{info}/RECORD,,\n"]).encode()
    wheel = folder / f"{package}-{VERSION}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)
    return wheel


def _hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
