"""What comes from models' files, from the journal and from odd requests never stops the daemon's answers."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys
from contextlib import closing

import pytest

from tests.daemon.raw import Raw
from tests.daemon.samples import new_job, pixels, raster, request
from tests.daemon_fixture import Daemon, wait_for
from tests.patience import patience
