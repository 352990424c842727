"""`velatura uninstall krita|gimp`: removes the files that `velatura install` put there, and nothing else."""

from __future__ import annotations

import argparse

from velatura.cli import exits, install
from velatura.install import copy


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    install.add_host_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Uninstall from each profile."""
    for profile in install.profiles(options):
        if copy.uninstall(profile):
            print(f"{profile.title}: the plugin is no longer in {profile.plugins}.")
        else:
            print(f"{profile.title}: there was no Velatura plugin.")
    return exits.OK
