"""Faults of an installation and how to mend them, in plain sentences."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from velatura import __version__
from velatura.daemon import lock
from velatura.daemon.settings import load_settings
from velatura.extensions.offers import Refused
from velatura.files.programs import program
from velatura.install import copy
from velatura.install.profiles import FLATPAKS, HOSTS, Machine, Profile, find
from velatura.install.sources import NAMES, is_held
from velatura.jobs.database import DAMAGED, damaged_ones
from velatura.methods.registry import refused
from velatura.models.catalogue import entries
from velatura_protocol.client import Client
from velatura_protocol.errors import VelaturaError
from velatura_protocol.paths import CONNECTION_FILE, check_folder, host_config, read_connection

PACKAGES = (
    *("torch", "diffusers", "transformers", "huggingface-hub", "tokenizers", "safetensors", "pyzmq"),
    *("pydantic", "pillow", "numpy", "imagecodecs", "filelock", "tqdm", "shtab"),
    *("tifffile", "openexr", "psd-tools"),
)
LEAST_SPACE = 2 * 1024**3  # bytes: room for the spool of a few large layers
PROBE = program("velatura.weights.device")  # before the wanted device
CAPTIONERS = program("velatura.companions.captioners")


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    level: `ok`, `note` (nothing is broken) or `fault`. sentence: the finding. mend: the next step, or empty.
    """

    level: str
    sentence: str
    mend: str = ""


def examine(
    state_dir: Path, machine: Machine, host: str = "", commands: Sequence[Refused] = ()
) -> list[Finding]:
    """Check the installation without changing or starting anything.

    Args:
        state_dir: the state directory.
        machine: this machine.
        host: the only host to check; all where it is empty.
        commands: those of other packages that are left out.
    """
    checks: list[Callable[[], Iterator[Finding]]] = [
        _python,
        lambda: _packages(state_dir),
        lambda: _offers(commands),
        lambda: _models(state_dir),
        lambda: _disk(state_dir),
        lambda: _journal(state_dir),
        lambda: _daemon(state_dir),
        _plugins,
    ]
    checks += [lambda name=name: _host(name, machine) for name in HOSTS if host in ("", name)]
    return [finding for check in checks for finding in check()]


def _python() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < (3, 11):
        yield Finding("fault", f"Python is {version}.", "Install Velatura with Python 3.11 or newer.")
    else:
        yield Finding("ok", f"Velatura {__version__} with Python {version} at {sys.executable}.")


