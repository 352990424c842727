"""`velatura install krita|gimp`: puts the plugin into all of the person's profiles, or into one."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from velatura.cli import exits
from velatura.cli.machine import this_machine
from velatura.install.hostfiles import install_into
from velatura.install.profiles import FLATPAKS, HOSTS, Profile, find, named
from velatura_protocol.errors import VelaturaError
from velatura_protocol.paths import state_dir

NEXT = {
    "krita": "Start Krita again; the docker is under Settings > Dockers > Velatura.",
    "gimp": "Start GIMP again; the methods are under Filters > Velatura.",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_host_options(parser)
    parser.set_defaults(run=run)


def add_host_options(parser: argparse.ArgumentParser) -> None:
    """Add HOST and --profile, which `install` and `uninstall` share."""
    parser.add_argument("host", choices=list(HOSTS))
    parser.add_argument(
        "--profile",
        metavar="DIR",
        type=Path,
        help="only this profile: Krita's resource folder (or the home folder that holds it), or GIMP's "
        "folder of plug-ins; without it, every profile of this computer",
    )


def profiles(options: argparse.Namespace) -> list[Profile]:
    """Return the profiles that the options name. Raises `bad-request` where there is none."""
    machine = this_machine()
    if options.profile is not None:
        return [named(options.host, options.profile, machine)]
    known = find(options.host, machine)
    if not known:
        host = HOSTS[options.host]
        raise VelaturaError(
            "bad-request",
            f"{host} has no profile here; start {host} once, or name its folder with --profile.",
        )
    return known


def run(options: argparse.Namespace) -> int:
    """Install into each profile and print the next step."""
    folder = state_dir(options.state_dir)
    chosen = options.state_dir or os.environ.get("VELATURA_STATE_DIR")
    for profile in profiles(options):
        install_into(profile, str(folder) if chosen else "", folder)
        print(f"{profile.title}: the plugin is in {profile.plugins}.")
        if profile.config is not None:
            print(f"{profile.title}: it is switched on in {profile.config}.")
        if profile.flatpak:
            app = FLATPAKS[profile.host]
            print(
                f"{profile.title}: its sandbox keeps the plugin from starting the daemon. Start the daemon "
                "yourself with `velatura serve`, or allow the plugin to do so once and for all:\n"
                f"  flatpak override --user --talk-name=org.freedesktop.Flatpak {app}"
            )
    print(NEXT[options.host])
    return exits.OK
