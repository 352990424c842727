"""Who knocks without a token neither fills the daemon's memory nor takes its file handles."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import zmq

from tests.daemon import hostile
from tests.daemon.raw import MiB, Raw
from tests.daemon.samples import new_job, pixels, request
from tests.daemon_fixture import Daemon, wait_for
from tests.patience import patience