def _packages(state_dir: Path) -> Iterator[Finding]:
    missing = [name for name in PACKAGES if not _is_installed(name)]
    if missing:
        yield Finding(
            "fault", f"Missing: {', '.join(missing)}.", "Install Velatura again: pip install velatura"
        )
    if "torch" in missing:
        return
    try:
        wanted = load_settings(state_dir).device
    except VelaturaError as error:
        yield Finding("fault", error.message)
        wanted = "auto"
    try:
        # In a process of its own: torch takes seconds and hundreds of megabytes, and may fail to load.
        command = [*PROBE, wanted]
        reply = subprocess.run(command, capture_output=True, text=True, timeout=600)
        version, device, fault = json.loads(reply.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        yield Finding(
            "fault", "PyTorch is installed but cannot be loaded.", "Install it again: pip install torch"
        )
        return
    yield from _captioners()
    if fault:
        mend = f"Set another device in {state_dir / 'settings.toml'}, or remove the setting."
        yield Finding("fault", fault, mend)
        return
    where = device or "the processor; edits take longer than on a GPU"
    yield Finding("ok", f"PyTorch {version} will run on {where}.")


def _offers(commands: Sequence[Refused]) -> Iterator[Finding]:
    """Offers of other packages that cannot be used."""
    for offer in (*refused(), *commands):
        yield _left_out(offer)


def _captioners() -> Iterator[Finding]:
    """Captioners of other packages that cannot be used. In a process of its own, since they import torch."""
    try:
        reply = subprocess.run(CAPTIONERS, capture_output=True, text=True, timeout=600)
        left_out = [Refused(*offer) for offer in json.loads(reply.stdout.splitlines()[-1])]
    except (OSError, ValueError, IndexError, subprocess.TimeoutExpired):
        mend = "Remove the package that you installed last."
        yield Finding("fault", "The captioners of other packages cannot be listed.", mend)
        return
    for offer in left_out:
        yield _left_out(offer)


def _left_out(offer: Refused) -> Finding:
    mend = f"Update it, or remove it: pip uninstall {offer.package}. All else works without it."
    return Finding("fault", offer.sentence, mend)


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _models(state_dir: Path) -> Iterator[Finding]:
    try:
        models = entries(state_dir)
    except VelaturaError as error:
        yield Finding("fault", error.message, "If its folder is gone, remove it: velatura models remove NAME")
        return
    for entry in models:
        remove = f"Add it again: velatura models remove {entry.id}, then velatura models add."
        if entry.kind == "hub" and not entry.fault:
            yield Finding("note", f"Model {entry.id} is fetched from a hub ({entry.path}) at its first use.")
        elif entry.fault:
            yield Finding("fault", entry.fault, remove)
        elif entry.kind == "diffusers" and not list(Path(entry.path).glob("unet/*.safetensors")):
            yield Finding("fault", f"Model {entry.id} at {entry.path} has no unet weights.", remove)
        else:
            yield Finding("ok", f"Model {entry.id} at {entry.path}.")


def _disk(state_dir: Path) -> Iterator[Finding]:
    place = next(folder for folder in (state_dir, *state_dir.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    sentence = f"{free / 1024**3:.1f} GiB are free for {state_dir}."
    if not os.access(place, os.W_OK):
        yield Finding(
            "fault", f"{place} cannot be written.", "Choose another: VELATURA_STATE_DIR or --state-dir."
        )
    elif free < LEAST_SPACE:
        yield Finding(
            "fault", sentence, "Free some, or choose another place: VELATURA_STATE_DIR or --state-dir."
        )
    else:
        yield Finding("ok", sentence)


def _journal(state_dir: Path) -> Iterator[Finding]:
    """Damaged lists of edits that the daemon has moved aside."""
    found = [path for path in damaged_ones(state_dir) if path.name.rpartition(DAMAGED)[2].isdecimal()]
    if found:
        at = time.strftime("%Y-%m-%d %H:%M", time.localtime(int(found[-1].name.rpartition(DAMAGED)[2])))
        sentence = f"The list of edits was damaged on {at}; the daemon kept what could be read of it."
        mend = (
            "Run the edits again whose results you miss, and have the disk checked. The damaged list goes "
            "by itself, or with `velatura forget --older-than 2w`."
        )
        yield Finding("note", sentence, mend)


def _daemon(state_dir: Path) -> Iterator[Finding]:
    if state_dir.is_dir():
        try:
            check_folder(state_dir, state_dir.stat())
        except VelaturaError as error:
            yield Finding("fault", error.message)
            return
    path = state_dir / CONNECTION_FILE
    if path.is_dir():
        yield Finding("fault", f"{path} is a folder, so no daemon can be reached.", f"Remove it: {path}")
        return
    holder = _holder(state_dir)
    try:
        connection = read_connection(state_dir)
    except VelaturaError as error:
        if error.code != "not-running":
            mend = f"End the daemon, if there is one, with `velatura stop`, then delete {path}."
            yield Finding("fault", error.message, mend)
        elif holder is None:
            yield Finding("note", "The daemon is not running.", "Nothing to do: the next edit starts it.")
        else:
            yield _does_not_answer(state_dir, holder)
        return
    client = Client(state_dir, name="doctor")
    try:
        client.connect(timeout=5.0)
        state = client.request({"type": "ping"})
    except VelaturaError as error:
        if holder is not None:
            yield _does_not_answer(state_dir, holder, error.message)
        elif error.code == "not-running":
            mend = "Nothing to do: the next edit starts it again."
            yield Finding("note", "The daemon ended unexpectedly.", mend)
        else:
            yield Finding("fault", error.message, f"See {state_dir / 'daemon.log'}.")
        return
    finally:
        client.close()
    if connection.version != __version__:
        sentence = f"The daemon is version {connection.version}, this package {__version__}."
        yield Finding("fault", sentence, "Stop it; the next edit starts the new one: velatura stop")
        return
    jobs = f"{state.get('jobs')} job(s) under way"
    yield Finding("ok", f"The daemon answers: {state.get('worker')} on {state.get('device')}, {jobs}.")


def _holder(state_dir: Path) -> int | None:
    """The process that the state directory belongs to; None where there is none."""
    try:
        return lock.owner(state_dir)
    except OSError:  # `_disk` reports a directory that cannot be used
        return None


def _does_not_answer(state_dir: Path, holder: int, reason: str = "") -> Finding:
    named = f"process {holder}" if holder != lock.UNKNOWN else "an unknown process"
    return Finding(
        "fault",
        f"A daemon ({named}) holds {state_dir} and does not answer. {reason}".strip(),
        "End it: velatura stop. The next edit starts another; daemon.log in that folder says more.",
    )


def _plugins() -> Iterator[Finding]:
    missing = [HOSTS[host] for host in HOSTS if not is_held(host)]
    if missing:
        sentence = f"This installation holds no plugin for {' and '.join(missing)}."
        yield Finding("fault", sentence, "Install Velatura again: pip install velatura")


def _host(host: str, machine: Machine) -> Iterator[Finding]:
    profiles = find(host, machine)
    if not profiles:
        yield Finding(
            "note", f"{HOSTS[host]} was not found.", "Start it once, or name its profile with --profile."
        )
    for profile in profiles:
        yield from _profile(profile)


def _profile(profile: Profile) -> Iterator[Finding]:
    again = f"Install it again: velatura install {profile.host}"
    folder = profile.plugins / NAMES[profile.host]
    manifest = copy.read_manifest(profile)
    if manifest is None:
        how = f"velatura install {profile.host}"
        if folder.is_dir():
            yield Finding("fault", f"{profile.title}: {folder} was not installed by Velatura.", again)
        else:
            yield Finding("note", f"{profile.title} at {profile.root} has no Velatura plugin.", how)
        return
    faults = [*_faults(profile, folder, manifest)]
    yield from (Finding("fault", f"{profile.title}: {sentence}", mend or again) for sentence, mend in faults)
    if not faults:
        yield Finding("ok", f"{profile.title}: the plugin is in {folder}.")
    if profile.flatpak:
        app = FLATPAKS[profile.host]
        yield Finding(
            "note",
            f"{profile.title} runs in a sandbox and may not start the daemon by itself.",
            f"Start it with `velatura serve`, or allow it once: flatpak override --user "
            f"--talk-name=org.freedesktop.Flatpak {app}",
        )


def _faults(profile: Profile, folder: Path, manifest: copy.Manifest) -> Iterator[tuple[str, str]]:
    missing = [place for place in manifest.files if not copy.located(profile, place).is_file()]
    if missing:
        yield f"{len(missing)} file(s) of the plugin are missing, {missing[0]} among them.", ""
    if manifest.version != __version__:
        yield f"the plugin is version {manifest.version or 'unknown'}, this package {__version__}.", ""
    if not copy.is_enabled(profile):
        yield (
            "the plugin is switched off.",
            "Switch it on in Settings > Configure Krita > Python Plugin Manager.",
        )
    for place in copy.EXECUTABLE & set(manifest.files):
        if os.name == "posix" and not os.access(profile.plugins / place, os.X_OK):
            yield f"{place} is not executable, so the host skips it.", ""
    serve = host_config(folder).get("serve")
    python = serve[0] if isinstance(serve, list) and serve else ""
    if not python or not shutil.which(str(python)):
        sentence = f"the plugin starts the daemon with {python}, which no longer exists."
        yield sentence if python else "the plugin does not know how to start the daemon.", ""
